"""Fetch as little of a segment as gives one picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twitchcat.errors import SegmentUnreadable
from twitchcat.frames.demux import MAX_SIDE, Partial, first_keyframe
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

MAX_BYTES = 16 * 2**20  #: of one segment; a keyframe at 6 Mbit/s has less than half of one MiB
MAX_REQUESTS = 16  #: for one segment; enough for MAX_BYTES from 8 KiB on


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keyframe:
    """The first keyframe of a segment, and what it took to get it."""

    rgb: NDArray[np.uint8]  #: (H, W, 3) uint8 RGB
    bytes_fetched: int  #: of the segment, all requests together
    end: int  #: the byte offset in the segment at which the keyframe was whole


def decode_keyframe(data: bytes, *, init: bytes = b"") -> NDArray[np.uint8]:
    """Decode the first keyframe of a whole segment: (H, W, 3) uint8 RGB.

    `init` is the initialisation section (`EXT-X-MAP`) of a fragmented MP4. Raises SegmentUnreadable.
    """
    found = first_keyframe(data, init=init, ended=True)
    if isinstance(found, Partial):
        raise SegmentUnreadable(found.why)
    return found.rgb


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
        found = first_keyframe(held, init=init, ended=ended)
        if not isinstance(found, Partial):
            sizes.learn(found.end)
            return Keyframe(rgb=found.rgb, bytes_fetched=fetched, end=found.end)
        if ended:
            raise SegmentUnreadable(found.why)
        limit = min(MAX_BYTES, chunk.total or MAX_BYTES)
        if len(held) >= limit or found.need > limit:
            break
        stop = found.need if found.need > len(held) else sizes.further(len(held), requests=requests)
        stop = min(stop, limit)
    raise SegmentUnreadable(f"no whole keyframe in the first {len(held)} bytes of the segment")


def _is_last(chunk: Chunk, *, held: int, stop: int) -> bool:
    """Say whether the segment ends with this chunk, which answers a read from `held` to `stop`."""
    ignored_range = chunk.start == 0 and (held > 0 or len(chunk.data) > stop)
    if ignored_range or not chunk.data:
        return True
    end = chunk.start + len(chunk.data)
    return end >= chunk.total if chunk.total is not None else end < stop


def _join(held: bytes, chunk: Chunk) -> bytes:
    if not chunk.data:
        return held
    if not 0 <= chunk.start <= len(held):
        raise SegmentUnreadable(f"asked for the segment from byte {len(held)}, got it from {chunk.start}")
    joined = held[: chunk.start] + chunk.data
    if len(joined) > MAX_BYTES:
        raise SegmentUnreadable(f"the segment came whole, with {len(joined)} bytes")
    return joined
