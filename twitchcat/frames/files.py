"""Pictures of local files: images, and frames of videos by the time at which they are shown."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from twitchcat.errors import FileUnreadable, SegmentUnreadable
from twitchcat.frames.demux import MAX_SIDE
from twitchcat.frames.picture import decode_image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".ts", ".mov", ".webm", ".flv", ".m4v", ".avi", ".m2ts", ".mpg", ".mpeg", ".wmv", ".ogv"}
)

# What libav would open beside the file, a playlist's addresses say, is none of ours.
_OPEN = {"protocol_whitelist": "file", "max_pixels": str(MAX_SIDE * MAX_SIDE // 2)}
_PLAYLISTS = frozenset({"hls", "dash", "concat", "lavfi", "tty"})
_BROKEN = (av.FFmpegError, ValueError, ArithmeticError, LookupError, MemoryError, RuntimeError, OSError)

#: How far before a keyframe it is sought, one after another; None: from the beginning of the file. A
#: container without an index, as MPEG-TS, sends a seeker past it.
_SEEKS_S = (0.0, 5.0, 30.0, None)

#: How far from the time asked for a keyframe may be to be taken instead, as a share of the distance between
#: the times: a keyframe costs one decoded picture, any other those since the keyframe too.
_KEYFRAME_SLACK = 0.25

#: Packets that do not decode before a video counts as broken.
_BROKEN_PACKETS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileFrame:
    """One frame of a video."""

    at_s: float  #: when it is shown, in seconds since the first frame
    rgb: NDArray[np.uint8]  #: (H, W, 3) uint8 RGB


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a video file holds."""

    path: Path
    width: int
    height: int
    duration_s: float  #: from the first frame to the end of the last
    keyframes_s: tuple[float, ...]  #: ascending, seconds since the first frame
    start: int  #: presentation time of the first frame, in time_base
    time_base: Fraction


def probe(path: Path) -> VideoInfo:
    """Read through a video without decoding it: how long it is, and where its keyframes are.

    Raises FileUnreadable, naming the file.
    """
    with _opened(path) as (container, stream):
        base = stream.time_base or Fraction(1, av.time_base)
        start, end, keys, last = None, 0, [], 0
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            start = packet.pts if start is None else min(start, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
            last = max(last, packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        if start is None or not keys:
            raise ValueError("it holds no pictures")
        if end <= last:  # a container that does not say how long frames are shown
            rate = stream.average_rate or stream.guessed_rate or Fraction(30)
            end = last + max(1, round(1 / rate / base))
        return VideoInfo(
            path=path,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            duration_s=float((end - start) * base),
            keyframes_s=tuple(sorted(float((key - start) * base) for key in keys)),
            start=start,
            time_base=base,
        )


def every(seconds: float, *, start_s: float, end_s: float) -> tuple[float, ...]:
    """Times `seconds` apart in [start_s, end_s), the first at the start; `seconds` is positive.

    >>> every(2.0, start_s=0.0, end_s=5.0)
    (0.0, 2.0, 4.0)
    """
    count = max(1, math.ceil((end_s - start_s) / seconds - 1e-6))
    return tuple(start_s + i * seconds for i in range(count))


def evenly(count: int, *, start_s: float, end_s: float) -> tuple[float, ...]:
    """The middles of `count` equal parts of [start_s, end_s).

    >>> evenly(2, start_s=0.0, end_s=10.0)
    (2.5, 7.5)
    """
    part = (end_s - start_s) / count
    return tuple(start_s + (i + 0.5) * part for i in range(count))


def frames_at(video: VideoInfo, times_s: Sequence[float]) -> Generator[FileFrame, None, None]:
    """The frames of a video that are shown at these times (ascending, seconds since the first frame).

    Where a keyframe is nearer than a quarter of the distance to the next time, it is taken instead: that is
    many times faster, and what collecting takes of live streams. A frame comes once, however many times
    point at it. Raises FileUnreadable where the video breaks off or does not decode.
    """
    last_s = -math.inf
    with _opened(video.path) as (container, stream):
        decoded = _Decoded(container, stream, video)
        for at_s in _snapped(video, times_s):
            frame, shown_s = decoded.from_time(at_s)
            if shown_s > last_s:
                last_s = shown_s
                yield FileFrame(at_s=shown_s, rgb=_rgb(frame))


def read_image(path: Path) -> NDArray[np.uint8]:
    """The picture of an image file: (H, W, 3) uint8 RGB. Raises FileUnreadable, naming the file."""
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror or error}") from error
    except SegmentUnreadable as error:
        raise FileUnreadable(f"{path}: is no image, or a broken one") from error


def content_hash(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises FileUnreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror or error}") from error


class _Decoded:
    """Frames of a video in the order of their times, seeking only where that skips something."""

    def __init__(self, container: InputContainer, stream: VideoStream, video: VideoInfo) -> None:
        self._container, self._stream, self._video = container, stream, video
        self._tick_s = float(video.time_base) / 2  # times have been through floating point
        self._frames: Iterator[tuple[VideoFrame, float]] = iter(())
        self._last: tuple[VideoFrame, float] | None = None
        self._broken = 0

    def from_time(self, at_s: float) -> tuple[VideoFrame, float]:
        """The first frame shown at a time or later, else the last one; and when. Times must ascend."""
        at_s -= self._tick_s
        if self._last is not None and self._last[1] >= at_s:
            return self._last
        keys = self._video.keyframes_s
        keyframe_s = keys[max(bisect_right(keys, at_s + 2 * self._tick_s) - 1, 0)]
        if self._last is None or keyframe_s > self._last[1] + self._tick_s:
            self._seek(keyframe_s)
        for shown in self._frames:
            self._last = shown
            if shown[1] >= at_s:
                break
        if self._last is None:
            raise ValueError("nothing in it decodes")
        return self._last

    def _seek(self, keyframe_s: float) -> None:
        base = self._video.time_base
        for back_s in _SEEKS_S:
            to_s = 0.0 if back_s is None else max(keyframe_s - back_s, 0.0)
            to = self._video.start + round(to_s / base) if back_s is not None else 0
            self._container.seek(to, stream=self._stream, backward=True)
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is not None and (first[1] <= keyframe_s + self._tick_s or back_s is None):
                self._frames = chain([first], self._frames)
                return
        self._frames = iter(())

    def _decode(self) -> Iterator[tuple[VideoFrame, float]]:
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self._broken += 1
                if self._broken > _BROKEN_PACKETS:
                    raise
                continue
            for frame in frames:
                if frame.pts is not None and not frame.is_corrupt:
                    yield frame, float((frame.pts - self._video.start) * self._video.time_base)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video; whatever goes wrong while it is open is a FileUnreadable that names the file."""
    try:
        if not path.is_file():
            raise FileUnreadable(f"{path}: there is no such file")
        with av.open(str(path), "r", options=_OPEN, metadata_errors="replace") as container:
            if _PLAYLISTS & set(container.format.name.split(",")):
                raise ValueError("it is a playlist")
            if not container.streams.video:
                raise ValueError("it has no video")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # files are read side by side
            yield container, stream
    except _BROKEN as error:
        told = error.strerror if isinstance(error, av.FFmpegError) and error.strerror else error
        raise FileUnreadable(f"{path}: cannot be read as a video: {told}") from error


def _rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    if max(frame.width, frame.height) > MAX_SIDE:
        raise ValueError(f"it claims pictures of {frame.width}x{frame.height}")
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _snapped(video: VideoInfo, times_s: Sequence[float]) -> list[float]:
    """Move each time to the nearest keyframe where that is near."""
    keys = video.keyframes_s
    snapped = []
    for i, at_s in enumerate(times_s):
        gaps = [abs(at_s - times_s[j]) for j in (i - 1, i + 1) if 0 <= j < len(times_s)]
        right = bisect_right(keys, at_s)
        nearest = min(keys[max(right - 1, 0) : right + 1], key=lambda key: abs(key - at_s))
        slack_s = _KEYFRAME_SLACK * min(gaps, default=video.duration_s)
        snapped.append(nearest if abs(nearest - at_s) <= slack_s else at_s)
    return snapped
