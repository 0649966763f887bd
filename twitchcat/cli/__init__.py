"""The command line: one thin module per command group, which parses, calls and prints."""

import sys


def main() -> None:
    """Run `twitchcat`."""
    from twitchcat.cli.app import app

    sys.exit(app())
