"""What Twitch says about categories, channels and live streams, as plain values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A Twitch category ("game" in the API)."""

    id: str  #: Twitch's id; never empty
    name: str
    #: Twitch names an IGDB entry for games and none for "Just Chatting" and its like; None: not asked.
    is_game: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A Twitch user as a broadcaster."""

    id: str
    login: str  #: lower case, as in the channel's address
    display_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStream:
    """One broadcast that is live now."""

    id: str  #: Twitch's stream id; a new one for every broadcast
    channel: Channel
    category: Category | None  #: None: the channel declares no category
    title: str
    tags: tuple[str, ...]
    language: str  #: ISO 639-1 or "other"
    viewers: int
    started_at: datetime

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None:
            raise ValueError("started_at needs a time zone")


class LiveState(StrEnum):
    """What Twitch says about a login."""

    LIVE = "live"
    OFFLINE = "offline"
    MISSING = "missing"  #: there is no such channel
