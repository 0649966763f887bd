"""Tiny videos, made in memory, for the tests of frames."""

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from twitchcat.frames.segment import Chunk

WIDTH, HEIGHT, FPS = 160, 90, 15


def pictures(
    count: int, *, seed: int = 0, width: int = WIDTH, height: int = HEIGHT
) -> list[NDArray[np.uint8]]:
    """Draw `count` pictures of moving blocks: (H, W, 3) uint8 RGB."""
    blocks = np.random.default_rng(seed).integers(0, 255, (height // 10, width // 10, 3), dtype=np.uint8)
    still = np.kron(blocks, np.ones((10, 10, 1), np.uint8))
    return [np.roll(still, 3 * i, axis=1) for i in range(count)]


def encode(
    frames: list[NDArray[np.uint8]],
    container: str,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    audio: bool = False,
) -> bytes:
    """Encode pictures to one file, MPEG-TS ("mpegts") or fragmented MP4 ("mp4"), with silence if `audio`."""
    file = io.BytesIO()
    fragmented = {"movflags": "empty_moov+default_base_moof+frag_keyframe"} if container == "mp4" else {}
    with av.open(file, "w", format=container, options=fragmented) as output:
        sound = output.add_stream("aac", rate=48_000) if audio else None
        if frames:
            video = cast(
                "VideoStream",
                output.add_stream(codec, rate=FPS, options={"preset": "ultrafast", **(options or {})}),
            )
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            for i, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, FPS)
                output.mux(video.encode(frame))
        if sound is not None:
            for i in range(20):
                silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
                silence.sample_rate, silence.pts, silence.time_base = 48_000, i * 1024, Fraction(1, 48_000)
                output.mux(sound.encode(silence))
            output.mux(sound.encode(None))
        if frames:
            output.mux(video.encode(None))
    return file.getvalue()


def decode_all(data: bytes) -> list[NDArray[np.uint8]]:
    """Decode a file as any player does, with nothing tuned: (H, W, 3) uint8 RGB each."""
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]


def access_units(data: bytes) -> list[int]:
    """Return the offsets at which the access units of an MPEG-TS file begin."""
    with av.open(io.BytesIO(data), "r") as container:
        return [packet.pos for packet in container.demux(video=0) if packet.pos is not None]


def split_mp4(data: bytes) -> tuple[bytes, bytes]:
    """Return the initialisation section and the fragments."""
    at = data.index(b"moof") - 4
    return data[:at], data[at:]


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of a segment held in memory."""

    data: bytes
    start: int
    total: int | None


class Server:
    """A segment in memory, served by ranges; `reads` says which were asked for."""

    def __init__(self, data: bytes, *, knows_ranges: bool = True, says_total: bool = True) -> None:
        self.data, self.knows_ranges, self.says_total = data, knows_ranges, says_total
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, stop: int) -> Chunk:
        self.reads.append((start, stop))
        if not self.knows_ranges:
            return Piece(self.data, 0, len(self.data) if self.says_total else None)
        return Piece(self.data[start:stop], start, len(self.data) if self.says_total else None)
