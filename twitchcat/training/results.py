"""An evaluation as JSON, and its few numbers that a model file carries."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from twitchcat.training.rejection import Rejection
from twitchcat.training.scoring import Evaluation, Measured

FORMAT_VERSION = 1


def headline(evaluation: Evaluation) -> dict[str, float | int | str]:
    """The numbers a model is known by: for the metrics of its metadata. Shares are of 1.

    Windows are of the model's own length, by the mean over their frames. What was not measured is absent.
    """
    window = window_of(evaluation)
    found: dict[str, float | int | str | None] = {
        "split": evaluation.split,
        "frames": evaluation.frame.scores.samples,
        "channels": evaluation.frame.scores.channels,
        "frame_accuracy": evaluation.frame.scores.accuracy.value,
        "frame_macro_f1": evaluation.frame.scores.macro_f1.value,
        "frame_ece": evaluation.frame.ece_after.value,
    }
    if window is not None:
        accuracy = window.scores.accuracy
        found |= {
            "windows": window.scores.samples,
            "window_accuracy": accuracy.value,
            "window_accuracy_low": accuracy.low,
            "window_accuracy_high": accuracy.high,
            "window_macro_f1": window.scores.macro_f1.value,
            "window_ece": window.ece_after.value,
        }
    if (unknown := best_rejection(evaluation)) is not None:
        found |= {"unknown_auroc": unknown.auroc.value, "unknown_fpr95": unknown.fpr95}
    if evaluation.cost is not None:
        found["ms_per_frame"] = evaluation.cost.ms_per_frame
    return {name: value for name, value in found.items() if value is not None}


def window_of(evaluation: Evaluation) -> Measured | None:
    """The verdicts as the recognizer makes them; None where no capture is that long."""
    length = evaluation.metadata.window
    return next(one.mean for one in evaluation.windows if one.length == length)


def best_rejection(evaluation: Evaluation) -> Rejection | None:
    """How left-out categories are told apart as the recognizer does: by the largest logit, of windows if any."""
    found = [one for one in evaluation.rejections if one.is_left_out and one.score == "max_logit"]
    return max(found, key=lambda one: one.unit == "window", default=None)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The whole evaluation as values that JSON has; what could not be measured is null."""
    metadata = evaluation.metadata
    return {
        "format_version": FORMAT_VERSION,
        "split": evaluation.split,
        "fingerprint": evaluation.fingerprint,
        "headline": headline(evaluation),
        "model": metadata.model_dump(mode="json", exclude={"metrics"}),
        "captures": evaluation.captures,
        "frame": _plain(evaluation.frame),
        "windows": _plain(evaluation.windows),
        "classes": _plain(evaluation.classes),
        "verdicts": evaluation.verdicts,
        "confusion": _plain(evaluation.confusion),
        "reliability": {
            "before": _plain(evaluation.reliability_before),
            "after": _plain(evaluation.reliability_after),
        },
        "unknown": _plain(evaluation.rejections),
        "switching": _plain(evaluation.switching),
        "worst_frames": _plain(evaluation.worst),
        "cost": _plain(evaluation.cost),
    }


def _plain(value: Any) -> Any:
    """Turn dataclasses, arrays and nan into what JSON has."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case np.ndarray():
            return [_plain(one) for one in value.tolist()]
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value
