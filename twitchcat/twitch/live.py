"""Open streams: each resolved once, then only its media playlist and pieces of its segments are read.

Opening a stream anew costs three requests and maybe a pre-roll ad, so a source is kept and polled for as long
as its playlist's address is good.
"""

import logging
import os
import random
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from requests.adapters import HTTPAdapter

from twitchcat.config import Settings
from twitchcat.errors import (
    ChannelOffline,
    ConfigError,
    Interrupted,
    NetworkError,
    RateLimited,
    SegmentUnreadable,
    StreamUnreadable,
    TwitchcatError,
)
from twitchcat.twitch import network
from twitchcat.twitch.breaker import Breaker
from twitchcat.twitch.connections import shared_adapter
from twitchcat.twitch.entities import LiveState
from twitchcat.twitch.pace import Pace
from twitchcat.twitch.playlist import PlaylistWindow, Segment, parse_window
from twitchcat.twitch.resolve import AskLiveState, Resolved, absent, resolve
from twitchcat.twitch.session import Answer, Incomplete, StreamSession, TooLarge
from twitchcat.twitch.throttle import Throttle
from twitchcat.twitch.variants import Variant, choose_variant

__all__ = [
    "Chunk",
    "LiveSource",
    "LiveState",
    "LiveStreams",
    "PlaylistWindow",
    "Segment",
    "Variant",
    "choose_variant",
]

log = logging.getLogger(__name__)

#: The address of a playlist is dead after a day; it is renewed between these two ages.
_RENEW_S = (20 * 3600.0, 22 * 3600.0)
#: Streams kept open; past that, the one unused for the longest is forgotten. A collector that runs for months
#: meets many thousands.
_KEPT_OPEN = 1024
_SPARE = 8  # connections beyond one for each visit: some close late
_PLAYLIST_LIMIT = 4 * 1024**2  # bytes; the longest live playlist has some hundred KB
_SEGMENT_LIMIT = 32 * 1024**2  # bytes; ten seconds at 25 Mbit/s
_GONE = frozenset({401, 403, 404, 410})  # what the address of a playlist answers when it is no good any more
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_LOGIN = re.compile(r"[a-z0-9_]{1,50}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stretch of a segment's bytes."""

    data: bytes
    start: int  #: where in the segment `data` begins
    total: int | None  #: bytes of the whole segment; None: the server did not say


class LiveSource:
    """One live stream, for one thread at a time. `LiveStreams.open` makes it."""

    def __init__(
        self,
        login: str,
        session: StreamSession,
        *,
        find: Callable[[StreamSession, str], Resolved],
        missed: Callable[[str], TwitchcatError],
        throttle: Throttle,
        clock: Callable[[], float],
    ) -> None:
        self.login = login
        self._session, self._find, self._missed = session, find, missed
        self._throttle, self._clock = throttle, clock
        self._resolve()

    def _resolve(self) -> None:
        self._resolved = self._find(self._session, self.login)
        # With jitter: sources opened together are not renewed together.
        self._renew_at = self._clock() + random.uniform(*_RENEW_S)  # noqa: S311 - no secret depends on it

    @property
    def variant(self) -> Variant:
        """The quality that is read."""
        return self._resolved.variant

    @property
    def bytes_fetched(self) -> int:
        """Body bytes fetched for this stream so far, playlists and resolving included."""
        return self._session.bytes_fetched

    def take_bytes(self) -> int:
        """Return the body bytes fetched since the last call, or since the stream was made; from any thread.

        The first of a newly opened source includes those of resolving it. What an opening that fails has
        fetched, some KB, is in no count.
        """
        return self._session.take_bytes()

    def window(self) -> PlaylistWindow:
        """Look at the playlist again.

        Where Twitch refuses its address (401, 403, 404), or it is old, or the playlist says that it has ended
        (the broadcaster may be back, with another one), the stream is resolved anew, once. If the new address
        is not there either, the stream has ended and its list of qualities lags behind.
        Raises what `LiveStreams.open` raises.
        """
        if self._clock() >= self._renew_at:
            self._resolve()
        answer = self._playlist()
        window = None if answer.status in _GONE else self._window_of(answer)
        if window is None or window.ended:
            log.info("playlist_over", extra={"login": self.login, "status": answer.status})
            self._resolve()
            answer = self._playlist()
            if answer.status in {404, 410}:
                raise self._missed(self.login)
            window = self._window_of(answer)
            if window.ended:
                raise ChannelOffline(f"the broadcast of {self.login} has ended")
        return window

    def _window_of(self, answer: Answer) -> PlaylistWindow:
        if answer.status >= 500:
            raise NetworkError(f"{self.login}: Twitch answered {answer.status} to a look at the playlist")
        if answer.status != 200:
            raise StreamUnreadable(f"{self.login}: Twitch answered {answer.status} to a look at the playlist")
        return parse_window(answer.body.decode("utf-8", errors="replace"), answer.url)

    def read(self, uri: str, start: int, stop: int) -> Chunk:
        """Read bytes [start, stop) of a segment, fewer where it ends before.

        A server that ignores ranges gives the whole segment: then the chunk starts at 0.
        Raises SegmentUnreadable if it is gone, broken, longer than 32 MiB or its server in trouble;
        NetworkError if there is no server; RateLimited.
        """
        if not 0 <= start < stop:
            raise ValueError(f"no range of bytes: {start} to {stop}")
        try:
            answer = self._fetch(uri, _SEGMENT_LIMIT, (start, stop))
        except TooLarge:
            raise SegmentUnreadable(f"{self.login}: a segment is longer than 32 MiB") from None
        except Incomplete as error:
            raise SegmentUnreadable(f"{self.login}: a segment broke off every time") from error
        return _chunk(answer, start)

    def _fetch(self, url: str, limit: int, byte_range: tuple[int, int] | None = None) -> Answer:
        answer = self._session.fetch(url, limit=limit, byte_range=byte_range)
        if answer.status == 429:
            self._throttle.refused(answer.headers.get("Retry-After"))
            raise RateLimited("Twitch asks for fewer looks at playlists and segments")
        return answer

    def _playlist(self) -> Answer:
        try:
            return self._fetch(self._resolved.playlist_url, _PLAYLIST_LIMIT)
        except TooLarge:
            raise StreamUnreadable(f"{self.login}: the playlist is longer than 4 MiB") from None
        except Incomplete as error:
            raise NetworkError(f"{self.login}: the playlist broke off every time") from error


def _chunk(answer: Answer, start: int) -> Chunk:
    if answer.status == 200:
        return Chunk(data=answer.body, start=0, total=len(answer.body))
    if answer.status != 206:
        raise SegmentUnreadable(f"Twitch answered {answer.status} to a segment")
    said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if said is None:
        raise SegmentUnreadable("Twitch sent a part of a segment and did not say which")
    if int(said[1]) != start:
        raise SegmentUnreadable(f"Twitch sent a segment from byte {said[1]} where {start} was asked for")
    return Chunk(data=answer.body, start=start, total=None if said[3] == "*" else int(said[3]))


@dataclass(slots=True)
class _Slot:
    """The place of one login: its lock keeps two threads from resolving the same one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    source: LiveSource | None = None


class LiveStreams:
    """All open streams, for all threads. Closing ends every wait; `stop` ends the queue for opening.

    What is being read goes on when `stop` is set: who has begun is to finish.
    `live_state` (HelixClient.live_state) tells apart what streamlink cannot: offline, no such channel, live
    but refused. Without it all are "offline". The constructor raises ConfigError if the environment names
    certificates that cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        live_state: AskLiveState | None = None,
        adapter: HTTPAdapter | None = None,
        breaker: Breaker | None = None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if settings.twitch.rewrite is None:
            network.tls_context()  # said here: streamlink would take it for a failure of Twitch
        self._settings = settings
        self._live_state = live_state
        self._breaker = breaker or Breaker()
        self._clock = clock
        self._throttle = Throttle(clock=clock)
        self._pace = Pace(settings.twitch.resolves_per_second)
        visits = settings.capture.channels or min(32, 4 * (os.cpu_count() or 1))
        self._adapter = adapter or shared_adapter(settings.twitch.rewrite, connections=visits + _SPARE)
        self._closed = threading.Event()
        self._stop = stop or self._closed
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, _Slot] = OrderedDict()  # the one used last at the end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_all()

    def open(self, login: str) -> LiveSource:
        """Return the channel's stream, resolving it the first time.

        Raises ChannelOffline, NoSuchChannel, Geoblocked, SubscriberOnly, StreamUnreadable, IntegrityFailed
        (also at once, while the breaker is open), RateLimited, NetworkError, Interrupted; ConfigError if
        it is no login.
        """
        name = login.strip().lower()
        if not _LOGIN.fullmatch(name):
            raise ConfigError(f"{login!r} is no Twitch login: only letters, digits and _")
        with self._lock:
            slot = self._slots.setdefault(name, _Slot())
            self._slots.move_to_end(name)
            while len(self._slots) > _KEPT_OPEN:
                self._slots.popitem(last=False)  # who is reading it still holds its source
        with slot.lock:
            if slot.source is None:
                try:
                    session = StreamSession(self._settings.twitch, self._adapter, self._closed)
                    slot.source = LiveSource(
                        name,
                        session,
                        find=self._find,
                        missed=self._missed,
                        throttle=self._throttle,
                        clock=self._clock,
                    )
                except TwitchcatError:
                    self.close(name)
                    raise
            return slot.source

    def held_for(self) -> float:
        """Seconds for which no stream is to be visited; mostly 0.

        Twitch refuses access tokens, or has asked (429) for fewer looks at playlists and segments. What is
        under way may go on.
        """
        return max(self._breaker.held_for(), self._throttle.held_for())

    def close(self, login: str) -> None:
        """Forget the channel's stream; opening it again resolves it anew."""
        with self._lock:
            self._slots.pop(login.strip().lower(), None)

    def close_all(self) -> None:
        """Forget all streams, end all waits and close the connections."""
        self._closed.set()
        with self._lock:
            self._slots.clear()
        self._adapter.close()

    def _missed(self, login: str) -> TwitchcatError:
        return absent(login, self._live_state)

    def _find(self, session: StreamSession, login: str) -> Resolved:
        with self._breaker.attempt(login):
            self._pace.wait(self._stop)
            if self._stop.is_set() or self._closed.is_set():
                raise Interrupted(f"stopped before {login} was opened")
            return resolve(
                session.streamlink, login, self._settings.capture.variant, live_state=self._live_state
            )
