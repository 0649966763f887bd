"""Ranges, points and the memory for segments."""

import asyncio
from pathlib import Path

import pytest

from twitchcat.station.addresses import Rendition, SegmentAddress
from twitchcat.station.bucket import Bucket
from twitchcat.station.folder import PACKAGED_CLIPS
from twitchcat.station.media import Container
from twitchcat.station.responses import part_of_body
from twitchcat.station.segments import Segments
from twitchcat.station.timeline import Loop, Part


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        pytest.param(None, None, id="no header: all"),
        pytest.param("bytes=0-9", range(10), id="the first ten"),
        pytest.param("bytes=90-", range(90, 100), id="from a byte on"),
        pytest.param("bytes=-10", range(90, 100), id="the last ten"),
        pytest.param("bytes=0-999", range(100), id="more than there is: what there is"),
        pytest.param("bytes=0-1,5-6", None, id="several parts: not understood, so all"),
        pytest.param("bytes=9-3", None, id="backwards: not valid, so all"),
        pytest.param("bytes=-", None, id="nothing named: not valid, so all"),
        pytest.param("lines=1-2", None, id="another unit: not understood, so all"),
    ],
)
def test_ranges(header: str | None, wanted: range | None) -> None:
    assert part_of_body(header, 100) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_without_a_byte_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(ValueError, match="no byte"):
        part_of_body(header, 100)


def test_a_bucket_is_emptied_by_calls_and_filled_by_time() -> None:
    bucket = Bucket(per_minute=60, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(61)] == [True] * 60 + [False]
    assert (bucket.points(0.0), bucket.full_at(0.0)) == (0, 60.0)
    assert bucket.take(0.5) is False
    assert bucket.take(1.0) is True
    assert bucket.points(1000.0) == 60


def test_segments_are_made_once_for_all_who_wait_and_the_least_used_forgotten(clip: Path) -> None:
    async def visit() -> None:
        segments = Segments(room=150_000)
        try:
            video = await segments.video(clip)
            loop = Loop.of(video.spans_s)

            async def ask(number: int) -> bytes:
                address = SegmentAddress("x", Rendition.SOURCE, 0, number, Part.LIVE, Container.TS)
                return (await segments.segment(video, address, loop.slot(number))).data

            first, again = await asyncio.gather(ask(0), ask(0))
            assert first is again
            for number in range(1, 12):
                await ask(number)
            assert segments.held <= 150_000
            anew = await ask(0)
            assert anew == first
            assert anew is not first
        finally:
            segments.close()

    asyncio.run(visit())


@pytest.fixture
def clip() -> Path:
    return PACKAGED_CLIPS / "SuperTux" / "supertux_s2.mp4"
