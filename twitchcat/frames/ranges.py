"""How many bytes to ask for, learned from the keyframes seen."""

import threading
from collections import deque

#: Offsets remembered: some minutes of one channel. A stream changes its scene more often than its encoder.
_REMEMBERED = 32
#: The share of remembered keyframes that the first request would have covered.
_COVERED = 0.75
#: Asked for beyond that, as a share of it.
_MARGIN = 1 / 16
#: The first top-up, as a share of the first request; each further one is twice the one before.
_TOP_UP = 1 / 8
_LEAST = 4_096


class RangeSizes:
    """What to ask for, for keyframes of one variant of one channel: their sizes resemble each other.

    The first request covers three quarters of the recent keyframes; what is missing is asked for in small steps
    that double. Before anything was seen, `first` bytes are asked for and the whole doubles. May be shared by
    threads.
    """

    def __init__(self, first: int = 65_536) -> None:
        self._first = max(first, _LEAST)
        self._ends: deque[int] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    def opening(self) -> int:
        """Bytes to ask for first."""
        with self._lock:
            ends = sorted(self._ends)
        if not ends:
            return self._first
        covered = ends[min(len(ends) - 1, int(len(ends) * _COVERED))]
        return max(_LEAST, round(covered * (1 + _MARGIN)))

    def further(self, held: int, *, requests: int) -> int:
        """Offset to ask up to, `held` bytes and `requests` requests into a segment."""
        with self._lock:
            seen = bool(self._ends)
        if not seen:
            return held * 2
        return held + (max(_LEAST, round(self.opening() * _TOP_UP)) << (requests - 1))

    def learn(self, end: int) -> None:
        """Remember that a keyframe was whole `end` bytes into its segment."""
        with self._lock:
            self._ends.append(end)
