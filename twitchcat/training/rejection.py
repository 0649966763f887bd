"""How well a model tells what it knows from what it has never seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twitchcat.recognition.metadata import ModelMetadata
from twitchcat.training.bootstrap import Groups, Interval, auroc
from twitchcat.training.metrics import Labels, Logits
from twitchcat.training.unknown import SCORES, Refusal, false_positive_rate, refusal

LEFT_OUT = "categories left out"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Verdicts of one kind: logits (N, C), labels (N,) with -1 for unknown, and channels (N,)."""

    logits: Logits
    labels: Labels
    channels: Groups

    @property
    def known(self) -> "Samples":
        """Those of the model's own classes."""
        return self._only(self.labels >= 0)

    @property
    def unknown(self) -> "Samples":
        """Those of none."""
        return self._only(self.labels < 0)

    def _only(self, mask: NDArray[np.bool_]) -> "Samples":
        return Samples(self.logits[mask], self.labels[mask], self.channels[mask])

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """How well one score tells the unknown from the known."""

    unknown: str  #: which unknown: LEFT_OUT or a folder
    unit: str  #: "frame" or "window"
    score: str  #: "max_logit" or "energy"
    auroc: Interval
    fpr95: float  #: share of the unknown that passes where 95 % of the known do
    known_samples: int
    unknown_samples: int
    refusal: Refusal | None  #: by the threshold in the model file; None: it has none for this score

    @property
    def is_left_out(self) -> bool:
        """Whether the unknown are categories of the dataset that the model was not trained on."""
        return self.unknown == LEFT_OUT


def rejected(
    name: str, unit: str, known: Samples, unknown: Samples, metadata: ModelMetadata
) -> list[Rejection]:
    """Measure how the unknown is told from the known, by each score; nothing where one has no sample."""
    if not len(known) or not len(unknown):
        return []
    limits = {"max_logit": metadata.unknown_threshold, "energy": metadata.energy_threshold}
    truth = np.r_[np.ones(len(known), bool), np.zeros(len(unknown), bool)]
    groups = np.concatenate([known.channels.astype(str), unknown.channels.astype(str)])
    found = []
    for score_name, of in SCORES.items():
        above, below, limit = of(known.logits), of(unknown.logits), limits[score_name]
        found.append(
            Rejection(
                unknown=name,
                unit=unit,
                score=score_name,
                auroc=auroc(np.r_[above, below], truth, groups),
                fpr95=false_positive_rate(above, below),
                known_samples=len(known),
                unknown_samples=len(unknown),
                refusal=None if limit is None else refusal(above, below, threshold=limit),
            )
        )
    return found
