"""How soon a verdict follows a switch."""

import numpy as np
import pytest

from twitchcat.training.switching import Splice, delay, splices, summarize, verdicts

SPLICE = Splice(frames=np.arange(6), before=2, old=0, new=1)


@pytest.mark.parametrize(
    ("said", "frames"),
    [
        pytest.param([0, 0, 1, 1, 1, 1], 1, id="at once"),
        pytest.param([0, 0, 0, 0, 1, 1], 3, id="with the third frame"),
        pytest.param([0, 0, 1, 0, 1, 1], 3, id="one that falls back counts anew"),
        pytest.param([0, 0, 0, 0, 0, 1], 4, id="with the last frame"),
        pytest.param([0, 0, 1, 1, 1, 0], None, id="not at the end: not"),
        pytest.param([0, 0, 0, 0, 0, 0], None, id="never"),
    ],
)
def test_delay(said: list[int], frames: int | None) -> None:
    assert delay(np.array(said), SPLICE) == frames


def test_a_mean_over_a_window_follows_when_half_of_it_is_new() -> None:
    logits = np.repeat(np.eye(2, dtype=np.float32), [13, 26], axis=0)
    splice = Splice(frames=np.arange(39), before=13, old=0, new=1)
    assert delay(verdicts(logits, window=13), splice) == 7
    assert delay(verdicts(logits, window=5), splice) == 3
    assert delay(verdicts(logits, window=1), splice) == 1


def test_a_window_longer_than_what_was_seen_takes_all_of_it() -> None:
    logits = np.array([[3, 0], [0, 2], [0, 2]], np.float32)
    assert verdicts(logits, window=30).tolist() == [0, 0, 1]


def test_only_those_count_that_were_right_before_and_who_never_follows_is_not_left_out() -> None:
    said = [[0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]
    found = summarize([np.array(one) for one in said], [SPLICE] * 4)
    assert (found.splices, found.settled, found.followed, found.watched) == (4, 3, 2, 4)
    assert found.median == 2  # of 1, 2 and never
    assert found.p90 is None


def test_splices_join_the_end_of_one_capture_with_the_begin_of_another_category() -> None:
    captures = np.repeat([10, 11, 12, 13], [6, 6, 6, 3])
    labels = np.repeat([0, 0, 1, 1], [6, 6, 6, 3])
    found = splices(labels, captures, before=2, after=4, count=50)
    joined = {tuple(one.frames.tolist()) for one in found}
    assert joined == {
        (4, 5, 12, 13, 14, 15),  # 10 then 12
        (10, 11, 12, 13, 14, 15),  # 11 then 12
        (16, 17, 0, 1, 2, 3),  # 12 then 10
        (16, 17, 6, 7, 8, 9),  # 12 then 11
        (19, 20, 0, 1, 2, 3),  # 13, too short to be the second
        (19, 20, 6, 7, 8, 9),
    }
    assert len(joined) == len(found)
    assert all(labels[one.frames[0]] == one.old != one.new == labels[one.frames[-1]] for one in found)


def test_splices_are_the_same_for_the_same_seed_and_no_more_than_asked_for() -> None:
    captures, labels = np.repeat(np.arange(20), 5), np.repeat(np.arange(20) % 4, 5)
    first, again = (splices(labels, captures, before=2, after=2, count=9, seed=1) for _ in range(2))
    assert [one.frames.tolist() for one in first] == [one.frames.tolist() for one in again]
    assert len(first) == 9


def test_one_category_has_nothing_to_switch_to() -> None:
    assert splices(np.zeros(20, np.int64), np.repeat([1, 2], 10), before=2, after=2, count=5) == ()
    assert splices(np.zeros(0, np.int64), [], before=2, after=2, count=5) == ()
