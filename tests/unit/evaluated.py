"""A model that reads the answer off the picture, and pictures that have it, for tests of evaluation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame, Split
from twitchcat.frames.contact_sheet import encode_png
from twitchcat.frames.picture import Rgb
from twitchcat.recognition.metadata import ModelClass, ModelMetadata
from twitchcat.recognition.model import ModelOutput, State

HEIGHT, WIDTH = 18, 32
STEP = 20  # levels of red from one class to the next
BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)


def metadata_of(*names: str, head: str = "frame", window: int = 5, temperature: float = 1.0) -> ModelMetadata:
    return ModelMetadata(
        classes=tuple(ModelClass(id=f"id-{name}", name=name) for name in names),
        input_height=HEIGHT,
        input_width=WIDTH,
        fit="letterbox",
        frame_interval_s=2.0,
        window=window,
        temperature=temperature,
        unknown_threshold=-0.3,
        energy_threshold=None,
        backbone="fake",
        head=head,
        fingerprint="",
        created_at=BEGIN,
        twitchcat_version="0.1.0",
    )


@dataclass
class FakeModel:
    """Sees the classes as levels of red; with a head other than "frame", remembers the mean of all it saw."""

    metadata: ModelMetadata
    frames_seen: int = 0

    def prepare(self, rgb: Rgb) -> Rgb:
        return rgb

    def run(self, frames: NDArray[np.uint8], state: State | None = None) -> ModelOutput:
        assert state is None, "sequences begin afresh"
        self.frames_seen += frames.shape[0] * frames.shape[1]
        level = frames[..., 0].mean(axis=(2, 3)) / STEP  # (B, T)
        logits = -((level[..., None] - np.arange(len(self.metadata.classes))) ** 2)
        if self.metadata.head != "frame":
            logits = np.cumsum(logits, axis=1) / np.arange(1, frames.shape[1] + 1)[:, None]
        shown = logits.astype(np.float32)
        return ModelOutput(logits=shown, embeddings=shown, state=())


@dataclass(frozen=True)
class Capture:
    """A capture of one channel: what it is called, and the class that each of its frames looks like."""

    channel: str
    category: str
    looks: Sequence[float]
    split: Split = "test"


def picture(look: float) -> Rgb:
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = round(look * STEP)
    return rgb


def store(captures: Sequence[Capture], images: Path) -> Snapshot:
    """Write the pictures of captures and give the snapshot of them."""
    frames: list[SnapshotFrame] = []
    for number, capture in enumerate(captures):
        for position, look in enumerate(capture.looks):
            data = encode_png(picture(look))
            path = f"{number}-{position}.png"
            (images / path).write_bytes(data)
            frames.append(
                SnapshotFrame(
                    frame_id=len(frames) + 1,
                    path=path,
                    sha256=hashlib.sha256(data).hexdigest(),
                    category_id=f"id-{capture.category}",
                    category=capture.category,
                    channel_id=capture.channel,
                    channel=capture.channel,
                    capture_id=number,
                    position=position,
                    captured_at=BEGIN + timedelta(hours=number, seconds=2 * position),
                    split=capture.split,
                )
            )
    return Snapshot(tuple(frames))
