"""Networks trained for a comparison: not exported, asked through torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twitchcat import __version__
from twitchcat.dataset.snapshot import Snapshot
from twitchcat.frames.picture import Rgb
from twitchcat.recognition.fit import fit_picture
from twitchcat.recognition.metadata import ModelClass, ModelMetadata
from twitchcat.recognition.model import ModelOutput, State
from twitchcat.training.crossval import WINDOW
from twitchcat.training.fit import Workplace, fit
from twitchcat.training.loop import Epoch, Observer
from twitchcat.training.network import Network, NetworkSpec
from twitchcat.training.predict import Model
from twitchcat.training.recipe import Recipe, recipe_for

#: Told in words what is going on.
Note = Callable[[str], None]


class NetworkModel:
    """A network as something that recognizes, as its model file would."""

    def __init__(self, network: Network, snapshot: Snapshot) -> None:
        """The network's classes are those of the snapshot; nothing is calibrated yet."""
        spec = network.spec
        self._network = network.eval()
        self.metadata = ModelMetadata(
            classes=tuple(ModelClass(id=one.id, name=one.name) for one in snapshot.classes),
            input_height=spec.input_height,
            input_width=spec.input_width,
            fit=spec.fit,
            frame_interval_s=2.0,
            window=WINDOW,
            temperature=1.0,
            unknown_threshold=0.0,
            backbone=spec.backbone,
            head=spec.head,
            fingerprint=snapshot.fingerprint,
            created_at=datetime.now(UTC),
            twitchcat_version=__version__,
        )

    def prepare(self, rgb: Rgb) -> Rgb:
        """Bring a picture (H, W, 3) uint8 RGB to the input's size."""
        about = self.metadata
        return fit_picture(rgb, height=about.input_height, width=about.input_width, fit=about.fit)

    def run(self, frames: NDArray[np.uint8], state: State | None = None) -> ModelOutput:
        """Recognize frames (B, T, H, W, 3) uint8 RGB; see RecognitionModel.run."""
        device = next(self._network.parameters()).device
        given = self._network.initial_state(len(frames)) if state is None else torch.from_numpy(state[0])
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device)
            logits, embeddings, new = self._network(pixels, given.to(device))
        return ModelOutput(
            logits=logits.float().cpu().numpy(),
            embeddings=embeddings.float().cpu().numpy(),
            state=(new.cpu().numpy(),),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Observer):
    """Passes each epoch on as a line."""

    name: str
    note: Note

    def decoding(self, done: int, total: int) -> None:
        """Say nothing."""

    def stage(self, name: str, *, epochs: int, steps: int) -> None:
        """Say nothing."""

    def step(self, *, epoch: int, step: int, loss: float, frames_per_s: float, left_s: float) -> None:
        """Say nothing."""

    def epoch(self, row: Epoch) -> None:
        """Say how it went."""
        checked = "" if row.val_accuracy is None else f", validation {row.val_accuracy:.3f}"
        self.note(f"{self.name}: {row.stage} {row.epoch}/{row.epochs}, loss {row.train_loss:.3f}{checked}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTrainer:
    """Trains candidates of a cross-validation as `twitchcat train` would. A Trainer."""

    images: Path
    folder: Path  #: for pictures brought to size, and checkpoints
    device: torch.device
    options: dict[str, object] = field(default_factory=dict)  #: of recipes, in place of what they say
    network: dict[str, Any] = field(default_factory=dict)  #: of NetworkSpec, in place of a backbone's preset
    note: Note = lambda line: None  # noqa: ARG005 - nobody listens
    stop: Event = field(default_factory=Event)

    def __call__(
        self, snapshot: Snapshot, backbone: str, heads: Sequence[str], name: str
    ) -> dict[str, Model]:
        """Train; see Trainer. Raises ConfigError, ModelError, StoreError, Stopped."""
        folder = self.folder / f"{name}-{Path(backbone).name}"
        folder.mkdir(parents=True, exist_ok=True)
        recipe: Recipe = recipe_for(backbone, **self.options)
        spec = NetworkSpec.preset(backbone, classes=len(snapshot.classes), head=heads[0], **self.network)
        place = Workplace(
            images=self.images, cache=self.folder / "pictures", folder=folder, device=self.device
        )
        observer = Told(name=f"{backbone}, {name}", note=self.note)
        outcome = fit(snapshot, spec, recipe, place, heads=heads, observer=observer, stop=self.stop)
        return {head: NetworkModel(one.network, snapshot) for head, one in outcome.fitted.items()}
