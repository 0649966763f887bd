"""Which segments of a window are looked at."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twitchcat.frames.spread import spread


@pytest.mark.parametrize(
    ("count", "available", "chosen"),
    [
        pytest.param(4, 10, (0, 3, 6, 9), id="even, with both ends"),
        pytest.param(2, 15, (0, 14), id="two: the ends"),
        pytest.param(6, 6, (0, 1, 2, 3, 4, 5), id="as many as there are: all"),
        pytest.param(9, 3, (0, 1, 2), id="more than there are: all"),
        pytest.param(1, 10, (9,), id="one: the newest"),
        pytest.param(5, 1, (0,), id="of one: that one"),
        pytest.param(0, 10, (), id="none"),
        pytest.param(5, 0, (), id="of nothing: none"),
        pytest.param(-1, -1, (), id="below zero: none"),
    ],
)
def test_spread(count: int, available: int, chosen: tuple[int, ...]) -> None:
    assert spread(count, available) == chosen


@given(count=st.integers(2, 60), available=st.integers(2, 400))
def test_spread_is_even_and_touches_both_ends(count: int, available: int) -> None:
    chosen = spread(count, available)
    steps = [after - before for before, after in itertools.pairwise(chosen)]
    assert len(chosen) == min(count, available)
    assert (chosen[0], chosen[-1]) == (0, available - 1)
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1
