"""Stopping on Ctrl-C, SIGTERM and Enter without losing what is in hand."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals(*, enter: bool = False) -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set, once; the second time they end the process at once.

    With `enter`, a line typed at a terminal sets it too.
    """
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    if enter and sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=_wait_for_enter, args=(stop,), name="enter", daemon=True).start()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_enter(stop: threading.Event) -> None:
    if sys.stdin.readline():  # empty: the input was closed, which asks for nothing
        stop.set()
