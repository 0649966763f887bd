"""Where results are printed."""

import sys

from rich.console import Console

_UNFOLDED = 200  # columns; what reads a pipe wants one row on one line


def output() -> Console:
    """The console of results: stdout, as wide as the terminal, wide enough for any table elsewhere."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, highlight=False, width=None if terminal else _UNFOLDED)
