"""PyAV: whether it has the codecs, and decodes."""

import io
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.codec import Codec
from av.codec.codec import UnknownCodecError

from twitchcat.doctor.finding import Finding, failure, ok, warning
from twitchcat.frames.keyframe import decode_keyframe


def examine_decoding() -> list[Finding]:
    """Make a tiny video in memory and decode its keyframe as collecting does.

    Raises SegmentUnreadable if no picture comes back.
    """
    reinstall = "Reinstall PyAV from its wheel: `pip install --force-reinstall --only-binary=:all: av`."
    if not _has("h264", "r"):
        return [failure("decoding", "PyAV here cannot decode H.264, which Twitch sends", reinstall)]
    if not _has("libx264", "w"):
        said = "PyAV here cannot encode H.264, so `station` and `demo` do not work; decoding was not tried"
        return [warning("decoding", said, reinstall)]
    height, width = _round_trip()
    return [ok("decoding", f"an H.264 keyframe of {width}x{height} came back from MPEG-TS")]


def _round_trip() -> tuple[int, int]:
    """Encode two pictures and return the height and width of the keyframe that is decoded from them.

    Raises SegmentUnreadable if none is.
    """
    segment = io.BytesIO()
    with av.open(segment, "w", format="mpegts") as output:
        stream = output.add_stream("libx264", rate=15, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for n in range(2):
            picture = av.VideoFrame.from_ndarray(np.full((90, 160, 3), 90 * n, np.uint8), format="rgb24")
            picture.pts, picture.time_base = n, Fraction(1, 15)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    height, width, _ = decode_keyframe(segment.getvalue()).shape
    return height, width


def _has(name: str, mode: Literal["r", "w"]) -> bool:
    try:
        Codec(name, mode)
    except UnknownCodecError:
        return False
    return True
