"""How many bytes are asked for, after what was seen."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from twitchcat.frames.ranges import RangeSizes


def learned(*ends: int, first: int = 65_536) -> RangeSizes:
    sizes = RangeSizes(first)
    for end in ends:
        sizes.learn(end)
    return sizes


@pytest.mark.parametrize(
    ("sizes", "opening"),
    [
        pytest.param(learned(), 65_536, id="nothing seen: what was set"),
        pytest.param(learned(first=10), 4096, id="never less than 4 KiB, set"),
        pytest.param(learned(100), 4096, id="never less than 4 KiB, learned"),
        pytest.param(learned(40_000), 44_000, id="one seen: a tenth more"),
        pytest.param(learned(40_000, 30_000, 90_000), 44_000, id="several: a tenth more than their median"),
        pytest.param(learned(*[90_000] * 50, *[20_000] * 10), 22_000, id="what is long past is forgotten"),
    ],
)
def test_the_first_request_covers_the_usual_keyframe(sizes: RangeSizes, opening: int) -> None:
    assert sizes.opening() == opening


def test_a_top_up_is_small_once_sizes_are_known_and_doubles_before() -> None:
    assert learned().further(65_536, requests=1) == 131_072
    assert learned(32_000).further(35_200, requests=1) == 35_200 + 6_600
    assert learned(100).further(4096, requests=1) == 8192  # at least 4 KiB


def test_top_ups_grow_so_that_any_keyframe_is_reached() -> None:
    sizes, held, requests = learned(100), 4096, 1
    while held < 2**24:
        held, requests = sizes.further(held, requests=requests), requests + 1
    assert requests <= 16


def test_threads_may_learn_together() -> None:
    sizes = RangeSizes()

    def visit() -> None:
        for _ in range(500):
            sizes.learn(20_000)
            assert sizes.opening() == 22_000

    with ThreadPoolExecutor(4) as pool:
        for visited in [pool.submit(visit) for _ in range(4)]:
            visited.result()
