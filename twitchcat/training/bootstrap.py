"""95 % intervals: what the score might have been with other channels of the same kind.

Frames of one channel resemble one another, so it is channels that are drawn anew, with replacement: the
cluster bootstrap with percentile intervals (Efron and Tibshirani 1993, chapters 8 and 13).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score

from twitchcat.training.calibration import BINS, bin_sums, expected_calibration_error
from twitchcat.training.metrics import Labels, accuracy, macro_f1

DRAWS = 2000
LEVEL = 0.95
_CHUNK = 2_000_000  # numbers in one array while areas under curves are drawn

Groups = NDArray[Any]  #: (N,) the channel of each sample: numbers or names


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value and its 95 % interval."""

    value: float
    low: float | None = None  #: None: fewer than two channels, so nothing can be said
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def as_dict(self) -> dict[str, float | None]:
        """The interval for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How verdicts fared."""

    accuracy: Interval
    macro_f1: Interval  #: over the classes that occur
    samples: int
    channels: int


@dataclass(frozen=True, slots=True)
class _Draws:
    """Counts of each class in each draw, (draws, C): what is so, what was called so, and both."""

    right: NDArray[np.float64]
    support: NDArray[np.float64]
    called: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        return _ratio(self.right.sum(axis=1), self.support.sum(axis=1))

    @property
    def recall(self) -> NDArray[np.float64]:
        return _ratio(self.right, self.support)

    @property
    def macro_f1(self) -> NDArray[np.float64]:
        f1 = _ratio(2 * self.right, self.support + self.called)
        present = self.support > 0
        return _ratio(np.where(present, f1, 0).sum(axis=1), present.sum(axis=1))


def resample(groups: int, *, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Draw `groups` of as many groups with replacement: (draws, groups), how often each was drawn."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=draws)


def score(
    labels: Labels, predicted: Labels, channels: Groups, *, draws: int = DRAWS, seed: int = 0
) -> Scores:
    """Score predictions (N,) of labels (N,). Raises ValueError without samples."""
    drawn, groups = _draw_classes(labels, predicted, channels, draws=draws, seed=seed)
    return Scores(
        accuracy=interval(accuracy(labels, predicted), drawn.accuracy, groups=groups),
        macro_f1=_centred(macro_f1(labels, predicted), drawn.macro_f1, groups=groups),
        samples=len(labels),
        channels=groups,
    )


def recalls(
    labels: Labels,
    predicted: Labels,
    channels: Groups,
    *,
    classes: int,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Interval | None, ...]:
    """Return the recall of each class; None for one that does not occur."""
    drawn, _ = _draw_classes(labels, predicted, channels, classes=classes, draws=draws, seed=seed)
    recall = drawn.recall
    found: list[Interval | None] = []
    for number in range(classes):
        mine = labels == number
        if mine.any():
            value = float((predicted[mine] == number).mean())
            groups = len(np.unique(channels[mine]))
            found.append(interval(value, recall[:, number], groups=groups))
        else:
            found.append(None)
    return tuple(found)


def accuracy_gain(
    labels: Labels,
    before: Labels,
    after: Labels,
    channels: Groups,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Return how much more accurate `after` is than `before` on the same samples, channels drawn in pairs.

    An interval that leaves out 0 is a difference; overlapping intervals of the two alone say little.
    """
    first, groups = _draw_classes(labels, before, channels, draws=draws, seed=seed)
    second, _ = _draw_classes(labels, after, channels, draws=draws, seed=seed)
    value = accuracy(labels, after) - accuracy(labels, before)
    return interval(value, second.accuracy - first.accuracy, groups=groups)


def calibration_error(
    labels: Labels,
    probabilities: NDArray[np.float64],
    channels: Groups,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Return the expected calibration error of probabilities (N, C). Raises ValueError without samples."""
    group, count = _number(channels)
    sums = np.zeros((3, count, BINS))
    for one in range(count):
        mine = group == one
        sums[:, one] = bin_sums(labels[mine], probabilities[mine])
    times = resample(count, draws=draws, seed=seed)
    samples, confidence, right = (times @ one for one in sums)
    drawn = np.abs(confidence - right).sum(axis=1) / samples.sum(axis=1)
    return _centred(expected_calibration_error(labels, probabilities), drawn, groups=count)


def auroc(
    scores: ArrayLike, known: ArrayLike, channels: Groups, *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Return the area under the ROC curve: how often a known sample scores above an unknown one.

    Takes scores (N,), whether each sample is known (N,) bool, and channels (N,). Channels with known and with
    unknown samples are drawn apart, so that every draw has both. Raises ValueError if one kind is missing.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(known, bool)
    if truth.all() or not truth.any():
        raise ValueError("an area under the curve needs known and unknown samples")
    above, groups_above = _number(np.asarray(channels)[truth])
    below, groups_below = _number(np.asarray(channels)[~truth])
    # Sorted once; a draw only changes how much each sample weighs. Equal scores share their place.
    levels, place = np.unique(values, return_inverse=True)
    times_above = resample(groups_above, draws=draws, seed=seed)
    times_below = resample(groups_below, draws=draws, seed=seed + 1)
    mass_above = _histogram(place[truth], above, groups_above, len(levels))
    mass_below = _histogram(place[~truth], below, groups_below, len(levels))
    drawn = np.empty(draws)
    step = max(1, _CHUNK // len(levels))
    for begin in range(0, draws, step):
        part = slice(begin, begin + step)
        high, low = times_above[part] @ mass_above, times_below[part] @ mass_below
        lower = np.cumsum(low, axis=1) - low / 2
        drawn[part] = (high * lower).sum(axis=1) / (high.sum(axis=1) * low.sum(axis=1))
    groups = min(groups_above, groups_below)
    return interval(float(roc_auc_score(truth, values)), drawn, groups=groups)


def interval(value: float, drawn: NDArray[np.float64], *, groups: int) -> Interval:
    """Return the value with the middle 95 % of what was drawn; draws that say nothing (nan) are left out."""
    said = drawn[~np.isnan(drawn)]
    if groups < 2 or not len(said):
        return Interval(value)
    low, high = np.quantile(said, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _centred(value: float, drawn: NDArray[np.float64], *, groups: int) -> Interval:
    """Give the interval of a share that comes out lower, or higher, in almost every draw than in the whole.

    In a draw some classes are frequent and some rare, which costs precision, and bins hold fewer channels,
    whose errors cancel less. So the draws are shifted to have the measured value as their median.
    """
    shift = value - np.nanmedian(drawn)
    return interval(value, np.clip(drawn + shift, 0, 1), groups=groups)


def _draw_classes(
    labels: Labels,
    predicted: Labels,
    channels: Groups,
    *,
    draws: int,
    seed: int,
    classes: int | None = None,
) -> tuple[_Draws, int]:
    if not len(labels):
        raise ValueError("there is nothing to score")
    group, count = _number(channels)
    size = classes or int(max(labels.max(), predicted.max())) + 1
    times = resample(count, draws=draws, seed=seed)
    right = labels == predicted
    drawn = _Draws(
        right=times @ _histogram(labels[right], group[right], count, size),
        support=times @ _histogram(labels, group, count, size),
        called=times @ _histogram(predicted, group, count, size),
    )
    return drawn, count


def _number(channels: Groups) -> tuple[NDArray[np.int64], int]:
    names, numbers = np.unique(channels, return_inverse=True)
    return numbers, len(names)


def _histogram(values: Labels, group: NDArray[np.int64], groups: int, size: int) -> NDArray[np.float64]:
    """Count the values of each group: (groups, size)."""
    counts = np.bincount(group * size + values, minlength=groups * size)
    return counts.reshape(groups, size).astype(np.float64)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; nan where the whole is nothing."""
    result = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) > 0)
    return result
