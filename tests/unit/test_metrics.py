"""How often verdicts are right, and the windows they are made on."""

from collections.abc import Callable

import numpy as np
import pytest

from twitchcat.training.metrics import (
    Labels,
    accuracy,
    confusion,
    log_softmax,
    macro_f1,
    mean_verdict,
    per_class,
    probabilities,
    windows,
)


def labels(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_accuracy_is_the_share_that_is_right() -> None:
    assert accuracy(labels(0, 1, 2, 2), labels(0, 1, 1, 2)) == 0.75


def test_macro_f1_counts_a_rare_class_as_much_as_a_frequent_one() -> None:
    is_, said = labels(*[0] * 98, 1, 1), labels(*[0] * 100)
    assert accuracy(is_, said) == 0.98
    assert macro_f1(is_, said) == pytest.approx((2 * 98 / (98 + 100) + 0) / 2)


def test_a_class_that_does_not_occur_has_no_f1_of_its_own_but_costs_precision() -> None:
    assert macro_f1(labels(0, 0), labels(0, 2)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("score", [accuracy, macro_f1])
def test_no_samples_have_no_score(score: Callable[[Labels, Labels], float]) -> None:
    with pytest.raises(ValueError, match="0 labels"):
        score(labels(), labels())


def test_confusion_has_what_is_in_rows_and_what_was_said_in_columns() -> None:
    counts = confusion(labels(0, 0, 1), labels(0, 1, 1), classes=3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion(labels(), labels(), classes=2).tolist() == [[0, 0], [0, 0]]


def test_per_class_scores_every_class_also_one_without_samples() -> None:
    scores = per_class(labels(0, 0, 1), labels(0, 1, 1), classes=3)
    assert [(one.recall, one.precision, one.support) for one in scores] == [
        (0.5, 1, 2),
        (1, 0.5, 1),
        (0, 0, 0),
    ]


def test_probabilities_sum_to_one_and_a_higher_temperature_evens_them_out() -> None:
    logits = np.array([[1000.0, 0.0], [2.0, 1.0]], np.float32)
    assert np.allclose(probabilities(logits).sum(axis=1), 1)
    assert probabilities(logits, temperature=2)[1, 0] == pytest.approx(1 / (1 + np.exp(-0.5)))


@pytest.mark.parametrize(
    ("captures", "length", "expected"),
    [
        pytest.param([7] * 6, 3, [[0, 1, 2], [3, 4, 5]], id="side by side where they fit"),
        pytest.param(
            [7] * 5, 3, [[0, 1, 2], [2, 3, 4]], id="overlapping at the end, so that no frame is lost"
        ),
        pytest.param([7, 7, 9, 9], 2, [[0, 1], [2, 3]], id="never across captures"),
        pytest.param([7, 7, 9, 9, 9], 3, [[2, 3, 4]], id="a short capture has none"),
        pytest.param([], 3, [], id="no frames"),
    ],
)
def test_windows(captures: list[int], length: int, expected: list[list[int]]) -> None:
    found = windows(captures, length)
    assert found.shape == (len(expected), length)
    assert found.tolist() == expected


@pytest.mark.parametrize("length", [5, 13, 30])
@pytest.mark.parametrize("frames", [30, 31, 64, 97])
def test_windows_cover_every_frame_of_a_capture_that_is_long_enough(frames: int, length: int) -> None:
    found = windows([1] * frames, length)
    assert set(found.ravel().tolist()) == set(range(frames))
    assert len(found) == -(-frames // length)


def test_a_scattered_capture_is_refused() -> None:
    with pytest.raises(ValueError, match="follow one another"):
        windows([1, 2, 1], 1)


def test_the_verdict_of_a_window_is_the_mean_of_its_calibrated_log_probabilities() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 13, 6)).astype(np.float32) * 3
    mean = np.exp(log_softmax(logits, temperature=1.7).mean(axis=1))
    expected = mean / mean.sum(axis=1, keepdims=True)
    assert np.allclose(probabilities(mean_verdict(logits), temperature=1.7), expected, atol=1e-6)
