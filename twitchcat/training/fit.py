"""From a snapshot to trained networks: pictures, the backbone, embeddings, then a head or several."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame
from twitchcat.errors import ConfigError
from twitchcat.training.backbones import from_scratch
from twitchcat.training.checkpoint import load_checkpoint, save_checkpoint
from twitchcat.training.heads import build_head
from twitchcat.training.loop import Epoch, Limits, Observer, train_stage
from twitchcat.training.network import Network, NetworkSpec, build
from twitchcat.training.pictures import load_pictures
from twitchcat.training.recipe import Recipe
from twitchcat.training.sequences import tracks_of
from twitchcat.training.stages import FrameStage, HeadStage, Stage, embed_views
from twitchcat.twitch.entities import Category

CHECKPOINT = "checkpoint.pt"
_VIEWS = "views.pt"

#: Gives the embeddings (N, D) float32 of frames by a network whose backbone is frozen.
Embedder = Callable[[Network, Sequence[SnapshotFrame]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where training reads and writes, and what it computes on."""

    images: Path  #: that the frames' paths are relative to
    cache: Path  #: of decoded pictures
    folder: Path  #: of the run
    device: torch.device
    embedder: Embedder | None = None  #: for frozen backbones; None: embeddings are computed each time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A trained network."""

    network: Network  #: on the CPU, in evaluation mode
    spec: NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a training run came to."""

    fitted: dict[str, Fitted]  #: by head
    epochs: tuple[Epoch, ...]  #: of all stages


def choose_device(name: str = "auto") -> torch.device:
    """Find the device that is meant: auto (CUDA where there is one), cpu, cuda, cuda:1.

    Raises ConfigError if it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"there is no device {name!r}; say auto, cpu or cuda") from None
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"twitchcat trains on cpu and cuda, not on {device.type}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"there is no device {name!r} here; leave --device out, or say cpu")
    return device


def fit(
    snapshot: Snapshot,
    spec: NetworkSpec,
    recipe: Recipe,
    place: Workplace,
    *,
    heads: Sequence[str] = (),
    classes: Sequence[Category] | None = None,
    observer: Observer,
    stop: Event,
    resume: bool = False,
) -> Outcome:
    """Train on the frames of the splits train and val; those of test are not looked at.

    One network for each of `heads` (none: that of `spec`), all over the same backbone. `classes` are the
    categories to tell apart, in the order of the logits (None: all of the snapshot); frames of others are
    left out. With `resume`, go on from the checkpoint in the folder.

    Raises ConfigError for a snapshot nothing can be learned from, StoreError for unreadable images,
    ModelError where a backbone cannot be had, Stopped.
    """
    chosen = snapshot.classes if classes is None else tuple(classes)
    _check(snapshot, chosen, spec)
    run = _Fit(snapshot, [one.id for one in chosen], spec, recipe, place, observer, stop, resume=resume)
    return run.run(heads or (spec.head,))


class _Fit:
    """One run; holds what its stages share."""

    def __init__(  # noqa: PLR0917 - made in one place only, right above
        self,
        snapshot: Snapshot,
        classes: list[str],
        spec: NetworkSpec,
        recipe: Recipe,
        place: Workplace,
        observer: Observer,
        stop: Event,
        *,
        resume: bool,
    ) -> None:
        self.spec, self.recipe, self.place = spec, recipe, place
        self.observer, self.stop = observer, stop
        self.frames = {
            split: tuple(frame for frame in snapshot.of(split) if frame.category_id in set(classes))
            for split in ("train", "val")
        }
        self.tracks = {split: tracks_of(frames, classes) for split, frames in self.frames.items()}
        self.pictures: dict[str, Tensor] = {}
        if not resume:
            (place.folder / _VIEWS).unlink(missing_ok=True)
        saved = load_checkpoint(place.folder / CHECKPOINT) if resume else {}
        self.finished: dict[str, dict[str, Any]] = saved.get("finished", {})
        self.running: dict[str, Any] | None = saved.get("running")
        before = float(saved.get("elapsed_s", 0.0))
        began = time.monotonic()
        self.clock: Callable[[], float] = lambda: before + time.monotonic() - began

    def run(self, heads: Sequence[str]) -> Outcome:
        torch.manual_seed(self.recipe.seed)
        scratch = from_scratch(self.spec.backbone)
        base = build(replace(self.spec, head="frame")).to(self.place.device)
        trains_backbone = scratch or self.recipe.unfreeze
        later = [head for head in heads if head != "frame" or not trains_backbone]
        if trains_backbone:
            best = self._train(self._frame_stage(base), "backbone", share=0.85 if later else 1.0)
            base.load_state_dict(best)
        base.eval()
        fitted: dict[str, Fitted] = {}
        looks = self._embeddings(base, trained=trains_backbone) if later else {}
        for head in heads:
            if head not in later:
                fitted[head] = self._fitted(base, head)
                continue
            torch.manual_seed(self.recipe.seed)
            part = build_head(
                head,
                embedding=base.embedding,
                classes=self.spec.classes,
                hidden=self.spec.hidden,
                dropout=self.spec.dropout,
            ).to(self.place.device)
            stage = HeadStage(
                part,
                recipe=self.recipe,
                train=(looks["train"], self.tracks["train"]),
                val=(looks["val"][0], self.tracks["val"]),
                device=self.place.device,
            )
            part.load_state_dict(self._train(stage, f"head {head}", share=1.0))
            part.eval()
            whole = build(replace(self.spec, head=head), weights=False).to(self.place.device)
            whole.backbone.load_state_dict(base.backbone.state_dict())
            whole.head.load_state_dict(part.state_dict())
            fitted[head] = self._fitted(whole, head)
        (self.place.folder / _VIEWS).unlink(missing_ok=True)
        rows = [Epoch(**row) for stage in self.finished.values() for row in stage["rows"]]
        return Outcome(fitted=fitted, epochs=tuple(rows))

    def _train(self, stage: Stage, name: str, *, share: float) -> dict[str, Tensor]:
        """Train a stage, or take its weights from the checkpoint where it had come to its end."""
        stage.name = name
        if name in self.finished:
            return dict(self.finished[name]["best"])
        resume = self.running if self.running is not None and self.running["name"] == name else None
        ends = None
        if self.recipe.max_minutes is not None:
            whole = 60 * self.recipe.max_minutes
            begin = float(resume["begin_s"]) if resume else self.clock()
            ends = (begin, max(share * whole, begin + 0.08 * whole))  # a late stage gets its least

        def save(state: dict[str, Any]) -> None:
            self._save(running=state | {"name": name, "begin_s": 0.0 if ends is None else ends[0]})

        best, rows = train_stage(
            stage,
            self.recipe,
            Limits(
                device=self.place.device,
                seed=self.recipe.seed,
                stop=self.stop,
                clock=self.clock,
                ends_s=ends,
            ),
            observer=self.observer,
            resume=resume,
            save=save,
        )
        self.finished[name] = {"best": best, "rows": [asdict(row) for row in rows]}
        self._save(running=None)
        return best

    def _save(self, *, running: dict[str, Any] | None) -> None:
        save_checkpoint(
            self.place.folder / CHECKPOINT,
            {"finished": self.finished, "running": running, "elapsed_s": self.clock()},
        )

    def _frame_stage(self, network: Network) -> FrameStage:
        return FrameStage(
            network,
            recipe=self.recipe,
            train=(self._pictures("train"), self.tracks["train"]),
            val=(self._pictures("val"), self.tracks["val"]),
            device=self.place.device,
        )

    def _pictures(self, split: str) -> Tensor:
        if split not in self.pictures:
            found = torch.from_numpy(
                load_pictures(
                    self.frames[split],
                    self.place.images,
                    self.place.cache,
                    height=self.spec.input_height,
                    width=self.spec.input_width,
                    fit=self.spec.fit,
                    progress=self.observer.decoding,
                )
            )
            self.pictures[split] = _near(found, self.place.device)
        return self.pictures[split]

    def _embeddings(self, network: Network, *, trained: bool) -> dict[str, Tensor]:
        """What heads learn from: (V, N, D) float32 for each split."""
        if not trained and self.place.embedder is not None:
            return {
                split: torch.from_numpy(self.place.embedder(network, frames))[None]
                for split, frames in self.frames.items()
            }
        kept = self.place.folder / _VIEWS
        if kept.is_file():
            saved = load_checkpoint(kept)
            return {split: saved[split] for split in self.frames}
        views = {"train": self.recipe.views if trained else 0, "val": 0}
        looks = {
            split: embed_views(
                network,
                self._pictures(split),
                self.tracks[split],
                views=count,
                recipe=self.recipe,
                device=self.place.device,
            )
            for split, count in views.items()
        }
        save_checkpoint(kept, dict(looks))
        return looks

    def _fitted(self, network: Network, head: str) -> Fitted:
        whole = copy.deepcopy(network).cpu().eval()  # the backbone is still needed where it is
        return Fitted(network=whole, spec=replace(self.spec, head=head))


def _check(snapshot: Snapshot, classes: Sequence[Category], spec: NetworkSpec) -> None:
    if len(classes) != spec.classes:
        raise ValueError(f"the network has {spec.classes} classes, not {len(classes)}")
    learned = {frame.category_id for frame in snapshot.of("train")}
    if missing := [one.name for one in classes if one.id not in learned]:
        raise ConfigError(
            f"no channel of the split train shows {', '.join(missing)}: collect or import more channels of"
            " it, then run twitchcat dataset split"
        )


def _near(pictures: Tensor, device: torch.device) -> Tensor:
    """Move pictures to the device where they leave most of its memory free."""
    if device.type != "cuda":
        return pictures
    free, _ = torch.cuda.mem_get_info(device)
    return pictures.to(device) if pictures.numel() < free // 4 else pictures.pin_memory()
