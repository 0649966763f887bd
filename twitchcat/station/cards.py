"""Generated segments: the card that is shown in place of an ad, and silence."""

import io
from fractions import Fraction

import av
import numpy as np

from twitchcat.station.media import h264_stream

#: The card's background, RGB.
AD_RGB = (145, 70, 255)

_TEXT = "COMMERCIAL BREAK"
_SOUND_RATE = 48_000


def ad_card(*, size: tuple[int, int], fps: float, span_s: float) -> bytes:
    """An MP4 of a purple card of (width, height) with a bar that moves, beginning at 0."""
    import cv2  # noqa: PLC0415  slow to load, and most stations never show an ad

    width, height = size
    card = np.full((height, width, 3), AD_RGB, np.uint8)
    scale = width / 480
    thickness = max(1, round(2 * scale))
    (text_width, text_height), _ = cv2.getTextSize(_TEXT, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    at = ((width - text_width) // 2, (height + text_height) // 2)
    cv2.putText(card, _TEXT, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as writer:
        stream = h264_stream(writer, size=size, fps=fps, bit_rate=400_000)
        count = max(1, round(span_s * fps))
        for position in range(count):
            picture = card.copy()
            picture[-max(2, height // 40) :, : width * (position + 1) // count] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = position, 1 / stream.codec_context.framerate
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return out.getvalue()


def silence(*, span_s: float) -> bytes:
    """An MP4 of silent AAC sound, beginning at 0."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as writer:
        stream = writer.add_stream("aac", rate=_SOUND_RATE, layout="stereo")
        samples = stream.codec_context.frame_size or 1024
        for position in range(max(1, round(span_s * _SOUND_RATE / samples))):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, samples), np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = _SOUND_RATE, position * samples
            frame.time_base = Fraction(1, _SOUND_RATE)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return out.getvalue()
