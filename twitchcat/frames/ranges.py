"""How many bytes to ask for, learned from the keyframes seen."""

import statistics
import threading
from collections import deque

# Chosen on 360p encodes of fifteen games: 1.25 times the bytes needed, in 1.5 requests, on average. Asking
# for more first, or in larger steps, saves requests and costs bytes; docs/frames.md has the numbers.
_REMEMBERED = 10  # keyframes; a scene lasts about as long, and its keyframes resemble each other
_MARGIN = 1.1  # times their median
_TOP_UP = 3 / 16  # of what is held
_GROWTH = 1.35  # of that share, from one top-up to the next
_LEAST = 4096


class RangeSizes:
    """What to ask for, for the keyframes of one variant of one channel: their sizes resemble each other.

    The first request covers little more than the median of the recent keyframes; the rest is asked for in
    small steps that grow. Before any keyframe was seen, `first` bytes are asked for, and what is held
    doubles. Threads may share one.
    """

    def __init__(self, first: int = 65_536) -> None:
        self._first = max(first, _LEAST)
        self._ends: deque[int] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    def opening(self) -> int:
        """Bytes to ask for first."""
        with self._lock:
            return max(_LEAST, round(_MARGIN * statistics.median(self._ends))) if self._ends else self._first

    def further(self, held: int, *, requests: int) -> int:
        """Offset to ask up to, `held` bytes and `requests` requests into a segment."""
        with self._lock:
            share = _TOP_UP * _GROWTH ** (requests - 1) if self._ends else 1.0
        return held + max(_LEAST, round(share * held))

    def learn(self, end: int) -> None:
        """Remember that a keyframe was whole `end` bytes into its segment."""
        with self._lock:
            self._ends.append(end)
