"""What one visit to one channel is: the order for it, what it took, and the report of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from twitchcat.errors import TwitchcatError
from twitchcat.twitch.entities import Category, Channel, LiveStream


class Outcome(StrEnum):
    """How a visit ended; all but `BUSY` and `LOST` are stored in `captures`."""

    KEPT = "kept"
    OFFLINE = "offline"
    AD = "ad"
    CHANGED = "changed"  #: another category, or another broadcast, after the visit than before
    ERROR = "error"
    BUSY = "busy"  #: another process is there, or was a moment ago; or this one is to stop
    LOST = "lost"  #: it could not be recorded, or Twitch refused us altogether


#: Why a stream that was live before the visit is offline.
ENDED = "ended during the visit"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitOrder:
    """Visit this channel."""

    channel: Channel
    stream: LiveStream | None  #: what Twitch said of it a moment ago; None: it is offline
    frames: int  #: wanted at most
    #: Not if some process visited it less than this ago; None: in any case.
    unless_visited_within: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TakenFrame:
    """One picture that a visit took, ready to be stored."""

    captured_at: datetime  #: the playlist's programme time
    jpeg: bytes
    width: int
    height: int
    phash: int  #: signed 64 bit


@dataclass(slots=True, kw_only=True)
class Take:
    """What a visit has taken so far; it grows while the visit goes on, and is kept when that fails."""

    variant: str | None = None
    frames: list[TakenFrame] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)  #: reason to count of segments or frames
    bytes_fetched: int = 0

    def skip(self, reason: str, count: int = 1) -> None:
        """Count something that was left out."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitReport:
    """How a visit went."""

    order: VisitOrder
    outcome: Outcome
    reason: str | None = None  #: of an `error`; what the other category was, of `changed`
    frames_kept: int = 0
    image_bytes: int = 0
    bytes_fetched: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    error: TwitchcatError | None = None  #: of a `lost` visit
    started_at: datetime
    finished_at: datetime

    @property
    def category(self) -> Category | None:
        """The category declared before the visit."""
        return self.order.stream.category if self.order.stream else None

    @property
    def seconds(self) -> float:
        """How long the visit took."""
        return (self.finished_at - self.started_at).total_seconds()


def declared_change(before: LiveStream, after: LiveStream | None) -> tuple[Outcome, str | None] | None:
    """What makes a visit's frames doubtful: that the channel declares something else after it than before.

    None if nothing does. A stream that has ended meanwhile counts too: its last declaration is unknown.
    """
    if after is None:
        return Outcome.OFFLINE, ENDED
    if after.id != before.id:
        return Outcome.CHANGED, "another broadcast"
    if after.category != before.category:
        return Outcome.CHANGED, f"now {after.category.name}" if after.category else "now no category"
    return None
