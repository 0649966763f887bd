"""An evaluation as JSON, and the verdicts in it that matter most."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from twitchcat.training.crossval import WINDOW, CrossValidation
from twitchcat.training.rejection import Rejection
from twitchcat.training.scoring import Evaluation, Measured

FORMAT_VERSION = 1


def window_of(evaluation: Evaluation) -> Measured | None:
    """The verdicts as the recognizer makes them; None where no capture is that long."""
    length = evaluation.metadata.window
    return next(one.mean for one in evaluation.windows if one.length == length)


def best_rejection(evaluation: Evaluation) -> Rejection | None:
    """How left-out categories are told apart as the recognizer does: by the largest logit, of windows."""
    found = [one for one in evaluation.rejections if one.is_left_out and one.score == "max_logit"]
    return max(found, key=lambda one: one.unit == "window", default=None)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The whole evaluation as values that JSON has; what could not be measured is null."""
    metadata = evaluation.metadata
    return {
        "format_version": FORMAT_VERSION,
        "split": evaluation.split,
        "fingerprint": evaluation.fingerprint,
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


def comparison_as_json(found: CrossValidation) -> dict[str, Any]:
    """A cross-validation as values that JSON has."""
    plain: dict[str, Any] = _plain(found)
    return {"format_version": FORMAT_VERSION, "window": WINDOW} | plain


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
