"""From the first bytes of a segment to its first keyframe.

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
from av.video.stream import VideoStream
from numpy.typing import NDArray

from twitchcat.errors import SegmentUnreadable
from twitchcat.frames.ranges import RangeSizes
from twitchcat.frames.segment import ByteSource, Chunk

__all__ = [
    "MAX_BYTES",
    "MAX_REQUESTS",
    "MAX_SIDE",
    "Keyframe",
    "RangeSizes",
    "decode_keyframe",
    "fetch_keyframe",
]

MAX_BYTES = 16 * 2**20  #: of one segment; a keyframe at 6 Mbit/s is below half of one MiB
MAX_REQUESTS = 12  #: of one segment; twice what doubling from 4 KiB to MAX_BYTES leaves unasked
MAX_SIDE = 8192  #: pixels

_TS_PACKET = 188  # ISO/IEC 13818-1, 2.4.3.2: a sync byte begins each packet
_TS_SYNC = 0x47
# Boxes that a segment or an initialisation section begins with: ISO/IEC 14496-12, 23000-19.
_BOXES = {
    b"ftyp",
    b"styp",
    b"sidx",
    b"ssix",
    b"moof",
    b"moov",
    b"emsg",
    b"prft",
    b"free",
    b"skip",
    b"mdat",
    b"uuid",
}
_CODECS = {"h264", "hevc", "av1"}

_DEMUX = {
    "probesize": "32768",
    "analyzeduration": "0",
    # Stream analysis would decode the keyframe once more than needed: a third of the cost of a frame.
    "skip_frame": "all",
    "threads": "1",
    "max_pixels": str(MAX_SIDE * MAX_SIDE // 2),
}
_DECODE = {
    # A decoder that conceals errors paints what is missing grey; this one says so instead.
    "err_detect": "explode",
    "max_pixels": str(MAX_SIDE * MAX_SIDE // 2),
}

# What PyAV raises on hostile bytes, besides libav's own errors.
_LIBAV_ERRORS = (
    av.FFmpegError,
    ValueError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keyframe:
    """The first keyframe of a segment, and what it took to get it."""

    rgb: NDArray[np.uint8]  #: (H, W, 3) uint8 RGB
    bytes_fetched: int  #: of the segment, all requests together
    end: int  #: the byte offset in the segment at which the keyframe was whole


@dataclass(frozen=True, slots=True)
class _Partial:
    """No whole keyframe in these bytes."""

    why: str
    need: int | None = None  #: bytes of the segment known to be needed


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A packet that is the first keyframe."""

    packet: "Packet[VideoStream]"  # quoted: generic for type checkers alone
    end: int | None  #: offset in the segment at which it was whole; None: with the segment's end


def decode_keyframe(data: bytes, *, init: bytes = b"") -> NDArray[np.uint8]:
    """Decode the first keyframe of a whole segment: (H, W, 3) uint8 RGB.

    `init` is the initialisation section (`EXT-X-MAP`) of a fragmented MP4. Raises SegmentUnreadable.
    """
    found = _keyframe(data, init, ended=True)
    if isinstance(found, _Partial):
        raise SegmentUnreadable(found.why)
    return found[0]


def fetch_keyframe(source: ByteSource, *, init: bytes = b"", sizes: RangeSizes) -> Keyframe:
    """Fetch as little of a segment as gives its first keyframe, and decode it.

    Asks for what `sizes` expects, then for more until the keyframe is whole, in at most MAX_REQUESTS requests
    and MAX_BYTES bytes. `init` as in `decode_keyframe`. Raises SegmentUnreadable, and what `source` raises.
    """
    held, fetched, stop = b"", 0, sizes.opening()
    for requests in range(1, MAX_REQUESTS + 1):
        chunk = source.read(len(held), stop)
        fetched += len(chunk.data)
        ended = _is_last(chunk, held=len(held), stop=stop)
        held = _join(held, chunk)
        found = _keyframe(held, init, ended=ended)
        if not isinstance(found, _Partial):
            rgb, end = found
            sizes.learn(end)
            return Keyframe(rgb=rgb, bytes_fetched=fetched, end=end)
        if ended:
            raise SegmentUnreadable(found.why)
        if len(held) >= MAX_BYTES:
            break
        further = sizes.further(len(held), requests=requests)
        if found.need is not None and found.need > len(held):
            further = found.need
        stop = min(further, MAX_BYTES, chunk.total or MAX_BYTES)
    raise SegmentUnreadable(f"no whole keyframe in the first {len(held)} bytes of the segment")


def _is_last(chunk: Chunk, *, held: int, stop: int) -> bool:
    """Say whether the segment ends with this chunk, which answers a read of `held` to `stop`."""
    ignored_range = chunk.start == 0 and (held > 0 or len(chunk.data) > stop)
    if ignored_range or not chunk.data:
        return True
    end = chunk.start + len(chunk.data)
    return end >= chunk.total if chunk.total is not None else end < stop


def _join(held: bytes, chunk: Chunk) -> bytes:
    if not chunk.data:
        return held
    if chunk.start > len(held):
        raise SegmentUnreadable(f"asked for the segment from byte {len(held)}, got it from {chunk.start}")
    return held[: chunk.start] + chunk.data


def _keyframe(data: bytes, init: bytes, *, ended: bool) -> tuple[NDArray[np.uint8], int] | _Partial:
    """Decode the first keyframe of a segment's first bytes if it is whole; `ended`: these are all."""
    kind = _kind(data)
    if kind is None:
        return _Partial(f"the segment ended after {len(data)} bytes" if data else "the segment is empty")
    before = init if kind == "mp4" else b""  # MPEG-TS carries its tables in every segment
    try:
        container = av.open(
            io.BytesIO(before + data), "r", format=kind, options=_DEMUX, metadata_errors="replace"
        )
    except _LIBAV_ERRORS as error:
        return _Partial(f"the segment does not open: {error}")
    with container:
        try:
            stream = _video(container)
            if stream is None:
                return _Partial("the segment holds no stream")
            found = (
                _find_mp4(container, stream, len(before)) if kind == "mp4" else _find_ts(container, stream)
            )
            if isinstance(found, _Partial):
                return found
            if found.end is None and not ended:
                return _Partial("the segment's first keyframe is not whole")
            return _decode(stream, found.packet), found.end or len(data)
        except _LIBAV_ERRORS as error:
            raise SegmentUnreadable(f"the segment's first keyframe does not decode: {error}") from error


def _kind(data: bytes) -> Literal["mpegts", "mp4"] | None:
    """Name the container by its first bytes; None: too few to tell. Raises SegmentUnreadable if neither."""
    if len(data) < 8:
        return None
    if data[0] == _TS_SYNC and (len(data) <= _TS_PACKET or data[_TS_PACKET] == _TS_SYNC):
        return "mpegts"
    if data[4:8] in _BOXES:
        return "mp4"
    raise SegmentUnreadable("the segment is neither MPEG-TS nor fragmented MP4")


def _video(container: InputContainer) -> VideoStream | None:
    """Return the video stream, None while no stream is known yet."""
    if not len(container.streams):
        return None
    if not container.streams.video:
        raise SegmentUnreadable(
            "the segment has no video, only " + ", ".join(s.type for s in container.streams)
        )
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.codec.canonical_name not in _CODECS:
        raise SegmentUnreadable(
            f"the segment's video is {context.codec.canonical_name}, which Twitch never sends"
        )
    _check_size(context.width, context.height)
    return stream


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise SegmentUnreadable(f"the segment claims pictures of {width}x{height}")


def _find_ts(container: InputContainer, stream: VideoStream) -> _Whole | _Partial:
    """Find the first keyframe: an access unit of MPEG-TS is whole once the next has begun, or at the end."""
    key: Packet[VideoStream] | None = None
    for packet in container.demux(stream):
        if not packet.size:  # libav's end of stream
            break
        if key is not None:
            begun = packet.pos is not None and key.pos is not None and packet.pos > key.pos
            return _Whole(key, packet.pos + _TS_PACKET if begun and packet.pos is not None else None)
        if packet.is_keyframe:
            key = packet
    return _Partial("the segment ended without a keyframe") if key is None else _Whole(key, None)


def _find_mp4(container: InputContainer, stream: VideoStream, before: int) -> _Whole | _Partial:
    """Find the first keyframe: fragmented MP4 says how long samples are; libav marks a cut one."""
    sample = next((entry for entry in stream.index_entries if entry.is_keyframe), None)
    need = sample.pos + sample.size - before if sample else None
    for packet in container.demux(stream):
        if not packet.size or packet.is_corrupt:
            break
        if packet.is_keyframe and packet.pos is not None:
            return _Whole(packet, packet.pos + packet.size - before)
    return _Partial(
        "the segment ended " + ("before its first keyframe was whole" if sample else "without a keyframe"),
        need,
    )


def _decode(stream: VideoStream, packet: "Packet[VideoStream]") -> NDArray[np.uint8]:
    context = stream.codec_context
    context.thread_count = 1
    context.skip_frame = "NONKEY"
    context.options = _DECODE
    frames = context.decode(packet) or context.decode(None)
    if not frames or packet.is_corrupt or frames[0].is_corrupt:
        raise SegmentUnreadable("the segment's first keyframe is broken")
    _check_size(frames[0].width, frames[0].height)
    return frames[0].to_ndarray(format="rgb24").astype(np.uint8, copy=False)
