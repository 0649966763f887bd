"""The first keyframe of a segment: whole or refused, from as few bytes as possible."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.videos import Piece, Server, access_units, decode_all, encode, pictures, split_mp4
from twitchcat.errors import SegmentUnreadable
from twitchcat.frames.keyframe import MAX_BYTES, MAX_REQUESTS, RangeSizes, decode_keyframe, fetch_keyframe
from twitchcat.frames.segment import Chunk

MOVIE = pictures(8)
TS = encode(MOVIE, "mpegts")
INIT, FRAGMENT = split_mp4(encode(MOVIE, "mp4"))
SEGMENTS = {
    "MPEG-TS": (b"", TS),
    "MPEG-TS with sound": (b"", encode(MOVIE, "mpegts", audio=True)),
    "MPEG-TS, four slices": (b"", encode(MOVIE, "mpegts", options={"x264-params": "slices=4"})),
    "MPEG-TS, no B-frames, CAVLC": (b"", encode(MOVIE, "mpegts", options={"tune": "zerolatency"})),
    "fragmented MP4": (INIT, FRAGMENT),
    "fragmented MP4 with sound": split_mp4(encode(MOVIE, "mp4", audio=True)),
    "fragmented MP4 with its own moov": (b"", INIT + FRAGMENT),
    "fragmented MP4, HEVC": split_mp4(
        encode(MOVIE, "mp4", codec="libx265", options={"x265-params": "log-level=none"})
    ),
}
every_segment = pytest.mark.parametrize(("init", "segment"), SEGMENTS.values(), ids=SEGMENTS)


@every_segment
def test_the_keyframe_is_the_first_picture_of_the_whole_decode(init: bytes, segment: bytes) -> None:
    rgb = decode_keyframe(segment, init=init)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, decode_all(init + segment)[0])


@every_segment
def test_a_segment_cut_anywhere_gives_the_exact_picture_or_none(init: bytes, segment: bytes) -> None:
    whole = decode_keyframe(segment, init=init)
    given = 0
    for cut in {*range(0, len(segment), 47), *range(0, len(segment), 188)}:
        try:
            rgb = decode_keyframe(segment[:cut], init=init)
        except SegmentUnreadable:
            continue
        given += 1
        np.testing.assert_array_equal(rgb, whole, err_msg=f"cut at {cut} of {len(segment)}")
    assert given > 0


@every_segment
def test_nothing_is_asked_for_once_the_keyframe_is_whole(init: bytes, segment: bytes) -> None:
    end = fetch_keyframe(Server(segment), init=init, sizes=RangeSizes()).end
    server = Server(segment)
    keyframe = fetch_keyframe(server, init=init, sizes=Steps(100, 100))
    np.testing.assert_array_equal(keyframe.rgb, decode_keyframe(segment, init=init))
    assert keyframe.end == end < len(segment)
    assert end <= server.reads[-1][1]
    assert all(stop < end for _, stop in server.reads[:-1])
    assert keyframe.bytes_fetched == server.reads[-1][1]
    assert fetch_keyframe(Server(segment[:end]), init=init, sizes=RangeSizes()).end == end


class Steps(RangeSizes):
    """Asks for `first` bytes, then for enough that MAX_REQUESTS of them cover a tiny video."""

    def __init__(self, first: int, step: int) -> None:
        super().__init__()
        self.first, self.step = first, step

    def opening(self) -> int:
        return self.first

    def further(self, held: int, *, requests: int) -> int:
        return held + self.step * requests**2


def test_a_fragmented_mp4_says_how_long_its_keyframe_is_and_the_second_request_asks_for_just_that() -> None:
    server = Server(FRAGMENT)
    keyframe = fetch_keyframe(server, init=INIT, sizes=Steps(1000, 1000))
    assert server.reads == [(0, 1000), (1000, keyframe.end)]
    assert keyframe.bytes_fetched == keyframe.end


@pytest.mark.parametrize(
    ("knows_ranges", "says_total"),
    [
        pytest.param(True, False, id="a server that does not tell the size"),
        pytest.param(False, True, id="a server that ignores ranges"),
        pytest.param(False, False, id="a server that ignores ranges and does not tell the size"),
    ],
)
def test_every_kind_of_server_is_read(knows_ranges: bool, says_total: bool) -> None:
    server = Server(TS, knows_ranges=knows_ranges, says_total=says_total)
    keyframe = fetch_keyframe(server, sizes=Steps(500, 500))
    np.testing.assert_array_equal(keyframe.rgb, decode_keyframe(TS))
    if not knows_ranges:
        assert server.reads == [(0, 500)]
        assert keyframe.bytes_fetched == len(TS)


def test_a_server_that_turns_to_the_whole_in_the_middle_is_read() -> None:
    class Forgetful(Server):
        def read(self, start: int, stop: int) -> Chunk:
            self.knows_ranges = start == 0
            return super().read(start, stop)

    server = Forgetful(TS)
    keyframe = fetch_keyframe(server, sizes=Steps(500, 500))
    assert len(server.reads) == 2
    assert keyframe.bytes_fetched == 500 + len(TS)


def test_a_segment_of_one_picture_is_read_to_its_end_where_no_more_bytes_come() -> None:
    alone = encode(MOVIE[:1], "mpegts")
    for says_total in (True, False):
        server = Server(alone, says_total=says_total)
        keyframe = fetch_keyframe(server, sizes=Steps(len(alone), 1000))
        np.testing.assert_array_equal(keyframe.rgb, decode_all(alone)[0])
        # Without a size, only the empty answer behind the last byte tells the end.
        assert len(server.reads) == (1 if says_total else 2)


def test_pictures_before_the_first_keyframe_are_passed_over() -> None:
    options = {"x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=0"}
    movie = encode(pictures(16), "mpegts", options=options)
    starts = access_units(movie)
    segment = movie[: starts[0]] + movie[starts[3] :]
    np.testing.assert_array_equal(decode_keyframe(segment), decode_all(movie)[8])


def without_keyframe() -> bytes:
    starts = access_units(TS)
    return TS[: starts[0]] + TS[starts[1] :]


def patched_width(segment: bytes) -> bytes:
    """Claim 60,000 pixels of width in the track header and the sample entry."""
    old, new = (160).to_bytes(2, "big"), (60_000).to_bytes(2, "big")
    return segment.replace(
        old + b"\0\0" + (90).to_bytes(2, "big"), new + b"\0\0" + (90).to_bytes(2, "big")
    ).replace(old + (90).to_bytes(2, "big"), new + (90).to_bytes(2, "big"))


SILENCE = encode([], "mpegts", audio=True)


@pytest.mark.parametrize(
    ("init", "segment", "says"),
    [
        pytest.param(b"", b"", "is empty", id="empty"),
        pytest.param(b"", b"G@", "ended after 2 bytes", id="two bytes"),
        pytest.param(b"", random.Random(1).randbytes(50_000), "neither MPEG-TS nor", id="garbage"),
        pytest.param(b"", b"<html><body>404 Not Found</body></html>", "neither MPEG-TS nor", id="a page"),
        pytest.param(
            b"",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n",
            "neither",
            id="a playlist",
        ),
        pytest.param(b"", b"G" * 60_000, "open|no stream|keyframe", id="sync bytes alone"),
        pytest.param(
            b"", TS[: len(TS) // 8 // 188 * 188], "before its first keyframe was whole", id="cut MPEG-TS"
        ),
        pytest.param(INIT, FRAGMENT[:1500], "before byte .* where its first keyframe is whole", id="cut MP4"),
        pytest.param(b"", FRAGMENT, "open|no stream", id="MP4 without its initialisation section"),
        pytest.param(INIT[:300], FRAGMENT, "open|no stream|no video", id="MP4 with half a section"),
        pytest.param(b"", SILENCE, "no video, only audio", id="sound alone"),
        pytest.param(b"", without_keyframe(), "without a keyframe", id="no keyframe"),
        pytest.param(
            b"",
            encode(MOVIE, "mpegts", codec="mpeg2video"),
            "mpeg2video, which Twitch never",
            id="another codec",
        ),
        pytest.param(patched_width(INIT), FRAGMENT, "60000x90", id="absurd size"),
    ],
)
def test_what_gives_no_picture_says_why(init: bytes, segment: bytes, says: str) -> None:
    with pytest.raises(SegmentUnreadable, match=says):
        decode_keyframe(segment, init=init)
    with pytest.raises(SegmentUnreadable):
        fetch_keyframe(Server(segment), init=init, sizes=RangeSizes(1000))


@pytest.mark.parametrize(
    ("segment", "bytes_asked"),
    [
        pytest.param(b"<html>" + b" " * 500_000, 4096, id="a page: refused by its first bytes"),
        pytest.param(SILENCE * 20, 4096, id="sound alone: refused by its tables"),
    ],
)
def test_what_cannot_become_a_picture_costs_one_request(segment: bytes, bytes_asked: int) -> None:
    server = Server(segment)
    with pytest.raises(SegmentUnreadable):
        fetch_keyframe(server, sizes=RangeSizes(bytes_asked))
    assert server.reads == [(0, bytes_asked)]


def test_a_segment_without_an_end_is_left_after_a_bounded_number_of_requests_and_bytes() -> None:
    class Endless(Server):
        def read(self, start: int, stop: int) -> Chunk:
            self.reads.append((start, stop))
            return Piece(
                (without_keyframe()[:188] * (1 + (stop - start) // 188))[: stop - start], start, None
            )

    server = Endless(b"")
    with pytest.raises(SegmentUnreadable, match=r"no whole keyframe in the first \d+ bytes"):
        fetch_keyframe(server, sizes=RangeSizes())
    assert len(server.reads) <= MAX_REQUESTS
    assert server.reads[-1][1] <= MAX_BYTES


def test_a_sample_that_claims_to_end_past_the_segment_is_not_asked_for() -> None:
    server = Server(FRAGMENT[:1500])
    with pytest.raises(SegmentUnreadable):
        fetch_keyframe(server, init=INIT, sizes=Steps(1000, 1000))
    assert server.reads == [(0, 1000)]


def test_bytes_from_elsewhere_are_refused() -> None:
    class Shifted(Server):
        def read(self, start: int, stop: int) -> Chunk:
            return Piece(self.data[start + 10 : stop], start + 10, len(self.data))

    with pytest.raises(SegmentUnreadable, match="asked for the segment from byte 0, got it from 10"):
        fetch_keyframe(Shifted(TS), sizes=RangeSizes())


def mutations(data: bytes, count: int) -> list[bytes]:
    """Change, drop, repeat and insert bytes, reproducibly; half of it where the tables and headers are."""
    rng, mutated = random.Random(20), []
    for i in range(count):
        bytes_ = bytearray(data)
        reach = min(len(data), 1500) if i % 2 else len(data)
        for _ in range(rng.choice((1, 3, 30))):
            at = rng.randrange(reach)
            kind = rng.randrange(4)
            if kind == 0:
                bytes_[at : at + 1] = rng.randbytes(1)
            elif kind == 1:
                del bytes_[at : at + rng.choice((1, 4, 188))]
            elif kind == 2:
                bytes_[at:at] = bytes_[at : at + rng.choice((4, 188))]
            else:
                bytes_[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
        mutated.append(bytes(bytes_))
    return mutated


@pytest.mark.parametrize(
    ("init", "segment", "mutate"),
    [
        pytest.param(b"", TS, lambda init, part: (init, part), id="MPEG-TS"),
        pytest.param(INIT, FRAGMENT, lambda init, part: (init, part), id="the fragment of an MP4"),
        pytest.param(FRAGMENT, INIT, lambda part, init: (init, part), id="the section before it"),
    ],
)
def test_mutated_bytes_give_a_picture_or_a_typed_error(
    init: bytes,
    segment: bytes,
    mutate: Callable[[bytes, bytes], tuple[bytes, bytes]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    outcomes = []
    for mutated in mutations(segment, 200):
        section, part = mutate(init, mutated)
        try:
            rgb = fetch_keyframe(Server(part), init=section, sizes=RangeSizes(4096)).rgb
            outcomes.append(rgb.ndim == 3 and rgb.shape[2] == 3 and max(rgb.shape) <= 8192)
        except SegmentUnreadable:
            outcomes.append(True)
    assert outcomes == [True] * 200
    assert capfd.readouterr() == ("", "")  # libav writes nothing either
