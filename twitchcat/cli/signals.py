"""Stopping on Ctrl-C, SIGTERM and Enter without losing what is in hand."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals(*, enter: bool = False) -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set.

    The second time they raise KeyboardInterrupt: nobody waits for what is in hand any more, yet what was
    started is stopped and what is temporary removed. The third time they kill.

    With `enter`, a line typed at a terminal sets it too.
    """
    stop = threading.Event()
    interrupted = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if stop.is_set():
            interrupted = True
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if enter and _has_terminal():
            threading.Thread(target=_wait_for_enter, args=(stop,), name="enter", daemon=True).start()
            with _no_echo(sys.stdin.fileno()):
                yield stop
        else:
            yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Whether stdin is a terminal that is ours: one in the background that touches it is stopped."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal that does not control us, as after setsid
        return False


@contextmanager
def _no_echo(terminal: int) -> Iterator[None]:
    """Keep what is typed from being shown: an echoed line end would push a live display out of place."""
    import termios

    before = termios.tcgetattr(terminal)
    quiet = termios.tcgetattr(terminal)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _wait_for_enter(stop: threading.Event) -> None:
    if sys.stdin.readline():  # empty: the input was closed, which asks for nothing
        stop.set()
