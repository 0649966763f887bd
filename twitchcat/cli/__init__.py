"""The command line: one thin module per command group, which parses, calls and prints."""

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

#: The exit code of a command that Ctrl-C or SIGTERM ended before it was done.
INTERRUPTED = 130


def main() -> None:
    """Run `twitchcat`."""
    _answer_signals(_leave_at_once)  # nothing has begun that would have to be ended
    _fill_missing_streams()
    sys.unraisablehook = _on_unraisable
    from twitchcat.cli.app import app
    from twitchcat.cli.console import OutputLost, give_up_output, guard_output

    guard_output()
    _answer_signals(signal.default_int_handler)
    code: Any = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OutputLost as error:
        code = give_up_output(error)
    _answer_signals(_leave_at_once)
    try:
        sys.stdout.flush()
    except OutputLost as error:
        code = code or give_up_output(error)
    if code == INTERRUPTED:
        _say_interrupted()
        if any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
            os._exit(INTERRUPTED)  # a thread that is still at work would be waited for
    sys.exit(code)


def _answer_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for a script's job in the background
            signal.signal(number, handler)


def _leave_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    _say_interrupted()
    os._exit(INTERRUPTED)


def _say_interrupted() -> None:
    with suppress(OSError):  # nobody reads it
        os.write(2, b"twitchcat: interrupted\n")


def _on_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """A Ctrl-C that came while Python was tidying up is to be raised all the same, elsewhere."""
    if unraisable.exc_type is KeyboardInterrupt:
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(unraisable)


def _fill_missing_streams() -> None:
    """Have all three standard streams: a file opened where one was closed would receive what we print."""
    closed_output = sys.stdout is None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    if closed_output:
        sys.stderr.write("twitchcat: the output cannot be written: it is closed\n")
        sys.exit(1)
