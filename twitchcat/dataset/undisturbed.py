"""Work that Ctrl-C must not cut in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PATIENCE = 2  #: signals held back; the next one ends the process at once


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block is done; then they do what they would have done.

    The third ends the process: whoever insists gets out. In other threads than the main one, where no signal
    is answered anyway, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if len(held) == _PATIENCE:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        held.append((number, frame))

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came, frame in held:
            answer = before[signal.Signals(came)]
            if callable(answer):
                answer(came, frame)
            elif answer is signal.SIG_DFL:
                signal.raise_signal(came)
