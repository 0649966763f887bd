"""The two stages of training: the backbone over single pictures, then a head over sequences of embeddings.

A step of the first sees pictures of as many sessions as it has pictures, which is what a net learns most
from; the second costs next to nothing, so that heads can be compared over one backbone.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name all of torch's own code gives it

from twitchcat.training.augment import Augmentation
from twitchcat.training.heads import Head
from twitchcat.training.network import Network
from twitchcat.training.recipe import Recipe
from twitchcat.training.sequences import Tracks, class_weights, draw_frames, draw_sequences

_SCORED_AT_ONCE = 64  # pictures
_LEAST_FRAMES = 512  # of an epoch: fewer would have it validate more than train
_LEAST_EMBEDDINGS = 8192  # of an epoch of a head: they cost next to nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a network does on validation."""

    loss: float  #: cross entropy, nats
    accuracy: float  #: share of frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step is made of."""

    loss: Tensor
    right: Tensor  #: how many frames
    frames: int


class Stage(ABC):
    """Something to train: what a step sees, what it costs, and how good it is by now."""

    name: str
    module: nn.Module  #: whose parameters are trained
    epochs: int
    steps: int  #: of an epoch
    learning_rate: float

    @abstractmethod
    def epoch(self, rng: np.random.Generator) -> Iterator[Step]:
        """Compute the steps of an epoch, one after another: the module changes in between."""

    @abstractmethod
    def score(self, module: nn.Module) -> Score | None:
        """Score a copy of the module, in evaluation mode, on validation; None where there is none."""


class FrameStage(Stage):
    """A network with the single-frame head over pictures."""

    name = "backbone"

    def __init__(
        self,
        network: Network,
        *,
        recipe: Recipe,
        train: tuple[Tensor, Tracks],
        val: tuple[Tensor, Tracks],
        device: torch.device,
    ) -> None:
        """`train` and `val` are pictures (N, H, W, 3) uint8, on any device, and their tracks."""
        self.module: Network = network
        self.epochs, self.learning_rate = recipe.epochs, recipe.learning_rate
        self._recipe, self._device, self._half = recipe, device, half_precision(device)
        self._train, self._tracks = train
        self._val, self._val_tracks = val
        frames = recipe.frames_per_epoch or max(_LEAST_FRAMES, len(self._train))
        self.steps = max(1, round(frames / recipe.batch))
        self._augment = Augmentation(
            network.spec.input_height,
            network.spec.input_width,
            strength=recipe.augmentation,
            clutter=recipe.clutter,
        )
        self._weights = _weights(self._tracks, recipe, device)

    def epoch(self, rng: np.random.Generator) -> Iterator[Step]:
        """See Stage.epoch."""
        recipe = self._recipe
        for _ in range(self.steps):
            drawn = draw_frames(self._tracks, rng, recipe.batch, recipe.balance)
            labels = torch.from_numpy(self._tracks.labels[drawn]).to(self._device)
            images = self._augment(as_images(self._train, drawn, self._device)[:, None], rng)[:, 0]
            mixed, share = labels, 1.0
            if recipe.mixup > 0:
                # Source: mixup, Zhang et al. 2018, arXiv:1710.09412.
                share = float(rng.beta(recipe.mixup, recipe.mixup))
                order = torch.from_numpy(rng.permutation(recipe.batch)).to(self._device)
                images, mixed = share * images + (1 - share) * images[order], labels[order]
            logits = self._logits(self.module, images)
            loss = share * self._loss(logits, labels)
            if share < 1:
                loss = loss + (1 - share) * self._loss(logits, mixed)
            yield Step(loss=loss, right=(logits.argmax(-1) == labels).sum(), frames=len(labels))

    def score(self, module: nn.Module) -> Score | None:
        """See Stage.score."""
        assert isinstance(module, Network)  # noqa: S101 - a copy of what this stage was made with
        if not len(self._val):
            return None
        return _scored(self.logits(module), self._val_tracks)

    def logits(self, network: Network) -> Tensor:
        """Logits of the validation pictures: (N, C), on the CPU."""
        with torch.inference_mode():
            parts = [
                self._logits(network, as_images(self._val, part, self._device)).cpu()
                for part in _parts(len(self._val))
            ]
        return torch.cat(parts)

    def _logits(self, network: Network, images: Tensor) -> Tensor:
        with torch.autocast(self._device.type, dtype=self._half, enabled=self._half is not None):
            embeddings = network.backbone(images)
            logits: Tensor = network.head(embeddings[:, None], network.initial_state(len(images)))[0]
        return logits[:, 0].float()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(
            logits, labels, weight=self._weights, label_smoothing=self._recipe.label_smoothing
        )


class HeadStage(Stage):
    """A head over embeddings that are already there."""

    name = "head"

    def __init__(
        self,
        head: Head,
        *,
        recipe: Recipe,
        train: tuple[Tensor, Tracks],
        val: tuple[Tensor, Tracks],
        device: torch.device,
    ) -> None:
        """`train` are embeddings (V, N, D) float32, of V looks at each frame; `val` are (N, D)."""
        self.module: Head = head
        self.epochs, self.learning_rate = recipe.head_epochs, recipe.head_learning_rate
        self._recipe, self._device = recipe, device
        self._train, self._tracks = train[0].to(device), train[1]
        self._val, self._val_tracks = val[0].to(device), val[1]
        frames = recipe.frames_per_epoch or max(_LEAST_EMBEDDINGS, self._train.shape[1])
        self.steps = max(1, round(frames / (recipe.head_batch * recipe.sequence)))
        self._weights = _weights(self._tracks, recipe, device)

    def epoch(self, rng: np.random.Generator) -> Iterator[Step]:
        """See Stage.epoch."""
        recipe = self._recipe
        for _ in range(self.steps):
            drawn = draw_sequences(
                self._tracks,
                rng,
                recipe.head_batch,
                length=recipe.sequence,
                splice=recipe.splice,
                balance=recipe.balance,
            )
            labels = torch.from_numpy(self._tracks.labels[drawn]).to(self._device)
            look = torch.from_numpy(rng.integers(0, len(self._train), (len(drawn), 1))).to(self._device)
            embeddings = self._train[look, torch.from_numpy(drawn).to(self._device)]
            logits, _ = self.module(embeddings, self._state(len(drawn)))
            loss = F.cross_entropy(
                logits.flatten(0, 1),
                labels.flatten(),
                weight=self._weights,
                label_smoothing=recipe.label_smoothing,
            )
            yield Step(loss=loss, right=(logits.argmax(-1) == labels).sum(), frames=labels.numel())

    def score(self, module: nn.Module) -> Score | None:
        """See Stage.score."""
        if not len(self._val):
            return None
        return _scored(self.logits(module), self._val_tracks)

    def logits(self, head: nn.Module) -> Tensor:
        """Logits of the frames of validation, every capture from its beginning: (N, C), on the CPU."""
        captures = self._val_tracks.captures
        longest = max(len(capture) for capture in captures)
        rows = torch.from_numpy(np.stack([np.resize(capture, longest) for capture in captures]))
        with torch.inference_mode():
            found, _ = head(self._val[rows.to(self._device)], self._state(len(captures)))
        logits = torch.empty(len(self._val), found.shape[-1])
        for row, capture in zip(found.float().cpu(), captures, strict=True):  # what is over is left out
            logits[torch.from_numpy(capture)] = row[: len(capture)]
        return logits

    def _state(self, batch: int) -> Tensor:
        return torch.zeros(batch, self.module.state_size, device=self._device)


def embed_views(
    network: Network,
    pictures: Tensor,
    tracks: Tracks,
    *,
    views: int,
    recipe: Recipe,
    device: torch.device,
) -> Tensor:
    """Embed every frame plainly and `views` times augmented, an augmentation the same over a capture.

    Takes (N, H, W, 3) uint8; returns (1 + views, N, D) float32 on the CPU.
    """
    network.eval()
    spec = network.spec
    augment = Augmentation(
        spec.input_height, spec.input_width, strength=recipe.augmentation, clutter=recipe.clutter
    )
    looks = torch.empty(1 + views, len(pictures), network.embedding)
    with torch.inference_mode():
        for part in _parts(len(pictures)):
            looks[0, torch.from_numpy(part)] = (
                network.backbone(as_images(pictures, part, device)).float().cpu()
            )
        for view in range(1, 1 + views):
            for number, capture in enumerate(tracks.captures):
                for begin in range(0, len(capture), _SCORED_AT_ONCE):
                    part = capture[begin : begin + _SCORED_AT_ONCE]
                    seed = [recipe.seed, view, number]
                    torch.manual_seed(int(np.random.default_rng(seed).integers(2**31)))
                    images = augment(as_images(pictures, part, device)[None], np.random.default_rng(seed))[0]
                    looks[view, torch.from_numpy(part)] = network.backbone(images).float().cpu()
    return looks


def half_precision(device: torch.device) -> torch.dtype | None:
    """The short type a device computes with faster, where it has one."""
    if device.type == "cpu":
        # A step of the small net takes 6 ms a picture with it on one core, 12 without.
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def as_images(pictures: Tensor, chosen: NDArray[np.int64], device: torch.device) -> Tensor:
    """Take pictures (N, H, W, 3) uint8 by number: (n, 3, H, W) float32, 0..1, on the device."""
    rows = pictures[torch.from_numpy(chosen).to(pictures.device)].to(device, non_blocking=True)
    return rows.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def _parts(count: int) -> Iterator[NDArray[np.int64]]:
    for begin in range(0, count, _SCORED_AT_ONCE):
        yield np.arange(begin, min(begin + _SCORED_AT_ONCE, count))


def _weights(tracks: Tracks, recipe: Recipe, device: torch.device) -> Tensor | None:
    if recipe.balance != "weights":
        return None
    return torch.from_numpy(class_weights(tracks.counts)).to(device)


def _scored(logits: Tensor, tracks: Tracks) -> Score:
    """Score logits (N, C), every channel of every category counting as much as another."""
    labels = torch.from_numpy(tracks.labels)
    losses = F.cross_entropy(logits, labels, reduction="none")
    right = (logits.argmax(-1) == labels).float()
    own = [torch.from_numpy(track) for track in tracks.tracks]
    return Score(
        loss=float(torch.stack([losses[track].mean() for track in own]).mean()),
        accuracy=float(torch.stack([right[track].mean() for track in own]).mean()),
    )
