"""Videos as segments: where a file can be cut, and its pieces as MPEG-TS or fragmented MP4."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from twitchcat.errors import ConfigError

Packet: TypeAlias = "av.Packet[Any]"  # generic for the type checker alone

SEGMENT_S = 2.0  #: Twitch's segments are two seconds; a file's are so long as its keyframes allow
_CUT_SLACK_S = 0.05  # a keyframe this little early still ends a segment
LOW_HEIGHT = 160
_TS_BASE = Fraction(1, 90_000)

#: How far before a keyframe it is sought, one after another; None: from the beginning of the file.
#: A container without an index, as MPEG-TS, sends a seeker past it.
_SEEKS_S = (0.0, 5.0, 30.0, None)


class Container(StrEnum):
    """What a segment is packed in; the value is the suffix of its address."""

    TS = "ts"
    MP4 = "mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A file and the places where it can be cut."""

    path: Path
    width: int
    height: int
    fps: float
    begins: tuple[int, ...]  #: pts of each segment's first keyframe, in time_base
    end: int  #: pts behind the last frame, in time_base
    time_base: Fraction
    codecs: str  #: RFC 6381
    bandwidth: int  #: bits per second
    copied: bool  #: whether packets are passed on as they are; else they are encoded as H.264

    @property
    def spans_s(self) -> tuple[float, ...]:
        """Seconds of each segment."""
        bounds = (*self.begins, self.end)
        return tuple(float((b - a) * self.time_base) for a, b in pairwise(bounds))

    @property
    def low_size(self) -> tuple[int, int]:
        """Width and height of the 160p rendition, even as H.264 wants them."""
        return round(self.width * LOW_HEIGHT / self.height / 2) * 2, LOW_HEIGHT

    def bounds(self, index: int) -> tuple[int, int]:
        """The pts at which a segment begins and ends, in time_base."""
        return self.begins[index], (*self.begins, self.end)[index + 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of video, packed."""

    data: bytes
    head: int  #: bytes before the first keyframe's own
    keyframe: int  #: bytes of the first keyframe

    def truncated(self) -> bytes:
        """The segment up to the middle of its first keyframe."""
        return self.data[: self.head + self.keyframe // 2]


def flaw(path: Path) -> str | None:
    """Why a file cannot be played; None where it seems that it can. Reads it up to the first packet."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "there are no pictures in it"
            packets = container.demux(container.streams.video[0])
            return None if any(packet.size for packet in packets) else "there are no pictures in it"
    except (av.error.FFmpegError, OSError) as error:
        return error.strerror or type(error).__name__


def index(path: Path) -> Video:
    """Find where a file can be cut: at the first keyframe two seconds after the last cut, and so on.

    Raises ConfigError where it is no video.
    """
    try:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            keys: list[int] = []
            end = 0
            # To leave out all but keyframes would be quicker, but gives wrong pts where frames are reordered.
            for packet in container.demux(video):
                if packet.pts is None:
                    continue
                if packet.is_keyframe:
                    keys.append(packet.pts)
                end = max(end, packet.pts + (packet.duration or 0))
            return _describe(path, video, keys, end, size=path.stat().st_size)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be played: {error}") from error


def _describe(path: Path, video: VideoStream, keys: list[int], end: int, *, size: int) -> Video:
    if video.time_base is None or not keys:
        raise ValueError("it has no keyframes")
    fps = float(video.average_rate or video.guessed_rate or 30)
    base = video.time_base
    begins = [keys[0]]
    for key in keys[1:]:
        if (key - begins[-1]) * base >= SEGMENT_S - _CUT_SLACK_S:
            begins.append(key)
    end = max(end, keys[-1] + max(1, round(1 / fps / base)))
    span_s = float((end - keys[0]) * base)
    extradata = video.codec_context.extradata or b""
    # avcC (ISO/IEC 14496-15, 5.3.3.1): version, profile, compatibility, level
    profile = extradata[1:4].hex().upper() if extradata[:1] == b"\x01" else "64001F"
    return Video(
        path=path,
        width=video.width,
        height=video.height,
        fps=fps,
        begins=tuple(begins),
        end=end,
        time_base=base,
        codecs=f"avc1.{profile}",
        bandwidth=round(size * 8 / max(span_s, 1.0)),
        copied=video.codec_context.name == "h264",
    )


def remux(
    source: Path | bytes, bounds: tuple[int, int] | None, *, at_s: float, container: Container
) -> Segment:
    """Pack the packets of `source` between two pts anew, the first picture shown at `at_s` seconds.

    `bounds` are in the source's time base and begin at a keyframe; None takes everything. Nothing is decoded.
    """
    out = io.BytesIO()
    options = {
        # Times stay as they are given, so that they go on from segment to segment.
        "avoid_negative_ts": "disabled",
        **(
            {"mpegts_copyts": "1", "mpegts_flags": "+initial_discontinuity"}
            if container is Container.TS
            else {"movflags": "empty_moov+default_base_moof+frag_keyframe+frag_discont"}
        ),
    }
    name = "mpegts" if container is Container.TS else "mp4"
    with (
        _stretch(source, bounds) as (stream, packets),
        av.open(out, "w", format=name, options=options) as writer,
    ):
        base = stream.time_base or _TS_BASE
        copy = writer.add_stream_from_template(stream)
        shift = round(at_s / base) - (bounds[0] if bounds else stream.start_time or 0)
        keyframe = packets[0].size
        for packet, (pts, dts) in zip(packets, _times(packets), strict=True):
            packet.pts, packet.dts = pts + shift, dts + shift
            packet.stream = copy
            writer.mux(packet)
    data = out.getvalue()
    # TS: the keyframe follows three tables of 188 bytes; MP4: it is the first sample of mdat.
    head = 3 * 188 if container is Container.TS else data.find(b"mdat") + 4
    return Segment(data=data, head=head, keyframe=keyframe)


@contextmanager
def _stretch(
    source: Path | bytes, bounds: tuple[int, int] | None
) -> Iterator[tuple[VideoStream | AudioStream, list[Packet]]]:
    """The packets between two pts, beginning with a keyframe, and their stream, which is open as long.

    Raises ValueError where there are none.
    """
    for back_s in _SEEKS_S:
        file = str(source) if isinstance(source, Path) else io.BytesIO(source)
        with av.open(file, "r") as reader:
            stream = (reader.streams.video or reader.streams.audio)[0]
            if bounds is not None and back_s is not None:
                reader.seek(bounds[0] - round(back_s / (stream.time_base or _TS_BASE)), stream=stream)
            packets = list(_between(reader.demux(stream), bounds))
            if packets:
                yield stream, packets
                return
    raise ValueError("there is no keyframe where the segment begins")


def _between(packets: Iterable[Packet], bounds: tuple[int, int] | None) -> Iterator[Packet]:
    playing = bounds is None
    for packet in packets:
        if packet.pts is None:
            continue
        if bounds is not None and packet.is_keyframe:
            if packet.pts >= bounds[1]:
                return
            playing = playing or packet.pts == bounds[0]
        if playing:
            yield packet


def _times(packets: Sequence[Packet]) -> list[tuple[int, int]]:
    """The pts and dts of packets in decoding order; made up where the container, as Matroska, has no dts."""
    known = [
        (packet.pts, packet.dts) for packet in packets if packet.pts is not None and packet.dts is not None
    ]
    if len(known) == len(packets):
        return known
    shown = [packet.pts for packet in packets if packet.pts is not None]
    in_order = sorted(shown)
    ahead = max(due - pts for due, pts in zip(in_order, shown, strict=True))
    return [(pts, due - ahead) for due, pts in zip(in_order, shown, strict=True)]


def split_init(fragmented: bytes) -> tuple[bytes, bytes]:
    """Part a fragmented MP4 into its init section and its fragments (ISO/IEC 14496-12, 8.8)."""
    at = fragmented.find(b"moof") - 4
    return fragmented[:at], fragmented[at:]


def transcode(video: Video, index: int, *, size: tuple[int, int], bit_rate: int) -> bytes:
    """Encode one segment anew as H.264 of (width, height): an MP4 that begins at 0, with one keyframe."""
    begin, end = video.bounds(index)
    out = io.BytesIO()
    with _stretch(video.path, (begin, end)) as (stream, packets), av.open(out, "w", format="mp4") as writer:
        # Other channels wait for the same two cores.
        stream.codec_context.thread_count = 1
        encoder = h264_stream(writer, size=size, fps=video.fps, bit_rate=bit_rate)
        position = 0
        for frame in (frame for packet in (*packets, None) for frame in stream.decode(packet)):
            if not isinstance(frame, av.VideoFrame) or frame.pts is None or not begin <= frame.pts < end:
                continue
            picture = frame.reformat(width=size[0], height=size[1], format="yuv420p")
            picture.pts, picture.time_base = position, 1 / encoder.codec_context.framerate
            picture.pict_type = av.video.frame.PictureType.NONE  # else the source's keyframes are copied too
            writer.mux(encoder.encode(picture))
            position += 1
        writer.mux(encoder.encode(None))
    return out.getvalue()


def h264_stream(
    writer: av.container.OutputContainer, *, size: tuple[int, int], fps: float, bit_rate: int
) -> VideoStream:
    """An H.264 stream with one keyframe at its beginning."""
    rate = Fraction(fps).limit_denominator(1001)
    stream: VideoStream = writer.add_stream(
        "libx264",
        rate=rate,
        options={
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "main",
            "b": str(bit_rate),
            "maxrate": str(bit_rate),
            "bufsize": str(bit_rate * 2),
            "g": "600",
            "sc_threshold": "0",
        },
    )
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    stream.codec_context.thread_count = 1
    return stream
