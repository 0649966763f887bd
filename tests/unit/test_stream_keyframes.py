"""Keyframes of a stream: the bytes of a part of an address, and an initialisation section fetched once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.unit.videos import encode, pictures
from twitchcat.errors import NetworkError, SegmentUnreadable
from twitchcat.frames.stream import StreamKeyframes


@dataclass(frozen=True)
class Part:
    data: bytes
    start: int
    total: int | None


@dataclass
class Server:
    """Addresses and their bytes, and what was asked for."""

    files: dict[str, bytes]
    ranges: bool = True
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def read(self, uri: str, start: int, stop: int) -> Part:
        self.asked.append((uri, start, stop))
        data = self.files[uri]
        if not self.ranges:
            return Part(data, 0, len(data))
        return Part(data[start:stop], start, len(data))

    def count(self, uri: str) -> int:
        return sum(asked == uri for asked, _, _ in self.asked)


@pytest.fixture(scope="module")
def segment() -> bytes:
    return encode(pictures(15), "mpegts")


def split_mp4(data: bytes) -> tuple[bytes, bytes]:
    """The initialisation section and the fragments of a fragmented MP4."""
    at = data.index(b"moof") - 4
    return data[:at], data[at:]


def keyframes(server: Server, *, first_range: int = 4096) -> StreamKeyframes:
    return StreamKeyframes(server.read, first_range=first_range)


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "ranges ignored"])
@pytest.mark.parametrize("first_range", [4096, 65_536, 10_000_000])
def test_a_segment_may_be_a_part_of_an_address(segment: bytes, ranges: bool, first_range: int) -> None:
    other = encode(pictures(15, seed=5), "mpegts")
    server = Server({"all.ts": other + segment + other}, ranges=ranges)
    span = (len(other), len(other) + len(segment))
    found = keyframes(server, first_range=first_range).fetch("all.ts", span=span)
    whole = keyframes(Server({"one.ts": segment})).fetch("one.ts")
    np.testing.assert_array_equal(found.rgb, whole.rgb)
    assert all(span[0] <= start < stop <= span[1] for _, start, stop in server.asked)


def test_the_initialisation_section_is_fetched_once() -> None:
    init, fragments = split_mp4(encode(pictures(15), "mp4"))
    server = Server({"init.mp4": init, "1.m4s": fragments, "2.m4s": fragments})
    subject = keyframes(server)
    for uri in ("1.m4s", "2.m4s"):
        assert subject.fetch(uri, init_uri="init.mp4").rgb.shape == (90, 160, 3)
    assert server.count("init.mp4") == 1


def test_another_initialisation_section_is_fetched_again() -> None:
    init, fragments = split_mp4(encode(pictures(15), "mp4"))
    server = Server({"all.mp4": b"x" * 100 + init, "other.mp4": init, "1.m4s": fragments})
    subject = keyframes(server)
    subject.fetch("1.m4s", init_uri="all.mp4", init_span=(100, 100 + len(init)))
    subject.fetch("1.m4s", init_uri="other.mp4")
    subject.fetch("1.m4s", init_uri="other.mp4")
    assert server.asked[0] == ("all.mp4", 100, 100 + len(init))
    assert server.count("all.mp4") == server.count("other.mp4") == 1


def test_an_empty_initialisation_section_makes_a_segment_unreadable() -> None:
    server = Server({"init.mp4": b"", "1.m4s": b"whatever"})
    with pytest.raises(SegmentUnreadable, match="initialisation section"):
        keyframes(server).fetch("1.m4s", init_uri="init.mp4")


def test_sizes_learnt_of_one_segment_spare_requests_for_the_next() -> None:
    # Noise, so that the keyframe is larger than what is asked for first.
    noise = np.random.default_rng(3).integers(0, 255, (3, 90, 160, 3), dtype=np.uint8)
    segment = encode(list(noise), "mpegts")
    server = Server({"1.ts": segment, "2.ts": segment})
    subject = keyframes(server)
    subject.fetch("1.ts")
    subject.fetch("2.ts")
    assert server.count("2.ts") == 1 < server.count("1.ts")


def after(reads: int, error: Exception) -> Callable[[], None]:
    left = iter(range(reads))

    def check() -> None:
        if next(left, None) is None:
            raise error

    return check


def test_who_runs_out_of_time_stops_before_the_next_read() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (3, 90, 160, 3), dtype=np.uint8)
    server = Server({"1.ts": encode(list(noise), "mpegts")})
    with pytest.raises(NetworkError, match="too late"):
        keyframes(server).fetch("1.ts", before_read=after(2, NetworkError("too late")))
    assert len(server.asked) == 2
