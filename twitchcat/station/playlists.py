"""The text of playlists, as Twitch writes it. Pure: every time is an argument."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from twitchcat.station.addresses import PlaylistAddress, Rendition, SegmentAddress
from twitchcat.station.media import Container, Video
from twitchcat.station.timeline import AdBreak, Entry, Loop, Part, Window

LOW_BANDWIDTH = 230_000

#: Twitch says 6 for its segments of 2 s; a file with rarer keyframes needs more (RFC 8216, 4.3.3.1).
_TARGET_S = 6


def moment(unix_s: float) -> str:
    """A Unix time as Twitch writes it: UTC, milliseconds."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def renditions(video: Video) -> tuple[Rendition, ...]:
    """What a video is offered in: as it is, and smaller where it is larger than that."""
    low = (Rendition.LOW,) if video.height > video.low_size[1] else ()
    return (Rendition.SOURCE, *low)


def variant_id(video: Video, rendition: Rendition) -> str:
    """The rendition's STABLE-VARIANT-ID, which streamlink names the stream after."""
    return f"{video.height}p{round(video.fps)}" if rendition is Rendition.SOURCE else rendition.value


def master(video: Video, login: str, offered: Iterable[Rendition], *, now_s: float) -> str:
    """The playlist that usher gives out: one variant for each rendition offered."""
    lines = ["#EXTM3U", f'#EXT-X-SESSION-DATA:DATA-ID="SERVER-TIME",VALUE="{now_s:.2f}"']
    for rendition in offered:
        name = variant_id(video, rendition)
        if rendition is Rendition.AUDIO:
            facts = 'BANDWIDTH=160000,CODECS="mp4a.40.2"'
        else:
            low = rendition is Rendition.LOW
            width, height = video.low_size if low else (video.width, video.height)
            codecs = "avc1.4D401F" if low else video.codecs
            bandwidth = LOW_BANDWIDTH if low else video.bandwidth
            facts = (
                f'BANDWIDTH={bandwidth},RESOLUTION={width}x{height},CODECS="{codecs}",'
                f"FRAME-RATE={video.fps:.3f}"
            )
        source = "source" if rendition is Rendition.SOURCE else "transcode"
        names = f'STABLE-VARIANT-ID="{name}",IVS-NAME="{name}",IVS-VARIANT-SOURCE="{source}"'
        lines.append(f"#EXT-X-STREAM-INF:{facts},{names}")
        lines.append(PlaylistAddress(login, rendition, round(now_s * 1000)).url)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """What a media playlist is made from."""

    login: str
    stream_id: str
    rendition: Rendition
    epoch: int
    container: Container
    origin_s: float  #: Unix time at which segment 0 began
    loop: Loop
    window: Window
    ads: Sequence[AdBreak]  #: in seconds since segment 0

    def text(self) -> str:
        """The playlist."""
        entries = self.window.entries
        first, last = entries[0].slot, entries[-1].slot
        target = max(_TARGET_S, ceil(max(self.loop.spans_s)))
        number = self.window.media_sequence
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:6" if self.container is Container.MP4 else "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{target}",
            f"#EXT-X-MEDIA-SEQUENCE:{number}",
            f"#EXT-X-TWITCH-LIVE-SEQUENCE:{number}",
            f"#EXT-X-TWITCH-ELAPSED-SECS:{first.start_s:.3f}",
            f"#EXT-X-TWITCH-TOTAL-SECS:{last.start_s + last.span_s:.3f}",
            *self._session(),
            *self._ad_ranges(),
        ]
        before: Entry | None = None
        for entry in entries:
            lines += self._segment(entry, before)
            before = entry
        lines += [f"#EXT-X-TWITCH-PREFETCH:{self._address(entry).url}" for entry in self.window.prefetch]
        return "\n".join(lines) + "\n"

    def _session(self) -> Iterable[str]:
        at, number = moment(self.origin_s), round(self.origin_s)
        since = f'START-DATE="{at}",END-ON-NEXT=YES'
        creation = f'ID="playlist-creation-{number}",CLASS="timestamp"'
        session = f'ID="playlist-session-{number}",CLASS="twitch-session"'
        yield f'#EXT-X-DATERANGE:{creation},{since},X-SERVER-TIME="{self.origin_s:.2f}"'
        yield f'#EXT-X-DATERANGE:{session},{since},X-TV-TWITCH-SESSIONID="{self.stream_id}"'

    def _ad_ranges(self) -> Iterable[str]:
        last = (self.window.prefetch or self.window.entries)[-1].slot
        for number, one in enumerate(self.ads):
            start_s, end_s = (self._aligned(bound) for bound in (one.begin_s, one.end_s))
            if start_s <= last.start_s and end_s > self.window.entries[0].slot.start_s:
                span = f"{end_s - start_s:.3f}"
                yield (
                    f'#EXT-X-DATERANGE:ID="stitched-ad-{round(self.origin_s + start_s)}-{number}",'
                    f'CLASS="twitch-stitched-ad",START-DATE="{moment(self.origin_s + start_s)}",'
                    f"DURATION={span},"
                    f'X-TV-TWITCH-AD-ROLL-TYPE="MIDROLL",X-TV-TWITCH-AD-COMMERCIAL-ID="{round(start_s)}",'
                    f'X-TV-TWITCH-AD-POD-LENGTH="1",X-TV-TWITCH-AD-POD-POSITION="0",'
                    f'X-TV-TWITCH-AD-POD-FILLED-DURATION="{span}"'
                )

    def _aligned(self, elapsed_s: float) -> float:
        """The beginning of the first segment that begins at a moment or later."""
        number = self.loop.number_at(elapsed_s)
        start_s = self.loop.slot(number).start_s
        return start_s if start_s >= elapsed_s else self.loop.slot(number + 1).start_s

    def _segment(self, entry: Entry, before: Entry | None) -> Iterable[str]:
        ad, card = entry.part is Part.AD, entry.part is not Part.LIVE
        edge = before is not None and ad != (before.part is Part.AD)
        other = before is None or card != (before.part is not Part.LIVE)
        if edge:
            yield "#EXT-X-DISCONTINUITY"
            if ad:
                yield "#EXT-X-SCTE35-OUT"
        # Some clients forget the init section at a discontinuity.
        if self.container is Container.MP4 and (edge or other):
            yield f'#EXT-X-MAP:URI="{self._init(card=card).url}"'
        yield f"#EXT-X-PROGRAM-DATE-TIME:{moment(self.origin_s + entry.slot.start_s)}"
        yield f"#EXTINF:{entry.slot.span_s:.3f},{'Amazon|7530' if ad else 'live'}"
        yield self._address(entry).url

    def _address(self, entry: Entry) -> SegmentAddress:
        return SegmentAddress(
            self.login, self.rendition, self.epoch, entry.slot.number, entry.part, self.container
        )

    def _init(self, *, card: bool) -> SegmentAddress:
        # One address for all segments of a kind, so that a client asks for it once.
        part = Part.AD if card else Part.LIVE
        return SegmentAddress(self.login, self.rendition, 0, 0, part, self.container, init=True)
