"""What every part of a running station shares."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from twitchcat.station.folder import number_for
from twitchcat.station.lineup import Lineup, OnAir
from twitchcat.station.media import Video
from twitchcat.station.segments import Segments
from twitchcat.station.timeline import Loop


@dataclass(frozen=True, slots=True, kw_only=True)
class StationOptions:
    """How a station behaves. Times are in seconds."""

    window: int = 15  #: segments that a playlist shows
    channels: int | None = None  #: play so many, files under several logins if need be; None: one per file
    latency_s: float = 0.0  #: before each answer
    faults: Mapping[str, str] = field(default_factory=dict)  #: by login or "*", as `parse_faults` reads them
    rate_limit: int = 800  #: Helix points per minute
    page_overlap: int = 0  #: entries of a Helix page repeated on the next, as viewers move on the real one
    client_id: str = "stationclient0000000000000000x"
    client_secret: str = "stationsecret0000000000000000x"  # noqa: S105  no secret: every station has it
    app_token_s: float = 5_011_271.0  #: life of an app token
    access_token_s: float = 1200.0  #: life of a playback access token
    playlist_s: float = 86_400.0  #: life of a playlist's address
    cache_bytes: int = 256 * 2**20  #: of segments held in memory
    clock: Callable[[], float] = time.time  #: Unix time in seconds


class Context:
    """The channels, their segments and the options; belongs to the event loop that serves."""

    def __init__(self, options: StationOptions, lineup: Lineup) -> None:
        self.options = options
        self.lineup = lineup
        self.segments = Segments(room=options.cache_bytes)
        self.closing = asyncio.Event()
        self._loops: dict[str, Loop] = {}

    def loop(self, channel: OnAir, video: Video) -> Loop:
        """The endless broadcast of a channel. Channels of one file begin at different places of it."""
        if channel.login not in self._loops:
            self._loops[channel.login] = Loop.of(video.spans_s, number_for(f"phase {channel.login}"))
        return self._loops[channel.login]


def note(request: Request, **facts: object) -> None:
    """Tell the log of requests what a request was about."""
    request.scope.setdefault("station", {}).update(facts)
