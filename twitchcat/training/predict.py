"""What a model says of stored frames: each alone, and in sequences."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twitchcat.dataset.snapshot import SnapshotFrame
from twitchcat.errors import SegmentUnreadable, StoreError
from twitchcat.frames.picture import Rgb, decode_image
from twitchcat.recognition.metadata import ModelMetadata
from twitchcat.recognition.model import ModelOutput, State
from twitchcat.training.metrics import Labels, Logits

CACHE_BYTES = 512 * 2**20  # of prepared frames, since windows of several lengths look at each again
BATCH = 32  # frames in one run

#: Told how many frames of how many are done.
Progress = Callable[[int, int], None]


class Model(Protocol):
    """What is asked of a model: a RecognitionModel does, and so does a fake."""

    metadata: ModelMetadata

    def prepare(self, rgb: Rgb) -> Rgb:
        """Bring a picture to the input's size."""

    def run(self, frames: NDArray[np.uint8], state: State | None = None) -> ModelOutput:
        """Recognize frames (B, T, H, W, 3)."""


class StoredPictures:
    """The pictures of a list of files, prepared for a model; those read first stay in memory."""

    def __init__(
        self,
        model: Model,
        files: Sequence[Path],
        *,
        hashes: Sequence[str] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """`hashes` are the SHA-256 (hex) that the files must have; None: any picture will do."""
        self._model = model
        self._files = tuple(files)
        self._hashes = None if hashes is None else tuple(hashes)
        self._room = cache_bytes
        self._kept: dict[int, Rgb] = {}

    def __len__(self) -> int:
        return len(self._files)

    def original(self, place: int) -> Rgb:
        """Read one picture as it is stored. Raises StoreError if it is missing, changed or no picture."""
        path = self._files[place]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"the picture {path} cannot be read: {error.strerror}") from error
        if self._hashes is not None and hashlib.sha256(data).hexdigest() != self._hashes[place]:
            raise StoreError(f"the picture {path} is not the one of the snapshot: its checksum differs")
        try:
            return decode_image(data)
        except SegmentUnreadable as error:
            raise StoreError(f"the picture {path} is damaged") from error

    def batch(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read pictures (B, T) as the model wants them: (B, T, H, W, 3) uint8. Raises StoreError."""
        pictures = [self._prepared(int(place)) for place in places.ravel()]
        return np.stack(pictures).reshape(*places.shape, *pictures[0].shape)

    def _prepared(self, place: int) -> Rgb:
        if (kept := self._kept.get(place)) is not None:
            return kept
        rgb = self._model.prepare(self.original(place))
        if rgb.nbytes <= self._room:
            self._kept[place] = rgb
            self._room -= rgb.nbytes
        return rgb


class Predictor:
    """A model's logits of stored pictures; those of single frames are computed once."""

    def __init__(self, model: Model, pictures: StoredPictures, *, progress: Progress | None = None) -> None:
        self._model = model
        self._pictures = pictures
        self._progress = progress
        self._done = self._planned = 0
        self._alone: Logits | None = None

    def plan(self, sequences: Iterable[NDArray[np.int64]]) -> None:
        """Say which sequences will be asked for, beside each frame alone, so that progress has an end."""
        again = 0 if self._remembers_nothing else sum(one.size for one in sequences)
        self._planned = len(self._pictures) + again

    @property
    def _remembers_nothing(self) -> bool:
        return self._model.metadata.head == "frame"

    @property
    def alone(self) -> Logits:
        """Logits of each frame as if no other had been seen: (N, C). Raises StoreError, ModelError."""
        if self._alone is None:
            places = np.arange(len(self._pictures))[:, None]
            self._alone = self._run(places)[:, 0]
        return self._alone

    def sequences(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits after each frame of sequences (W, T) that begin afresh: (W, T, C) float32.

        Raises StoreError, ModelError.
        """
        if self._remembers_nothing:
            return self.alone[places]
        return self._run(places)

    def _run(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        step = max(1, BATCH // places.shape[1])
        outputs = [np.zeros((0, places.shape[1], len(self._model.metadata.classes)), np.float32)]
        for begin in range(0, len(places), step):
            part = places[begin : begin + step]
            outputs.append(self._model.run(self._pictures.batch(part)).logits)
            self._done += part.size
            if self._progress is not None:
                self._progress(self._done, max(self._done, self._planned))
        return np.concatenate(outputs)


def snapshot_pictures(model: Model, frames: Iterable[SnapshotFrame], images: Path) -> StoredPictures:
    """Open the pictures of frames; `images` is the images folder of the data directory."""
    listed = tuple(frames)
    return StoredPictures(
        model, [images / frame.path for frame in listed], hashes=[frame.sha256 for frame in listed]
    )


def labels_of(model: Model, frames: Iterable[SnapshotFrame]) -> Labels:
    """Return each frame's place among the model's classes, -1 for a category that it does not know: (N,)."""
    places = {one.id: place for place, one in enumerate(model.metadata.classes)}
    return np.array([places.get(frame.category_id, -1) for frame in frames], np.int64)
