"""Waiting for Twitch: an even pace, a pause that can be cut short, retries that back off."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from twitchcat.errors import Interrupted

#: Waits so many seconds, or raises Interrupted as soon as the event is set.
Pause = Callable[[float, threading.Event | None], None]


def pause(seconds: float, stop: threading.Event | None) -> None:
    """Wait `seconds`. Raises Interrupted at once when `stop` is set."""
    if stop is None:
        time.sleep(max(seconds, 0))
    elif stop.wait(max(seconds, 0)):
        raise Interrupted("stopped while waiting for Twitch")


class Transient(Exception):
    """Something that passes with time. Its cause is what to say when it did not pass."""


def backing_off(
    attempts: int, *, longest_s: float, pause: Pause, stop: threading.Event | None = None
) -> Retrying:
    """Return a caller that repeats on Transient, with jitter between tries, and raises the last one."""
    return Retrying(
        retry=retry_if_exception_type(Transient),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.25, max=longest_s),
        sleep=lambda seconds: pause(seconds, stop),
        reraise=True,
    )


@dataclass(slots=True)
class Pace:
    """Lets callers through one by one, `per_second` at most, in the order in which they came."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    pause: Pause = pause
    _free_at: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def wait(self, stop: threading.Event | None = None) -> None:
        """Wait for this caller's turn. Raises Interrupted when `stop` is set meanwhile."""
        with self._lock:
            now = self.clock()
            turn = max(now, self._free_at)
            self._free_at = turn + 1 / self.per_second
        if turn > now:
            self.pause(turn - now, stop)
