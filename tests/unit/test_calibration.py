"""Confidence that can be believed."""

import numpy as np
import pytest

from twitchcat.training.calibration import (
    BINS,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from twitchcat.training.metrics import Labels, Logits, probabilities


def honest(samples: int = 20_000, classes: int = 5) -> tuple[Labels, Logits]:
    """Labels drawn by the very probabilities that the logits stand for."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(samples, classes)).astype(np.float32) * 2
    chances = probabilities(logits)
    labels = (chances.cumsum(axis=1) > random.random((samples, 1))).argmax(axis=1)
    return labels, logits


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5], ids=["too modest", "honest", "too sure"])
def test_the_temperature_undoes_what_made_a_model_too_sure_or_too_modest(factor: float) -> None:
    labels, logits = honest()
    assert fit_temperature(labels, logits * np.float32(factor)) == pytest.approx(factor, rel=0.03)


def test_calibration_lowers_the_error_and_leaves_verdicts_alone() -> None:
    labels, logits = honest()
    sure = logits * np.float32(3)
    found = calibrate(labels, sure)
    assert found.ece_before > 0.15
    assert found.ece_after < 0.02
    assert found.nll_after < found.nll_before
    assert found.nll_after == negative_log_likelihood(labels, sure, temperature=found.temperature)


def test_thresholds_let_most_of_validation_pass() -> None:
    labels, logits = honest()
    found = calibrate(labels, logits)
    assert (logits.max(axis=1) >= found.unknown_threshold).mean() == pytest.approx(0.95, abs=0.001)
    assert found.energy_threshold > found.unknown_threshold


@pytest.mark.parametrize("count", [3, 30, 300])
def test_verdicts_that_are_all_right_make_a_model_as_sure_as_their_number_allows(count: int) -> None:
    labels = np.arange(count) % 3
    logits = np.eye(3, dtype=np.float32)[labels] * 8
    sure = probabilities(logits, temperature=fit_temperature(labels, logits)).max(axis=1)
    assert sure == pytest.approx((count + 1) / (count + 2), abs=0.001)


def test_the_error_is_the_distance_of_confidence_and_accuracy() -> None:
    chances = np.array([[0.9, 0.1]] * 10)
    right, wrong = np.zeros(10, np.int64), np.ones(10, np.int64)
    assert expected_calibration_error(right, chances) == pytest.approx(0.1)
    assert expected_calibration_error(wrong, chances) == pytest.approx(0.9)
    mixed = np.array([0] * 9 + [1])
    assert expected_calibration_error(mixed, chances) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("confidence", [1.0, 1 / BINS, 0.5])
def test_every_confidence_is_in_one_bin(confidence: float) -> None:
    other = (1 - confidence) / BINS
    found = reliability(np.array([0]), np.array([[confidence, *[other] * BINS]]))
    assert found.count.sum() == 1
    assert np.nanmax(found.accuracy) == 1
    assert np.isnan(found.accuracy).sum() == BINS - 1


def test_nothing_cannot_be_calibrated() -> None:
    labels, logits = np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    with pytest.raises(ValueError, match="nothing"):
        expected_calibration_error(labels, logits.astype(np.float64))
    with pytest.raises(ValueError, match="nothing"):
        fit_temperature(labels, logits)
