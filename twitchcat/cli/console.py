"""Where results are printed."""

import errno
import io
import json
import os
import re
import sys
import unicodedata
from typing import Any

import typer
from rich.console import Console

_UNFOLDED = 200  # columns; what reads a pipe wants one row on one line
#: They turn the direction of what follows, and make a text look like another.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def output() -> Console:
    """The console of results: stdout, as wide as the terminal, wide enough for any table elsewhere."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, highlight=False, markup=False, width=None if terminal else _UNFOLDED)


def printable(text: str, *, keep: str = "") -> str:
    r"""Text of strangers, with the characters that would command a terminal escaped, save those to `keep`.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(one if one in keep or not _commands(one) else _escaped(one) for one in text)


def _commands(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _TURNS


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def json_text(value: Any) -> str:
    """The value as JSON on one line, readable in every script, commanding no terminal."""
    line = json.dumps(value, ensure_ascii=False)
    # JSON itself escapes only the first 32.
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", line)


def counted(count: int, noun: str) -> str:
    """The count and its noun.

    >>> counted(1, "frame"), counted(2, "frame")
    ('1 frame', '2 frames')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


class OutputLost(OSError):
    """What we print can no longer be written: its reader has gone, its disk is full."""


class _Guarded(io.FileIO):
    """A standard stream whose failures are told from those of all other files."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLost(error.errno, error.strerror) from error


def guard_output() -> None:
    """From now on, printing what cannot be written raises OutputLost."""
    for name in ("stdout", "stderr"):
        stream: io.TextIOWrapper = getattr(sys, name)
        guarded = io.TextIOWrapper(
            io.BufferedWriter(_Guarded(stream.fileno(), "w", closefd=False)),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, guarded)


def give_up_output(error: OutputLost) -> int:
    """Throw away what is still to be printed where it cannot be; the exit code.

    A reader that has gone, `head` say, has seen enough: 0. Anything else is said on stderr: 1.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OutputLost:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    if error.errno == errno.EPIPE:
        return 0
    typer.echo(f"twitchcat: the output cannot be written: {error.strerror}", err=True)
    return 1
