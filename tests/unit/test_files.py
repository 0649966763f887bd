"""Frames of local files by the time at which they are shown."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from twitchcat.errors import FileUnreadable
from twitchcat.frames import files

FPS = 10


def numbered(index: int) -> NDArray[np.uint8]:
    """A picture that says its number in eight broad bars, bit by bit."""
    bits = [255 if index >> bit & 1 else 0 for bit in range(8)]
    return np.repeat(np.repeat(np.array(bits, np.uint8), 20)[None, :, None], 96, 0).repeat(3, 2)


def number(rgb: NDArray[np.uint8]) -> int:
    return sum(1 << bit for bit in range(8) if rgb[:, bit * 20 + 4 : bit * 20 + 16].mean() > 127)


def video(
    path: Path,
    *,
    count: int = 60,
    keyframes: int = 20,
    starts_s: float = 0.0,
    shown: list[float] | None = None,
    bframes: int = 2,
) -> Path:
    """A video of numbered pictures, ten a second or at the times in `shown`, a keyframe every so many."""
    form = {".ts": "mpegts", ".mkv": "matroska"}.get(path.suffix, "mp4")
    with av.open(str(path), "w", format=form) as output:
        options = {"g": str(keyframes), "bf": str(bframes), "sc_threshold": "0", "preset": "ultrafast"}
        stream = output.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(i), format="rgb24")
            at_s = starts_s + (shown[i] if shown else i / FPS)
            frame.pts, frame.time_base = round(at_s * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def taken(path: Path, times_s: tuple[float, ...]) -> list[tuple[int, float]]:
    return [(number(one.rgb), round(one.at_s, 2)) for one in files.frames_at(files.probe(path), times_s)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("starts_s", [0.0, 7.0], ids=["from zero", "from seven seconds"])
def test_a_video_is_known_by_presentation_time(tmp_path: Path, name: str, starts_s: float) -> None:
    found = files.probe(video(tmp_path / name, starts_s=starts_s))
    assert (found.width, found.height) == (160, 96)
    assert found.duration_s == pytest.approx(6.0, abs=0.11)
    assert found.keyframes_s == pytest.approx((0.0, 2.0, 4.0), abs=0.01)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("starts_s", [0.0, 7.0], ids=["from zero", "from seven seconds"])
@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        pytest.param((0.0, 2.0, 4.0), [0, 20, 40], id="keyframes"),
        pytest.param((1.3, 2.5, 3.3), [13, 25, 33], id="between keyframes"),
        pytest.param((0.2, 0.3, 0.4), [2, 3, 4], id="one after another"),
        pytest.param((3.0,), [20], id="one alone: a keyframe will do"),
        pytest.param((1.95, 3.95), [20, 40], id="near keyframes: those"),
        pytest.param((5.8, 5.9, 9.0, 99.0), [58, 59], id="past the end: the last, once"),
    ],
)
def test_frames_are_those_of_the_times(
    tmp_path: Path, name: str, starts_s: float, times_s: tuple[float, ...], expected: list[int]
) -> None:
    path = video(tmp_path / name, starts_s=starts_s)
    assert taken(path, times_s) == [(index, index / FPS) for index in expected]


def test_times_count_and_not_frames(tmp_path: Path) -> None:
    # Fifty pictures in the first second, ten in the next nine.
    shown = [i / 50 for i in range(50)] + [1.0 + 0.9 * i for i in range(10)]
    path = video(tmp_path / "a.mp4", shown=shown, keyframes=60)
    duration_s = files.probe(path).duration_s
    indices = [index for index, _ in taken(path, files.evenly(5, start_s=0.0, end_s=duration_s))]
    assert indices == [50, 53, 55, 57, 59]


def test_a_video_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = video(tmp_path / "whole.ts").read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    found = files.probe(cut)
    indices = [index for index, _ in taken(cut, files.every(1.0, start_s=0.0, end_s=found.duration_s))]
    assert indices == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "cannot be read as a video", id="empty"),
        pytest.param(b"garbage " * 999, "cannot be read as a video", id="garbage"),
        pytest.param(b"#EXTM3U\n#EXTINF:2,\n/etc/hostname\n", "cannot be read as a video", id="a playlist"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(FileUnreadable, match=rf"broken\.mp4: {why}"):
        files.probe(path)


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=48_000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        silence.sample_rate, silence.pts = 48_000, 0
        output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
    with pytest.raises(FileUnreadable, match="it has no video"):
        files.probe(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"nowhere\.mp4: there is no such file"):
        files.probe(tmp_path / "nowhere.mp4")
    with pytest.raises(FileUnreadable, match=r"nowhere\.png: No such file"):
        files.read_image(tmp_path / "nowhere.png")


@pytest.mark.parametrize("suffix", sorted(files.IMAGE_SUFFIXES))
def test_images_of_every_kind_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    _, data = cv2.imencode(suffix, cv2.cvtColor(numbered(0b1010_0110), cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
    assert number(files.read_image(path)) == 0b1010_0110


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(2.0, (1.0, 3.0, 5.0), id="the end is not shown any more"),
        pytest.param(1.9, (1.0, 2.9, 4.8, 6.7), id="up to the last that is"),
        pytest.param(9.0, (1.0,), id="longer than the span: its beginning"),
    ],
)
def test_every_so_many_seconds(seconds: float, expected: tuple[float, ...]) -> None:
    assert files.every(seconds, start_s=1.0, end_s=7.0) == pytest.approx(expected)


def test_evenly_is_over_the_whole_span() -> None:
    assert files.evenly(4, start_s=2.0, end_s=10.0) == (3.0, 5.0, 7.0, 9.0)
