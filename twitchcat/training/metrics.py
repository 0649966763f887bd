"""How often verdicts are right: accuracy, macro F1, per class, confusion; and the windows verdicts come from.

Arrays in, values out. Scores with intervals are in `bootstrap`, probabilities in `calibration`, what belongs
to no class in `unknown`, switches in `switching`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

Logits = NDArray[np.float32]  #: (N, C), before any temperature
Labels = NDArray[np.int64]  #: (N,) places among the classes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How one class fared."""

    precision: float  #: of what was called so; 0 where nothing was
    recall: float  #: of what is so
    f1: float
    support: int  #: samples that are so


def log_softmax(logits: Logits, *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn logits (..., C) into logarithms of probabilities (..., C) float64.

    Source of the temperature: Guo et al. 2017, arXiv:1706.04599.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def probabilities(logits: Logits, *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn logits (..., C) into probabilities (..., C) float64, those of a row summing to 1."""
    return np.exp(log_softmax(logits, temperature=temperature))


def accuracy(labels: Labels, predicted: Labels) -> float:
    """Return the share that is right. Raises ValueError without samples."""
    _check(labels, predicted)
    return float(accuracy_score(labels, predicted))


def macro_f1(labels: Labels, predicted: Labels) -> float:
    """Return the mean of the F1 of the classes that occur among `labels`. Raises ValueError without samples.

    A class that was only ever predicted lowers the F1 of those it was mistaken for; it has none of its own.
    """
    _check(labels, predicted)
    present = np.unique(labels)
    return float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0.0))


def confusion(labels: Labels, predicted: Labels, *, classes: int) -> NDArray[np.int64]:
    """Count (C, C): rows are what is, columns what was said."""
    if not len(labels):
        return np.zeros((classes, classes), np.int64)
    return np.asarray(confusion_matrix(labels, predicted, labels=np.arange(classes)), np.int64)


def per_class(labels: Labels, predicted: Labels, *, classes: int) -> tuple[ClassScore, ...]:
    """Score each of the classes, also those without a sample (all zero)."""
    columns = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(classes), average=None, zero_division=0.0
    )
    return tuple(
        ClassScore(precision=float(precision), recall=float(recall), f1=float(f1), support=int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    )


def windows(captures: Sequence[int] | NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Lay windows of `length` frames over captures: (W, length) places of frames.

    `captures` names the capture of each frame; the frames of one capture follow one another in time order. As
    few windows as cover every frame, evenly spread, so that the last ones overlap where the length does not
    divide; a capture with fewer frames than one window has none. Raises ValueError for a scattered capture.
    """
    numbers = np.asarray(captures)
    if not len(numbers):
        return np.zeros((0, length), np.int64)
    begins = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    if len(set(numbers[begins].tolist())) < len(begins):
        raise ValueError("the frames of a capture must follow one another")
    rows = []
    for begin, end in zip(begins, np.r_[begins[1:], len(numbers)], strict=True):
        room = int(end - begin) - length
        if room >= 0:
            count = -(-int(end - begin) // length)
            rows.append(begin + np.rint(np.linspace(0, room, count)).astype(np.int64))
    starts = np.concatenate(rows) if rows else np.array([], np.int64)
    return starts[:, None] + np.arange(length)


def mean_verdict(logits: NDArray[np.float32]) -> Logits:
    """Sum up sequences of logits (W, T, C) to one verdict each (W, C), as the recognizer does.

    The recognizer takes the mean of calibrated log-probabilities over its window and makes its sum 1 again:
    softmax(mean(log softmax(z/t))) = softmax(mean(z)/t), so the mean of the logits is all it takes.
    """
    return np.asarray(logits.mean(axis=1), np.float32)


def _check(labels: Labels, predicted: Labels) -> None:
    if not len(labels) or len(labels) != len(predicted):
        raise ValueError(f"{len(labels)} labels and {len(predicted)} predictions cannot be scored")
