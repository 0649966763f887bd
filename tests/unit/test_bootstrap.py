"""Intervals over channels."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from twitchcat.training.bootstrap import (
    Interval,
    accuracy_gain,
    auroc,
    calibration_error,
    recalls,
    resample,
    score,
)
from twitchcat.training.calibration import expected_calibration_error
from twitchcat.training.metrics import Labels, macro_f1

RANDOM = np.random.default_rng(5)
CHANNELS = np.repeat(np.arange(40), 25)
LABELS: Labels = CHANNELS % 4


def predicted(right: float, seed: int = 1) -> Labels:
    """Right in this share of channels, wholly wrong in the others."""
    wrong = np.random.default_rng(seed).permutation(40) >= right * 40
    return np.where(wrong[CHANNELS], (LABELS + 1) % 4, LABELS)


def width(one: Interval) -> float:
    assert one.low is not None
    assert one.high is not None
    return one.high - one.low


def test_a_draw_has_as_many_channels_as_there_are() -> None:
    times = resample(7, draws=50)
    assert times.shape == (50, 7)
    assert (times.sum(axis=1) == 7).all()


def test_it_is_channels_that_are_drawn_not_frames() -> None:
    by_channel = score(LABELS, predicted(0.8), CHANNELS).accuracy
    by_frame = score(LABELS, predicted(0.8), np.arange(1000)).accuracy
    assert by_channel.value == by_frame.value == 0.8
    # Of 40 channels wholly right or wrong: 2 * 1.96 * sqrt(0.8 * 0.2 / 40); of 1000 frames a fifth of it.
    assert width(by_channel) == pytest.approx(0.248, abs=0.02)
    assert width(by_frame) == pytest.approx(0.050, abs=0.006)


def test_the_same_seed_gives_the_same_interval_and_another_one_a_similar_one() -> None:
    first, again, other = (score(LABELS, predicted(0.7), CHANNELS, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.accuracy != other.accuracy
    assert width(other.accuracy) == pytest.approx(width(first.accuracy), abs=0.03)


def test_macro_f1_lies_within_its_interval_although_draws_are_lower() -> None:
    channels = np.repeat(np.arange(30), 20)
    labels = channels % 15
    guess = np.where(RANDOM.random(600) < 0.25, RANDOM.integers(0, 15, 600), labels)
    found = score(labels, guess, channels).macro_f1
    assert found.value == macro_f1(labels, guess)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_one_channel_has_a_score_but_no_interval() -> None:
    found = score(LABELS[:25], predicted(1)[:25], CHANNELS[:25])
    assert (found.accuracy, found.channels) == (Interval(1.0), 1)
    assert str(found.accuracy) == "1.000"


def test_without_samples_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        score(LABELS[:0], LABELS[:0], CHANNELS[:0])


def test_recall_has_an_interval_only_for_a_class_of_several_channels() -> None:
    labels, channels = np.array([0, 0, 1, 1, 1]), np.array(["a", "b", "c", "c", "c"])
    both, single, none = recalls(labels, np.array([0, 1, 1, 1, 0]), channels, classes=3)
    assert both is not None
    assert (both.value, both.low, both.high) == (0.5, 0, 1)
    assert single == Interval(2 / 3)
    assert none is None


def test_a_gain_in_the_same_channels_is_surer_than_the_two_intervals_suggest() -> None:
    before, after = predicted(0.6), predicted(0.8)  # right wherever it was before
    gain = accuracy_gain(LABELS, before, after, CHANNELS)
    assert gain.value == pytest.approx(0.2)
    assert gain.low is not None
    assert gain.low > 0
    first, second = (score(LABELS, one, CHANNELS).accuracy for one in (before, after))
    assert first.high is not None
    assert second.low is not None
    assert first.high > second.low


def test_no_gain_over_itself() -> None:
    assert accuracy_gain(LABELS, predicted(0.6), predicted(0.6), CHANNELS) == Interval(0, 0, 0)


def test_the_calibration_error_and_its_interval() -> None:
    chances = RANDOM.dirichlet(np.ones(4), 1000)
    found = calibration_error(LABELS, chances, CHANNELS)
    assert found.value == pytest.approx(expected_calibration_error(LABELS, chances))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


@pytest.mark.parametrize("rounded", [3, 1, 0], ids=["few ties", "ties", "almost only ties"])
def test_auroc_is_that_of_scikit_learn_and_its_draws_are_about_it(rounded: int) -> None:
    known = CHANNELS % 3 > 0
    scores = np.round(RANDOM.normal(size=1000) + known, rounded)
    found = auroc(scores, known, CHANNELS)
    assert found.value == pytest.approx(roc_auc_score(known, scores))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert width(found) < 0.12


def test_draws_of_the_auroc_are_the_auroc_of_the_drawn() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    known = np.array([False, True, False, True])
    found = auroc(scores, known, np.array(["a", "b", "c", "d"]), draws=4000)
    # Known: b, d, or both; unknown: a, c, or both. The least is b against c alone: a tie.
    assert (found.low, found.high) == (0.5, 1)


def test_auroc_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="known and unknown"):
        auroc([0.5, 0.6], [True, True], np.array([1, 2]))
