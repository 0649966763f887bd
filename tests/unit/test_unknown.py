"""Telling the unknown by the size of its logits."""

import numpy as np
import pytest

from twitchcat.training.unknown import energy, false_positive_rate, max_logit, refusal, threshold


def test_scores_of_logits() -> None:
    logits = np.array([[3.0, 1.0], [1000.0, 1000.0]], np.float32)
    assert max_logit(logits).tolist() == [3, 1000]
    assert energy(logits).tolist() == pytest.approx([np.log(np.exp(3) + np.exp(1)), 1000 + np.log(2)])


def test_the_threshold_is_the_highest_that_lets_enough_pass() -> None:
    scores = np.arange(100.0)
    assert threshold(scores) == 4
    assert (scores >= threshold(scores)).mean() >= 0.95
    assert threshold(scores, keep=1.0) == 0


@pytest.mark.parametrize(
    ("unknown", "rate"),
    [
        pytest.param([-3.0, -2.0, -1.0], 0, id="all lower: none passes"),
        pytest.param([50.0, 60.0, 70.0], 1, id="in the midst of the known: all pass"),
        pytest.param([-1.0, 3.9, 5.0, 99.0], 0.5, id="some above what 95 of 100 reach"),
        pytest.param([5.0, 4.9], 0.5, id="just where 95 of 100 are: passes"),
    ],
)
def test_false_positive_rate(unknown: list[float], rate: float) -> None:
    assert false_positive_rate(np.arange(100.0), unknown) == rate


def test_twenty_known_samples_may_lose_one() -> None:
    assert false_positive_rate(np.arange(20.0), [0.5]) == 0


def test_a_refusal_counts_both_sides() -> None:
    found = refusal([1.0, 2.0, 3.0, 4.0], [0.0, 2.0], threshold=2.0)
    assert (found.known_refused, found.unknown_passed) == (0.25, 0.5)


def test_nothing_has_no_threshold_and_no_rate() -> None:
    with pytest.raises(ValueError, match="needs samples"):
        threshold([])
    with pytest.raises(ValueError, match="known and unknown"):
        false_positive_rate([1.0], [])
