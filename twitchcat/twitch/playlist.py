"""The window of a live media playlist: which segments may be looked at.

Read by streamlink's own parser of Twitch playlists, which knows Twitch's ads and prefetch lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from streamlink.plugins.twitch import TwitchHLSSegment, TwitchHLSStream, TwitchM3U8
from streamlink.stream.hls import parse_m3u8

from twitchcat.errors import AdsOnly, StreamUnreadable

#: How far the programme times of segments and the announced times of ads may be apart.
_EDGE = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One stretch of video, some seconds long, that begins with a keyframe."""

    uri: str
    number: int  #: media sequence number; starts again when the broadcaster reconnects
    at: datetime  #: programme time of its first picture, UTC
    duration_s: float
    init_uri: str | None = None  #: fMP4: to be read first (EXT-X-MAP)
    init_range: tuple[int, int] | None = None  #: bytes [start, stop) of init_uri; None: all
    byte_range: tuple[int, int] | None = None  #: bytes [start, stop) of uri; None: all

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("at needs a time zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistWindow:
    """What a live playlist offers at one moment."""

    #: Oldest first: neither ads nor beside one, no prefetch, in the clear, with a time.
    segments: tuple[Segment, ...]
    ads: int  #: segments that are ads
    dropped: int  #: segments left out because an ad is next to them
    unusable: int  #: segments left out because they are encrypted or have no time
    first_number: int  #: media sequence number of the playlist's first segment
    target_duration_s: float  #: no segment is longer; a new look is worth it after about this long
    ended: bool  #: the stream is over: no segment will follow

    def require_content(self) -> "PlaylistWindow":
        """Return the window itself. Raises AdsOnly when ads are all there is."""
        if self.ads and not self.segments:
            raise AdsOnly(f"the stream shows nothing but ads at the moment ({self.ads} segments)")
        return self


def parse_window(text: str, uri: str) -> PlaylistWindow:
    """Read the media playlist `text` that came from `uri`, to which its relative addresses belong.

    A segment without a programme time gets the time at which the one before it ends (RFC 8216, 4.3.2.6);
    before the first given time, and after a discontinuity, there is none, and the segment is unusable.
    Raises StreamUnreadable if the text is no media playlist.
    """
    try:
        playlist: TwitchM3U8 = parse_m3u8(text, base_uri=uri, parser=TwitchHLSStream.__parser__)
        return _window(playlist)
    except (ValueError, TypeError, ArithmeticError) as error:  # what bad numbers and times end in
        raise StreamUnreadable(f"Twitch's playlist could not be read: {error}") from error


def _window(playlist: TwitchM3U8) -> PlaylistWindow:
    if playlist.is_master or (playlist.targetduration is None and not playlist.segments):
        raise ValueError("it is no media playlist")
    regular = [segment for segment in playlist.segments if not segment.prefetch]
    times = list(_times(regular))
    ads = [
        segment.ad or (at is not None and _in_ad(playlist, at))
        for segment, at in zip(regular, times, strict=True)
    ]
    # A prefetch line after a discontinuity announces an ad: the segment before it is at the edge.
    ad_follows = any(segment.prefetch and segment.ad for segment in playlist.segments)
    before, after = [False, *ads[:-1]], [*ads[1:], ad_follows]
    ranges = list(_byte_ranges(regular))
    segments: list[Segment] = []
    dropped = unusable = 0
    for n, (segment, at) in enumerate(zip(regular, times, strict=True)):
        if ads[n]:
            continue
        if at is None or _encrypted(segment):
            unusable += 1
            continue
        end = at + timedelta(seconds=segment.duration)
        # The parser leaves a discontinuity only between ad and content; the ad may have left the window.
        beside = before[n] or after[n] or segment.discontinuity
        if beside or _in_ad(playlist, at - _EDGE) or _in_ad(playlist, end + _EDGE):
            dropped += 1
            continue
        init = segment.map
        segments.append(
            Segment(
                uri=segment.uri,
                number=segment.num,
                at=at,
                duration_s=segment.duration,
                init_uri=init.uri if init else None,
                init_range=_absolute(init.byterange.offset or 0, init.byterange.range)
                if init and init.byterange
                else None,
                byte_range=ranges[n],
            )
        )
    return PlaylistWindow(
        segments=tuple(segments),
        ads=sum(ads),
        dropped=dropped,
        unusable=unusable,
        first_number=playlist.media_sequence or 0,
        target_duration_s=playlist.targetduration or max((one.duration for one in regular), default=0.0),
        ended=playlist.is_endlist,
    )


def _times(segments: list[TwitchHLSSegment]) -> Iterator[datetime | None]:
    next_at: datetime | None = None
    for segment in segments:
        given = segment.date
        at: datetime | None
        if given is not None:
            # RFC 8216 asks for a time zone; without one, UTC is what Twitch uses.
            at = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
        else:
            at = None if segment.discontinuity else next_at
        yield at
        next_at = at + timedelta(seconds=segment.duration) if at is not None else None


def _in_ad(playlist: TwitchM3U8, at: datetime) -> bool:
    return any(playlist.is_date_in_daterange(at, daterange) for daterange in playlist.dateranges_ads)


def _encrypted(segment: TwitchHLSSegment) -> bool:
    keys = (segment.key, segment.map.key if segment.map else None)
    return any(key is not None and key.method != "NONE" for key in keys)


def _byte_ranges(segments: list[TwitchHLSSegment]) -> Iterator[tuple[int, int] | None]:
    """Yield [start, stop) of each; without an offset it follows the one before (RFC 8216, 4.3.2.2)."""
    stop = 0
    for before, segment in zip(chain([None], segments), segments, strict=False):
        if segment.byterange is None:
            stop = 0
            yield None
            continue
        follows = before is not None and before.uri == segment.uri
        offset = segment.byterange.offset
        start = (stop if follows else 0) if offset is None else offset
        stop = start + segment.byterange.range
        yield start, stop


def _absolute(start: int, length: int) -> tuple[int, int]:
    return start, start + length
