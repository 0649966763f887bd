"""How a network is trained: everything that, with the snapshot and the seed, decides the outcome."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from twitchcat.errors import ConfigError
from twitchcat.training.backbones import from_scratch

Balance = Literal["sampling", "weights", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The options of one training run."""

    seed: int = 0
    epochs: int = 40  #: over the pictures, where the backbone is trained
    head_epochs: int = 40  #: over the embeddings, where the head is trained on its own
    batch: int = 48  #: pictures in one step
    head_batch: int = 32  #: sequences in one step
    frames_per_epoch: int | None = None  #: None: as many as there are, 512 at least
    learning_rate: float = 2e-3  #: at its highest
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  #: share of the steps in which the learning rate rises
    schedule: Literal["cosine", "constant"] = "cosine"
    label_smoothing: float = 0.1
    clip_norm: float = 1.0  #: of the gradient
    averaging: bool = True  #: whether a running average of the weights is what is kept
    balance: Balance = "sampling"  #: what a rare category is given: more looks, more weight, or nothing
    augmentation: float = 1.0  #: strength; 0: none
    clutter: float = 0.5  #: share of sequences with drawn streamer clutter
    mixup: float = 0.0  #: parameter of the beta distribution; 0: none
    sequence: int = 16  #: frames of a sequence the head learns from
    splice: float = 0.3  #: share of sequences that switch from one category to another
    views: int = 4  #: augmented looks at each frame that the head learns from, beside the plain one
    unfreeze: bool = False  #: whether a pretrained backbone is trained too
    patience: int | None = 15  #: epochs without a better validation before training ends early
    target_accuracy: float | None = None  #: of frames of validation; reached, the stage ends
    max_minutes: float | None = None  #: of training; the schedule is shortened to end in time

    def __post_init__(self) -> None:
        """Raise ConfigError where nothing could be trained by this."""
        shares = (self.label_smoothing, self.clutter, self.splice, self.warmup)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError("shares are between 0 and 1")
        if min(self.epochs, self.head_epochs, self.batch, self.head_batch, self.sequence) < 1:
            raise ConfigError("epochs, batches and sequences are at least 1")
        if self.balance not in get_args(Balance):
            raise ConfigError(f"balance is by sampling, weights or none, not by {self.balance!r}")
        if self.target_accuracy is not None and not 0 < self.target_accuracy <= 1:
            raise ConfigError(
                f"a target accuracy is a share between 0 and 1, as 0.95; not {self.target_accuracy}"
            )

    @property
    def averaged_over(self) -> float:
        """The share of a run's steps that the running average of weights reaches back."""
        return 0.05

    def as_dict(self) -> dict[str, Any]:
        """All fields, as JSON can hold them."""
        return asdict(self)


def recipe_for(backbone: str, **options: Any) -> Recipe:
    """The recipe of a backbone, with `options` in place of what it says; None leaves a field alone."""
    if backbone == "forerunner":  # as it was: Adam at its default rate, plain pictures, nothing else
        base = Recipe(
            learning_rate=1e-3,
            weight_decay=0.0,
            warmup=0.0,
            schedule="constant",
            label_smoothing=0.0,
            clip_norm=float("inf"),
            averaging=False,
            balance="none",
            augmentation=0.0,
            clutter=0.0,
            batch=32,
        )
    elif from_scratch(backbone):
        base = Recipe()
    else:  # pretrained weights are moved with care
        base = Recipe(learning_rate=1e-4, epochs=10)
    return replace(base, **{name: value for name, value in options.items() if value is not None})
