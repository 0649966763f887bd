"""The first keyframe in the first bytes of a segment: found, known to be whole, decoded.

Nothing here trusts the bytes: they may be cut anywhere, garbage, or made to hurt. The container format is
decided here and never guessed by libav, whose guess may be a playlist or a script that opens other files.
"""

import io
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from twitchcat.errors import SegmentUnreadable

MAX_SIDE = 8192  #: pixels of a picture's longer side

_TS_PACKET = 188  # ISO/IEC 13818-1, 2.4.3.2: a sync byte begins each packet
_TS_SYNC = 0x47
# The boxes that a segment begins with: ISO/IEC 14496-12, 8.16.
_BOXES = {b"ftyp", b"styp", b"sidx", b"ssix", b"moof", b"moov", b"emsg", b"prft", b"free", b"skip", b"uuid"}
_CODECS = {"h264", "hevc", "av1"}

_DEMUX = {
    "probesize": "32768",
    "analyzeduration": "0",
    # Stream analysis would decode the keyframe once before we do: 1.3 of 3.3 ms at 360p.
    "skip_frame": "all",
    "threads": "1",
    "max_pixels": str(MAX_SIDE * MAX_SIDE // 2),
}
_DECODE = {
    # A decoder that conceals errors paints what is missing grey; this one says so instead.
    "err_detect": "explode",
    "max_pixels": str(MAX_SIDE * MAX_SIDE // 2),
}

# libav's own errors, and what PyAV raises where hostile bytes lead it astray.
_BROKEN = (av.FFmpegError, ValueError, ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The first keyframe of a segment."""

    rgb: NDArray[np.uint8]  #: (H, W, 3) uint8 RGB
    end: int  #: the byte offset in the segment at which the keyframe was whole


@dataclass(frozen=True, slots=True)
class Partial:
    """These bytes hold no whole keyframe; more of the segment may."""

    why: str  #: if there are no more, as a sentence
    need: int = 0  #: bytes of the segment known to be needed


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    packet: "Packet[VideoStream]"  # quoted: generic for type checkers alone
    end: int | None  # None: nothing after it says that it is whole


def first_keyframe(data: bytes, *, init: bytes, ended: bool) -> Whole | Partial:
    """Decode the first keyframe of a segment that begins with `data`, if it is whole.

    `init` is the initialisation section of a fragmented MP4, empty if there is none. `ended` says that `data`
    is the whole segment. Raises SegmentUnreadable if more bytes would not help.
    """
    kind = _kind(data)
    if kind is None:
        return Partial(f"the segment ended after {len(data)} bytes" if data else "the segment is empty")
    if kind == "mp4" and b"moof" not in data:
        return Partial("the segment ended before its first fragment")
    before = init if kind == "mp4" else b""  # MPEG-TS carries its tables in every segment
    try:
        file = io.BytesIO(before + data)
        container = av.open(file, "r", format=kind, options=_DEMUX, metadata_errors="replace")
    except _BROKEN as error:
        return Partial(f"the segment does not open: {error}")
    with container:
        try:
            return _read(container, kind, size=len(data), before=len(before), ended=ended)
        except _BROKEN as error:
            raise SegmentUnreadable(f"the segment's first keyframe does not decode: {error}") from error


def _kind(data: bytes) -> Literal["mpegts", "mp4"] | None:
    """Name the container by its first bytes; None: too few to tell."""
    if len(data) < 8:
        return None
    if data[0] == _TS_SYNC and (len(data) <= _TS_PACKET or data[_TS_PACKET] == _TS_SYNC):
        return "mpegts"
    if data[4:8] in _BOXES:
        return "mp4"
    raise SegmentUnreadable("the segment is neither MPEG-TS nor fragmented MP4")


def _read(container: InputContainer, kind: str, *, size: int, before: int, ended: bool) -> Whole | Partial:
    stream = _video(container)
    if stream is None:
        return Partial("the segment holds no stream")
    found = _find_in_mp4(container, stream, before) if kind == "mp4" else _find_in_ts(container, stream, size)
    if isinstance(found, Partial):
        return found
    if found.end is not None:
        return Whole(_decode(stream, found.packet), found.end)
    cut = Partial(f"the segment ended after {size} bytes, before its first keyframe was whole")
    # With nothing after it, only the decoder can tell a last access unit from a cut one: the H.264 decoder
    # finds every cut (tests/unit/test_keyframe.py), the HEVC decoder does not.
    if not ended or stream.codec_context.codec.canonical_name != "h264":
        return cut
    try:
        return Whole(_decode(stream, found.packet), size)
    except _BROKEN:
        return cut


def _video(container: InputContainer) -> VideoStream | None:
    """Return the video stream; None while no stream is known yet."""
    if not len(container.streams):
        return None
    if not container.streams.video:
        kinds = ", ".join(stream.type for stream in container.streams)
        raise SegmentUnreadable(f"the segment has no video, only {kinds}")
    stream = container.streams.video[0]
    context: VideoCodecContext | None = stream.codec_context  # None: libav knows no decoder
    codec = context.codec.canonical_name if context else "of no known codec"
    if context is None or codec not in _CODECS:
        raise SegmentUnreadable(f"the segment's video is {codec}, which Twitch never sends")
    _check_size(context.width, context.height)
    return stream


def _find_in_ts(container: InputContainer, stream: VideoStream, size: int) -> _Found | Partial:
    """Find the first keyframe: an access unit of MPEG-TS is whole once the next has begun."""
    key: Packet[VideoStream] | None = None
    for packet in container.demux(stream):
        if not packet.size:  # libav's end of stream
            break
        if key is not None:
            # Two access units in one PES packet have one position; the first ends somewhere in these bytes.
            begun = packet.pos if packet.pos is not None and packet.pos != key.pos else size
            return _Found(key, min(begun + _TS_PACKET, size))
        if packet.is_keyframe:
            key = packet
    return Partial("the segment ended without a keyframe") if key is None else _Found(key, None)


def _find_in_mp4(container: InputContainer, stream: VideoStream, before: int) -> _Found | Partial:
    """Find the first keyframe: fragmented MP4 says how long samples are, and libav marks a cut one."""
    sample = next((entry for entry in stream.index_entries if entry.is_keyframe), None)
    for packet in container.demux(stream):
        if not packet.size or packet.is_corrupt:
            break
        if packet.is_keyframe and packet.pos is not None:
            return _Found(packet, packet.pos + packet.size - before)
    if sample is None:
        return Partial("the segment ended without a keyframe")
    need = sample.pos + sample.size - before
    return Partial(f"the segment ended before byte {need}, where its first keyframe is whole", need)


def _decode(stream: VideoStream, packet: "Packet[VideoStream]") -> NDArray[np.uint8]:
    """Decode one packet: (H, W, 3) uint8 RGB. Raises ValueError for a picture with a part missing."""
    context = stream.codec_context
    context.thread_count = 1
    context.skip_frame = "NONKEY"
    context.options = _DECODE
    frames = context.decode(packet) or context.decode(None)
    if not frames or packet.is_corrupt or frames[0].is_corrupt:
        raise ValueError("a part is missing")
    _check_size(frames[0].width, frames[0].height)
    return frames[0].to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise SegmentUnreadable(f"the segment claims pictures of {width}x{height}")
