"""Holds everybody back for a while when Twitch answers 429 to looks at playlists and reads of segments."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import urllib3

_FIRST_S = 10.0
_LONGEST_S = 600.0


@dataclass(slots=True)
class Throttle:
    """For how long no further stream is to be looked at. Shared by threads.

    Each refusal after the time is over holds for twice as long as the one before, from 10 s to 10 minutes; as
    long again without one, and it starts anew.
    """

    clock: Callable[[], float] = time.monotonic
    _until: float = field(default=float("-inf"), init=False)
    _span_s: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def refused(self, retry_after: str | None = None) -> None:
        """Note a 429 and its Retry-After, which holds for longer than the usual but not beyond 10 minutes."""
        with self._lock:
            now = self.clock()
            if now >= self._until:  # else it was on its way when the hold began, and says nothing new
                rested = now >= self._until + max(self._span_s, _FIRST_S)
                self._span_s = _FIRST_S if rested else min(self._span_s * 2, _LONGEST_S)
                self._until = now + self._span_s
            self._until = max(self._until, now + min(_seconds(retry_after), _LONGEST_S))

    def held_for(self) -> float:
        """Seconds left to wait; 0 when nobody has to."""
        with self._lock:
            return max(self._until - self.clock(), 0.0)


def _seconds(retry_after: str | None) -> float:
    """Read a Retry-After, in seconds or as a date (RFC 9110, 10.2.3); 0 if it says nothing useful."""
    try:
        return urllib3.Retry().parse_retry_after(retry_after) if retry_after else 0.0
    except (urllib3.exceptions.InvalidHeader, ArithmeticError, ValueError):
        return 0.0
