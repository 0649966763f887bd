"""Telling apart what a model knows and what it has never seen, by the size of its logits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_curve

from twitchcat.training.metrics import Logits

KEEP = 0.95  # of the known, in FPR95 as in thresholds

Scores = NDArray[np.float64]  #: (N,), higher where the model knows more


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a threshold does."""

    threshold: float
    known_refused: float  #: share of known samples called unknown
    unknown_passed: float  #: share of unknown samples given a category


def max_logit(logits: Logits) -> Scores:
    """Score by the largest logit. Source: Hendrycks et al. 2022, arXiv:1911.11132."""
    largest: Scores = np.asarray(logits, np.float64).max(axis=1)
    return largest


def energy(logits: Logits) -> Scores:
    """Score by logsumexp of the logits, the negative energy. Source: Liu et al. 2020, arXiv:2010.03759."""
    return np.asarray(logsumexp(np.asarray(logits, np.float64), axis=1))


#: How a sample may be scored, by name.
SCORES = {"max_logit": max_logit, "energy": energy}


def threshold(known: ArrayLike, *, keep: float = KEEP) -> float:
    """Return the highest score that `keep` of these (N,) reach. Raises ValueError without samples."""
    scores = np.asarray(known, np.float64)
    if not scores.size:
        raise ValueError("a threshold needs samples")
    return float(np.quantile(scores, 1 - keep, method="lower"))


def false_positive_rate(known: ArrayLike, unknown: ArrayLike, *, keep: float = KEEP) -> float:
    """Return the share of unknown samples that pass a threshold which `keep` of the known pass (FPR95).

    Raises ValueError if one of them has no sample.
    """
    above, below = np.asarray(known, np.float64), np.asarray(unknown, np.float64)
    if not above.size or not below.size:
        raise ValueError("a false positive rate needs known and unknown samples")
    truth = np.r_[np.ones(len(above), int), np.zeros(len(below), int)]
    false, true, _ = roc_curve(truth, np.r_[above, below], drop_intermediate=False)
    # A share such as 0.95 of 20 may come out a rounding error below itself.
    return float(false[np.argmax(true >= keep - 1e-12)])


def refusal(known: ArrayLike, unknown: ArrayLike, *, threshold: float) -> Refusal:
    """Say what a threshold would do with known (N,) and unknown (M,) scores."""
    above: NDArray[Any] = np.asarray(known)
    below: NDArray[Any] = np.asarray(unknown)
    return Refusal(
        threshold=threshold,
        known_refused=float((above < threshold).mean()) if above.size else 0.0,
        unknown_passed=float((below >= threshold).mean()) if below.size else 0.0,
    )
