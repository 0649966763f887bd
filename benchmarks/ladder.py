"""A Twitch ladder made from clips: the same pictures in several renditions, cut into MPEG-TS segments."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

SEGMENT_S = 2  # seconds; one keyframe each, as Twitch asks of broadcasters


@dataclass(frozen=True, slots=True)
class Rendition:
    """One line of the ladder."""

    name: str
    height: int  #: pixels; the width follows at 16:9
    fps: int
    kbps: int

    @property
    def width(self) -> int:
        return self.height * 16 // 9 // 2 * 2


#: Source and transcodes with the bit rates that Twitch's own playlists name.
TWITCH = (
    Rendition("1080p60", 1080, 60, 6000),
    Rendition("360p30", 360, 30, 700),
    Rendition("160p30", 160, 30, 230),
)


def write_ladder(
    clips: Sequence[Path], renditions: Sequence[Rendition], *, seconds: int, into: Path
) -> dict[str, list[Path]]:
    """Encode `seconds` of each clip, one after another; return each rendition's segments, oldest first.

    The first segment is left out: an encoder that starts spends less on it than on any later one.
    """
    return {
        rendition.name: _write(clips, rendition, seconds, into / rendition.name) for rendition in renditions
    }


def _write(clips: Sequence[Path], rendition: Rendition, seconds: int, folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    options = {
        "hls_time": str(SEGMENT_S),
        "hls_list_size": "0",
        "hls_segment_filename": str(folder / "%04d.ts"),
    }
    with av.open(str(folder / "index.m3u8"), "w", format="hls", options=options) as output:
        _encode(itertools.chain.from_iterable(_pictures(clip, seconds) for clip in clips), rendition, output)
    return sorted(folder.glob("*.ts"))[1:]


def _pictures(clip: Path, seconds: int) -> Iterator[tuple[NDArray[np.uint8], Fraction]]:
    """Decode a clip's first seconds: (H, W, 3) uint8 RGB, and how long each is shown, in seconds."""
    with av.open(str(clip), "r") as container:
        stream = container.streams.video[0]
        shown = 1 / Fraction(stream.average_rate or 15)
        for frame in itertools.islice(container.decode(stream), int(seconds / shown)):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False), shown


def _encode(
    pictures: Iterator[tuple[NDArray[np.uint8], Fraction]], rendition: Rendition, output: OutputContainer
) -> None:
    interval, rate = rendition.fps * SEGMENT_S, rendition.kbps
    x264 = f"keyint={interval}:min-keyint={interval}:scenecut=0:vbv-maxrate={rate}:vbv-bufsize={rate}"
    encoder = {"preset": "veryfast", "x264-params": x264}
    stream = output.add_stream("libx264", rate=rendition.fps, options=encoder)
    stream.width, stream.height, stream.pix_fmt = rendition.width, rendition.height, "yuv420p"
    stream.bit_rate = rate * 1000
    clock, sent = Fraction(0), 0
    for rgb, shown in pictures:
        clock += shown
        size = (rendition.width, rendition.height)
        method = cv2.INTER_AREA if rendition.height < rgb.shape[0] else cv2.INTER_CUBIC
        scaled = np.asarray(cv2.resize(rgb, size, interpolation=method), np.uint8)
        frame = av.VideoFrame.from_ndarray(scaled, format="rgb24").reformat(format="yuv420p")
        while Fraction(sent, rendition.fps) < clock:
            frame.pts, frame.time_base = sent, Fraction(1, rendition.fps)
            output.mux(stream.encode(frame))
            sent += 1
    output.mux(stream.encode(None))
