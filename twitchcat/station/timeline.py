"""Which segments a live playlist shows at a moment. Pure: the time is an argument."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate


class Part(StrEnum):
    """What a segment shows."""

    LIVE = "live"
    EDGE = "edge"  #: beside an ad break: called live, but the picture is the ad's already, or still
    AD = "ad"


@dataclass(frozen=True, slots=True)
class AdBreak:
    """Ads from one moment to another; both are Unix times in seconds."""

    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Slot:
    """One segment of an endless broadcast."""

    number: int  #: counted from the broadcast's first
    index: int  #: of the file's segment that is played
    start_s: float  #: since the broadcast began
    span_s: float


@dataclass(frozen=True, slots=True)
class Loop:
    """A file's segments played over and over, beginning with the one at `phase`."""

    spans_s: tuple[float, ...]
    starts_s: tuple[float, ...]  #: of the segments within one round
    phase: int
    round_s: float

    @classmethod
    def of(cls, spans_s: Sequence[float], phase: int = 0) -> "Loop":
        """The loop over segments of so many seconds each. Raises ValueError if there are none."""
        if not spans_s or min(spans_s) <= 0:
            raise ValueError("a loop needs segments that are longer than zero")
        phase %= len(spans_s)
        turned = (*spans_s[phase:], *spans_s[:phase])
        *starts, total = accumulate(turned, initial=0.0)
        return cls(turned, tuple(starts), phase, total)

    def slot(self, number: int) -> Slot:
        """The segment of a number."""
        rounds, within = divmod(number, len(self.spans_s))
        start_s = rounds * self.round_s + self.starts_s[within]
        return Slot(number, (within + self.phase) % len(self.spans_s), start_s, self.spans_s[within])

    def number_at(self, elapsed_s: float) -> int:
        """The number of the segment that is being made at a moment since the broadcast began."""
        rounds, within_s = divmod(elapsed_s, self.round_s)
        return int(rounds) * len(self.spans_s) + bisect_right(self.starts_s, within_s) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the playlist."""

    slot: Slot
    part: Part


@dataclass(frozen=True, slots=True)
class Window:
    """What the playlist shows, oldest first."""

    entries: tuple[Entry, ...]
    prefetch: tuple[Entry, ...]

    @property
    def media_sequence(self) -> int:
        """The number of the oldest segment; 0 where there is none yet."""
        return self.entries[0].slot.number if self.entries else 0


def window_at(
    loop: Loop, *, elapsed_s: float, size: int, ads: Sequence[AdBreak], prefetch: int = 2
) -> Window:
    """The last `size` whole segments at a moment since the broadcast began, and those that come next.

    `ads` are here in seconds since the broadcast began.
    """
    made = loop.number_at(elapsed_s)  # this one is still being made
    numbers = range(max(0, made - size), made + prefetch)
    entries = [Entry(loop.slot(number), part_of(loop, number, ads)) for number in numbers]
    whole = made - numbers.start
    return Window(tuple(entries[:whole]), tuple(entries[whole:]))


def part_of(loop: Loop, number: int, ads: Sequence[AdBreak]) -> Part:
    """What the segment of a number shows: an ad where it begins within a break."""

    def is_ad(number: int) -> bool:
        start_s = loop.slot(number).start_s
        return any(one.begin_s <= start_s < one.end_s for one in ads)

    if not ads:
        return Part.LIVE
    if is_ad(number):
        return Part.AD
    return Part.EDGE if is_ad(number - 1) or is_ad(number + 1) else Part.LIVE
