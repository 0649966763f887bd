"""Whether a confidence of 0.9 is right nine times of ten, and the temperature that makes it so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from twitchcat.training.metrics import Labels, Logits, log_softmax, probabilities
from twitchcat.training.unknown import energy, max_logit, threshold

BINS = 15  # as in the paper of the temperature

TEMPERATURES = (0.05, 20.0)  # that are looked through


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # arrays have no single ==
class Reliability:
    """Confidence and accuracy in bins of confidence of equal width."""

    count: NDArray[np.int64]  #: (BINS,) samples
    confidence: NDArray[np.float64]  #: (BINS,) their mean; nan where there are none
    accuracy: NDArray[np.float64]  #: (BINS,) share that is right; nan where there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What validation says about reading a model's logits: the fields of the model file."""

    temperature: float
    unknown_threshold: float  #: of the largest logit
    energy_threshold: float  #: of logsumexp of the logits
    nll_before: float  #: mean negative log-likelihood, in nats, at temperature 1
    nll_after: float
    ece_before: float
    ece_after: float


def bin_sums(labels: Labels, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum up samples, confidences and right verdicts in each bin: (3, BINS).

    Takes labels (N,) and probabilities (N, C); a bin reaches from above its lower end up to its upper end.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    weights = (np.ones(len(labels)), confidence, right.astype(np.float64))
    return np.stack([np.bincount(places, weights=one, minlength=BINS) for one in weights])


def reliability(labels: Labels, probabilities: NDArray[np.float64]) -> Reliability:
    """Compare confidence and accuracy of probabilities (N, C), bin by bin."""
    count, confidence, right = bin_sums(labels, probabilities)
    none = np.full(BINS, np.nan)
    return Reliability(
        count=count.astype(np.int64),
        confidence=np.divide(confidence, count, out=none.copy(), where=count > 0),
        accuracy=np.divide(right, count, out=none.copy(), where=count > 0),
    )


def expected_calibration_error(labels: Labels, probabilities: NDArray[np.float64]) -> float:
    """Return the mean distance of confidence and accuracy over the bins, 0 at best, in shares of 1.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", with the
    confidence of the verdict as in Guo et al. 2017. Raises ValueError without samples.
    """
    if not len(labels):
        raise ValueError("there is nothing to calibrate")
    _, confidence, right = bin_sums(labels, probabilities)
    return float(np.abs(confidence - right).sum() / len(labels))


def negative_log_likelihood(labels: Labels, logits: Logits, *, temperature: float = 1.0) -> float:
    """Return the mean over samples, in nats."""
    return float(-log_softmax(logits, temperature=temperature)[np.arange(len(labels)), labels].mean())


def fit_temperature(labels: Labels, logits: Logits) -> float:
    """Find the temperature at which these logits (N, C) have the least negative log-likelihood.

    Use logits of the kind the temperature is for: verdicts of windows, of the validation split. A label
    counts for (N + 1) / (N + 2), the rest is shared by the other classes: N verdicts that are all right would
    ask for a certainty that so few cannot show. Raises ValueError without samples.
    Source: Guo et al. 2017, arXiv:1706.04599; targets as in Platt 1999, "Probabilistic Outputs for Support
    Vector Machines".
    """
    if not len(labels):
        raise ValueError("there is nothing to fit a temperature on")
    low, high = np.log(TEMPERATURES)
    count, classes = logits.shape
    doubt = 1 / (count + 2) if classes > 1 else 0.0
    targets = np.full(logits.shape, doubt / max(1, classes - 1))
    targets[np.arange(count), labels] = 1 - doubt
    found = minimize_scalar(
        lambda log: -(targets * log_softmax(logits, temperature=float(np.exp(log)))).sum(axis=1).mean(),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def calibrate(labels: Labels, logits: Logits, *, keep: float = 0.95) -> Calibration:
    """Fit temperature and thresholds on verdicts (N, C) of the validation split.

    The thresholds let `keep` of these verdicts pass. Raises ValueError without samples.
    """
    temperature = fit_temperature(labels, logits)
    return Calibration(
        temperature=temperature,
        unknown_threshold=threshold(max_logit(logits), keep=keep),
        energy_threshold=threshold(energy(logits), keep=keep),
        nll_before=negative_log_likelihood(labels, logits),
        nll_after=negative_log_likelihood(labels, logits, temperature=temperature),
        ece_before=expected_calibration_error(labels, probabilities(logits)),
        ece_after=expected_calibration_error(labels, probabilities(logits, temperature=temperature)),
    )
