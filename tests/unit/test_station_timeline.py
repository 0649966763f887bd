"""Which segments a live playlist shows at a moment."""

from itertools import pairwise

import pytest

from twitchcat.station.timeline import AdBreak, Loop, Part, part_of, window_at

EVEN = Loop.of([2.0, 2.0, 2.0])
UNEVEN = Loop.of([2.0, 4.0, 1.0])


@pytest.mark.parametrize(
    ("elapsed_s", "number"),
    [
        pytest.param(0.0, 0, id="at the beginning: the first"),
        pytest.param(1.99, 0, id="shortly before a boundary: still the first"),
        pytest.param(2.0, 1, id="on a boundary: the next"),
        pytest.param(6.5, 2, id="in the short one at the end"),
        pytest.param(7.0, 3, id="after the whole file: the count goes on"),
        pytest.param(7 * 1000 + 3.0, 3001, id="after a thousand rounds"),
    ],
)
def test_the_segment_being_made(elapsed_s: float, number: int) -> None:
    assert UNEVEN.number_at(elapsed_s) == number


def test_slots_follow_each_other_without_gap_or_overlap() -> None:
    slots = [UNEVEN.slot(number) for number in range(10)]
    assert [slot.index for slot in slots] == [0, 1, 2] * 3 + [0]
    for slot, following in pairwise(slots):
        assert following.start_s == pytest.approx(slot.start_s + slot.span_s)


def test_a_phase_begins_the_broadcast_elsewhere_in_the_file() -> None:
    loop = Loop.of([2.0, 4.0, 1.0], phase=4)
    assert [(loop.slot(n).index, loop.slot(n).span_s) for n in range(3)] == [(1, 4.0), (2, 1.0), (0, 2.0)]


@pytest.mark.parametrize(
    "spans_s", [pytest.param([], id="nothing"), pytest.param([2.0, 0.0], id="an empty one")]
)
def test_a_loop_of_nothing_is_refused(spans_s: list[float]) -> None:
    with pytest.raises(ValueError, match="longer than zero"):
        Loop.of(spans_s)


def test_the_window_holds_whole_segments_and_then_the_prefetched() -> None:
    window = window_at(EVEN, elapsed_s=101.0, size=5, ads=())
    assert [entry.slot.number for entry in window.entries] == [45, 46, 47, 48, 49]
    assert [entry.slot.number for entry in window.prefetch] == [50, 51]
    assert window.media_sequence == 45


def test_a_young_broadcast_has_a_short_window() -> None:
    window = window_at(EVEN, elapsed_s=5.0, size=15, ads=())
    assert [entry.slot.number for entry in window.entries] == [0, 1]
    assert window.media_sequence == 0


@pytest.mark.parametrize(
    ("ads", "parts"),
    [
        pytest.param([], "LLLLLLLL", id="no ads"),
        pytest.param(
            [AdBreak(4.0, 8.0)], "LEAAELLL", id="a break on boundaries, with an edge on either side"
        ),
        pytest.param(
            [AdBreak(3.0, 7.0)], "LEAAELLL", id="a break off boundaries begins with the next segment"
        ),
        pytest.param(
            [AdBreak(4.0, 6.0), AdBreak(8.0, 10.0)], "LEAEAELL", id="between two breaks all is edge"
        ),
        pytest.param([AdBreak(-10.0, 1.0)], "AELLLLLL", id="a break that was on when the broadcast began"),
    ],
)
def test_parts(ads: list[AdBreak], parts: str) -> None:
    letters = {Part.LIVE: "L", Part.EDGE: "E", Part.AD: "A"}
    assert "".join(letters[part_of(EVEN, number, ads)] for number in range(8)) == parts
