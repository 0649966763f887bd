"""The loop of training: steps, averaged weights, validation, checkpoints, early stopping."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from threading import Event
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from twitchcat.training.recipe import Recipe
from twitchcat.training.stages import Score, Stage, Step, half_precision

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Training was asked to stop; its checkpoint holds what there was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One row of the curves."""

    stage: str  #: backbone or head
    epoch: int  #: from 1
    epochs: int  #: at most
    train_loss: float
    train_accuracy: float  #: of augmented frames
    val_loss: float | None  #: None: there is no validation
    val_accuracy: float | None  #: of frames, every channel counting as much as another
    learning_rate: float  #: at its end
    frames_per_s: float
    elapsed_s: float  #: of the whole training, all stages
    best: bool  #: better on validation than any before


class Observer(Protocol):
    """What wants to know how training goes."""

    def decoding(self, done: int, total: int) -> None:
        """Pictures are being brought to the input's size."""

    def stage(self, name: str, *, epochs: int, steps: int) -> None:
        """A stage begins."""

    def step(self, *, epoch: int, step: int, loss: float, frames_per_s: float, left_s: float) -> None:
        """A step is done; `left_s` are the seconds that the stage takes at most."""

    def epoch(self, row: Epoch) -> None:
        """An epoch is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the loop runs on, and what ends it."""

    device: torch.device
    seed: int
    stop: Event
    clock: Callable[[], float]  #: seconds of training so far, those before a resume included
    ends_s: tuple[float, float] | None = None  #: by that clock, when this stage began and has to end

    @property
    def time_share(self) -> float:
        """How much of the stage's time is gone; 0 where it is not limited."""
        if self.ends_s is None:
            return 0.0
        begin, end = self.ends_s
        return (self.clock() - begin) / max(1e-9, end - begin)


def train_stage(
    stage: Stage,
    recipe: Recipe,
    limits: Limits,
    *,
    observer: Observer,
    resume: dict[str, Any] | None,
    save: Callable[[dict[str, Any]], None],
) -> tuple[dict[str, Tensor], list[Epoch]]:
    """Train a stage to its end; returns the weights that did best on validation, on the CPU, and the curves.

    `save` is given a checkpoint after every epoch; `resume` is such a one to go on from. On a CPU, with the
    same number of threads, a run that was killed and goes on ends with the same weights, bit by bit, as one
    that was not, unless a limit of time shortens it. Raises Stopped when asked to.
    """
    loop = _Loop(stage, recipe, limits.device)
    rows: list[Epoch] = []
    if resume is not None:
        rows = [Epoch(**row) for row in resume["rows"]]
        loop.restore(resume)
    observer.stage(stage.name, epochs=stage.epochs, steps=stage.steps)
    for number in range(len(rows) + 1, stage.epochs + 1):
        if _ended(rows, recipe):
            break
        rng = _seed(limits.seed, stage.name, number)
        stage.module.train()
        totals = _Totals(stage.steps)
        for done, step in enumerate(stage.epoch(rng), start=1):
            loop.advance(step, limits.time_share)
            totals.add(step)
            if limits.stop.is_set():
                raise Stopped
            if done % totals.every == 0 or done == stage.steps:
                ahead = stage.steps * (stage.epochs - number + 1) - done
                observer.step(
                    epoch=number,
                    step=done,
                    loss=totals.loss,
                    frames_per_s=totals.frames_per_s,
                    left_s=ahead * totals.seconds / done,
                )
        score = loop.validate()
        row = Epoch(
            stage=stage.name,
            epoch=number,
            epochs=stage.epochs,
            train_loss=totals.loss,
            train_accuracy=totals.accuracy,
            val_loss=None if score is None else score.loss,
            val_accuracy=None if score is None else score.accuracy,
            learning_rate=loop.learning_rate,
            frames_per_s=totals.frames_per_s,
            elapsed_s=limits.clock(),
            best=loop.keep_if_best(score),
        )
        rows.append(row)
        save(loop.checkpoint() | {"rows": [asdict(one) for one in rows]})
        observer.epoch(row)
        if limits.time_share >= 1:
            log.info("time_is_up", extra={"stage": stage.name, "epoch": number})
            break
    return loop.best, rows


class _Loop:
    """The parts that change from step to step."""

    def __init__(self, stage: Stage, recipe: Recipe, device: torch.device) -> None:
        self.stage, self.recipe = stage, recipe
        self.total = max(1, stage.epochs * stage.steps)
        self.done = 0
        self.optimizer = _optimizer(stage, recipe)
        decay = min(0.9998, max(0.5, 1 - 1 / (recipe.averaged_over * self.total)))
        averaging = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch has no type there
        self.average = (
            AveragedModel(stage.module, multi_avg_fn=averaging, use_buffers=True)
            if recipe.averaging
            else None
        )
        # Gradients of 16 bits with a short exponent would vanish unless scaled.
        self.scaler = torch.amp.GradScaler(device.type, enabled=half_precision(device) is torch.float16)
        self.best: dict[str, Tensor] = {}
        self.best_score: tuple[float, float] = (-1.0, -math.inf)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def advance(self, step: Step, time_share: float) -> None:
        """Take one step down the loss."""
        share = max(self.done / self.total, time_share)
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.learning_rate * _rate(share, self.recipe)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(step.loss).backward()  # type: ignore[no-untyped-call]  # torch has no type there
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.stage.module.parameters(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.done += 1
        # At first the average would be of weights that know nothing yet.
        if self.average is not None and (self.done >= min(20, self.total // 4) or self.done == self.total):
            self.average.update_parameters(self.stage.module)

    def validate(self) -> Score | None:
        self.evaluated.eval()
        return self.stage.score(self.evaluated)

    @property
    def evaluated(self) -> nn.Module:
        """What is kept: the averaged weights, where there are any."""
        module: nn.Module = self.stage.module if self.average is None else self.average.module
        return module

    def keep_if_best(self, score: Score | None) -> bool:
        """Remember the weights if they are better: more frames right, or as many with a lower loss.

        Without validation the latest are the best.
        """
        if score is not None:
            found = (round(score.accuracy, 6), -score.loss)
            if found <= self.best_score:
                return False
            self.best_score = found
        self.best = {name: value.cpu().clone() for name, value in self.evaluated.state_dict().items()}
        return True

    def checkpoint(self) -> dict[str, Any]:
        return {
            "module": self.stage.module.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "done": self.done,
            "best": self.best,
            "best_score": list(self.best_score),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        self.stage.module.load_state_dict(saved["module"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.done = int(saved["done"])
        self.best = dict(saved["best"])
        accuracy, loss = saved["best_score"]
        self.best_score = (accuracy, loss)


class _Totals:
    """Sums over the steps of an epoch; the device is asked for them only now and then."""

    def __init__(self, steps: int) -> None:
        self.every = max(1, steps // 20)
        self._losses: list[Tensor] = []
        self._right: list[Tensor] = []
        self._frames = 0
        self._began = time.monotonic()

    def add(self, step: Step) -> None:
        self._losses.append(step.loss.detach())
        self._right.append(step.right)
        self._frames += step.frames

    @property
    def loss(self) -> float:
        return float(torch.stack(self._losses).float().mean())

    @property
    def accuracy(self) -> float:
        return int(torch.stack(self._right).sum()) / self._frames

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def frames_per_s(self) -> float:
        return self._frames / max(1e-9, self.seconds)


def _optimizer(stage: Stage, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, without decay for biases and norms; without any decay it is Adam."""
    parameters = [one for one in stage.module.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=stage.learning_rate)


def _rate(share: float, recipe: Recipe) -> float:
    """The learning rate at a share of the way, as a share of the highest."""
    if share < recipe.warmup:
        return (share + 1e-3) / (recipe.warmup + 1e-3)
    if recipe.schedule == "constant":
        return 1.0
    way = (share - recipe.warmup) / max(1e-9, 1 - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, way)))


def _ended(rows: list[Epoch], recipe: Recipe) -> bool:
    """Whether an epoch that is done was the last: the target is reached, or nothing has become better."""
    if not rows:
        return False
    reached = rows[-1].val_accuracy
    if recipe.target_accuracy is not None and reached is not None and reached >= recipe.target_accuracy:
        return True
    last_best = max(row.epoch for row in rows if row.best)
    return recipe.patience is not None and rows[-1].epoch - last_best >= recipe.patience


def _seed(seed: int, stage: str, epoch: int) -> np.random.Generator:
    """Seed everything random for one epoch, so that it does not matter what ran before it."""
    name = int.from_bytes(stage.encode()[:4], "big")
    rng = np.random.default_rng([seed, name, epoch])
    torch.manual_seed(int(rng.integers(2**31)))
    return rng
