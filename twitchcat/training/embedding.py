"""Embeddings of a dataset's frames by a frozen backbone, computed once and kept in the database."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray

from twitchcat.dataset.database import Database
from twitchcat.dataset.embeddings import load_embeddings, save_embeddings, stored_frames
from twitchcat.dataset.snapshot import SnapshotFrame
from twitchcat.errors import ConfigError
from twitchcat.training.backbones import from_scratch
from twitchcat.training.loop import Stopped
from twitchcat.training.network import Network, NetworkSpec, build
from twitchcat.training.pictures import read_fitted
from twitchcat.training.stages import as_images

_BATCH = 32  # frames computed, and committed, together

Progress = Callable[[int, int], None]  #: done, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What an embedding run came to."""

    encoder: str
    frames: int  #: asked for
    added: int


def encoder_name(network: Network) -> str:
    """Name what an embedding depends on: the backbone, its weights, and how pictures come to its input."""
    digest = hashlib.sha256()
    for name, values in sorted(network.backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    spec = network.spec
    short = Path(spec.backbone).name if Path(spec.backbone).is_dir() else spec.backbone
    return f"{short} {spec.input_width}x{spec.input_height} {spec.fit} {digest.hexdigest()[:12]}"


def frozen_network(backbone: str, *, device: torch.device) -> Network:
    """Load a pretrained backbone to embed with. Raises ConfigError for one without weights, ModelError."""
    if from_scratch(backbone):
        raise ConfigError(
            f"the backbone {backbone} has no weights before it is trained; name a pretrained one, as"
            " clip-vit-b32 or dinov2-small, or a local folder"
        )
    return build(NetworkSpec.preset(backbone, classes=2, head="frame")).to(device).eval()


def embed_frames(
    database: Database,
    network: Network,
    frames: Sequence[SnapshotFrame],
    images: Path,
    *,
    stop: Event,
    progress: Progress | None = None,
) -> Embedded:
    """Compute and keep the embeddings that `frames` lack; what is committed is not computed again.

    Raises StoreError for an unreadable image, Stopped when asked to.
    """
    encoder = encoder_name(network)
    there = stored_frames(database, encoder)
    missing = [frame for frame in frames if frame.frame_id not in there]
    added = 0
    for begin in range(0, len(missing), _BATCH):
        if stop.is_set():
            raise Stopped
        part = missing[begin : begin + _BATCH]
        vectors = compute(network, part, images)
        added += save_embeddings(database, encoder, [frame.frame_id for frame in part], vectors)
        if progress is not None:
            progress(begin + len(part), len(missing))
    return Embedded(encoder=encoder, frames=len(frames), added=added)


def compute(network: Network, frames: Sequence[SnapshotFrame], images: Path) -> NDArray[np.float32]:
    """Embed frames: (N, D) float32. Raises StoreError for an unreadable image."""
    spec = network.spec
    pictures = np.stack(
        [
            read_fitted(images / frame.path, height=spec.input_height, width=spec.input_width, fit=spec.fit)
            for frame in frames
        ]
    )
    device = next(network.head.parameters()).device
    with torch.inference_mode():
        found = network.backbone(as_images(torch.from_numpy(pictures), np.arange(len(frames)), device))
    return np.asarray(found.float().cpu().numpy(), np.float32)


class StoredEmbeddings:
    """What training over a frozen backbone asks for embeddings; computes those that are missing."""

    def __init__(
        self,
        open_: Callable[[], Database],
        images: Path,
        *,
        stop: Event,
        progress: Progress | None = None,
    ) -> None:
        """`open_` opens the database, which is closed again when the embeddings are read."""
        self._open, self._images = open_, images
        self._stop, self._progress = stop, progress

    def __call__(self, network: Network, frames: Sequence[SnapshotFrame]) -> NDArray[np.float32]:
        """Give the embeddings of frames, (N, D) float32. Raises StoreError, Stopped."""
        if not frames:
            return np.zeros((0, network.embedding), np.float32)
        with self._open() as database:
            done = embed_frames(
                database, network, frames, self._images, stop=self._stop, progress=self._progress
            )
            try:
                return load_embeddings(database, done.encoder, [frame.frame_id for frame in frames])
            except KeyError:  # removed since the snapshot was taken, or another database's
                return np.concatenate(
                    [
                        compute(network, frames[i : i + _BATCH], self._images)
                        for i in range(0, len(frames), _BATCH)
                    ]
                )
