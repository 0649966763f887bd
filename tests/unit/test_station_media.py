"""Videos as segments."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from twitchcat.errors import ConfigError
from twitchcat.station.folder import PACKAGED_CLIPS
from twitchcat.station.media import Container, flaw, index, remux, split_init, transcode

CLIP = PACKAGED_CLIPS / "SuperTux" / "supertux_s2.mp4"


def packed_as(suffix: str, folder: Path) -> Path:
    """The clip in another container."""
    path = folder / f"clip.{suffix}"
    with av.open(str(CLIP)) as clip, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return path


def shown_s(data: bytes) -> list[float]:
    """The times of all pictures, seconds."""
    with av.open(io.BytesIO(data), "r") as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def test_a_clip_is_cut_at_its_keyframes() -> None:
    video = index(CLIP)
    assert (video.width, video.height, video.fps, video.time_base) == (640, 360, 15.0, Fraction(1, 15_360))
    assert video.spans_s == (2.0,) * 12
    assert video.codecs == "avc1.640016"
    assert video.low_size == (284, 160)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
@pytest.mark.parametrize("container", list(Container))
def test_every_segment_is_whole_and_shown_when_it_should_be(
    tmp_path: Path, suffix: str, container: Container
) -> None:
    path = packed_as(suffix, tmp_path)
    video = index(path)
    assert video.spans_s == pytest.approx([2.0] * 12, abs=0.002)
    for number in range(12):
        segment = remux(path, video.bounds(number), at_s=7200.0 + 2 * number, container=container)
        times_s = shown_s(segment.data)
        assert len(times_s) == 30
        # Fragments of MP4 cannot begin before their first decoding time: they are late by the reordering.
        assert times_s[0] == pytest.approx(
            7200.0 + 2 * number, abs=0.15 if container is Container.MP4 else 0.001
        )


@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_transcoded_segment_has_every_picture_and_one_keyframe(number: int) -> None:
    video = index(CLIP)
    data = transcode(video, number, size=video.low_size, bit_rate=230_000)
    assert len(shown_s(data)) == 30
    with av.open(io.BytesIO(data), "r") as container:
        assert [packet.is_keyframe for packet in container.demux(video=0) if packet.size] == [True] + [
            False
        ] * 29


def test_rare_keyframes_make_long_segments_and_a_short_last_one(tmp_path: Path) -> None:
    path = tmp_path / "rare.mp4"
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=10, width=64, height=48, pix_fmt="yuv420p")
        stream.options = {"g": "50", "sc_threshold": "0"}
        for position in range(120):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), position, np.uint8), format="rgb24")
            frame.pts = position
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    assert index(path).spans_s == pytest.approx([5.0, 5.0, 2.0])


def test_a_fragmented_mp4_is_parted_before_its_first_fragment() -> None:
    video = index(CLIP)
    init, fragments = split_init(remux(CLIP, video.bounds(3), at_s=6.0, container=Container.MP4).data)
    assert (init[4:8], fragments[4:8]) == (b"ftyp", b"moof")


@pytest.mark.parametrize("container", list(Container))
def test_a_truncated_segment_ends_within_its_keyframe(container: Container) -> None:
    segment = remux(CLIP, index(CLIP).bounds(3), at_s=6.0, container=container)
    assert segment.keyframe > 10_000
    assert len(segment.truncated()) == segment.head + segment.keyframe // 2


def test_a_stretch_that_begins_at_no_keyframe_is_refused() -> None:
    with pytest.raises(ValueError, match="no keyframe"):
        remux(CLIP, (1, 30_720), at_s=0.0, container=Container.TS)


def test_a_file_that_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"notes\.mp4: cannot be played"):
        index(tmp_path / "notes.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
def test_a_video_has_no_flaw(tmp_path: Path, suffix: str) -> None:
    assert flaw(packed_as(suffix, tmp_path)) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no video\n" * 1000, id="text"),
        pytest.param(b"WEBVTT\n\n00:01.000 --> 00:04.000\nsubtitles\n", id="subtitles"),
        pytest.param(CLIP.read_bytes()[:1000], id="a video cut off after its beginning"),
    ],
)
def test_what_is_no_video_has_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    assert flaw(tmp_path / "clip.mp4")


def test_a_file_that_is_not_there_has_one(tmp_path: Path) -> None:
    assert flaw(tmp_path / "clip.mp4") == "No such file or directory"
