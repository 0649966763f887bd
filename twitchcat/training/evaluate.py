"""Measure a model file on the test split of its snapshot.

Nothing else looks at pictures of the test split, which `tests/unit/test_test_split.py` holds the package to;
cross-validation makes splits of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twitchcat.dataset.snapshot import Snapshot, Split
from twitchcat.errors import ConfigError
from twitchcat.frames.files import IMAGE_SUFFIXES
from twitchcat.recognition.current import FILE
from twitchcat.recognition.model import RecognitionModel
from twitchcat.training.calibration import Calibration, calibrate
from twitchcat.training.cost import Cost
from twitchcat.training.cost import measure as measure_cost
from twitchcat.training.metrics import mean_verdict, windows
from twitchcat.training.predict import (
    Model,
    Predictor,
    Progress,
    StoredPictures,
    labels_of,
    snapshot_pictures,
)
from twitchcat.training.rejection import Samples
from twitchcat.training.scoring import Evaluation, runs_of, score_split

SNAPSHOT = "snapshot.jsonl.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model to be evaluated, and what it is evaluated on."""

    file: Path
    snapshot: Snapshot


def find_subject(path: Path, *, snapshot: Path | None = None) -> Subject:
    """Find the model file and the snapshot of a run folder, a model's folder or a model file.

    `snapshot` names another one than that beside the model. It is taken if the model cannot have learned from
    its test channels: it was trained on none, or on one that is there to compare. Raises ModelError,
    ConfigError.
    """
    file = path / FILE if path.is_dir() else path
    metadata = RecognitionModel.load(file).metadata
    beside = file.parent / SNAPSHOT
    chosen = snapshot or beside
    if not chosen.is_file():
        raise ConfigError(
            f"there is no snapshot at {chosen}: a model is evaluated on the test split it was not trained on;"
            " name its run folder, or a snapshot with --snapshot"
        )
    asked = Snapshot.load(chosen)
    if metadata.fingerprint not in ("", asked.fingerprint):
        own = Snapshot.load(beside) if beside.is_file() else None
        if own is None or own.fingerprint != metadata.fingerprint:
            raise ConfigError(
                f"{chosen}: is not the snapshot that {file} was trained on, which might have held its test"
                " channels"
            )
        _check_unseen(own, asked, chosen)
    return Subject(file=file, snapshot=asked)


def evaluate_test(
    subject: Subject,
    images: Path,
    *,
    foreign: Sequence[Path] = (),
    cost: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on the test split of its snapshot.

    `images` is the images folder of the data directory; `foreign` are folders of pictures that show none of
    the model's categories, searched with their subfolders. Raises ConfigError, ModelError, StoreError.
    """
    model = RecognitionModel.load(subject.file)
    measured = measure_cost(subject.file) if cost else None
    return _evaluate(
        model, subject.snapshot, "test", images, foreign=foreign, measured=measured, progress=progress
    )


def evaluate_validation(
    model: Model, snapshot: Snapshot, images: Path, *, progress: Progress | None = None
) -> Evaluation:
    """Measure a model on the validation split, as training may. Raises as `evaluate_test`."""
    return _evaluate(model, snapshot, "val", images, progress=progress)


def evaluate_model(
    model: Model, snapshot: Snapshot, images: Path, *, progress: Progress | None = None
) -> Evaluation:
    """Measure a model that is no file yet on the test split, as each fold of a cross-validation is."""
    return _evaluate(model, snapshot, "test", images, progress=progress)


def calibrate_on_validation(
    model: Model, snapshot: Snapshot, images: Path, *, progress: Progress | None = None
) -> Calibration:
    """Fit what the model file says of its logits on windows of the validation split.

    Where no capture is as long as a window, on single frames. What the model's metadata say of temperature
    and thresholds does not matter. Raises ConfigError, ModelError, StoreError.
    """
    frames = snapshot.of("val")
    labels = labels_of(model, frames)
    known = [frame for frame, label in zip(frames, labels, strict=True) if label >= 0]
    if not known:
        raise ConfigError("the validation split has no frame of the model's categories to calibrate on")
    labels = labels[labels >= 0]
    predictor = Predictor(model, snapshot_pictures(model, known, images), progress=progress)
    places = windows(runs_of(known), model.metadata.window)
    if not len(places):
        return calibrate(labels, predictor.alone)
    return calibrate(labels[places[:, 0]], mean_verdict(predictor.sequences(places)))


def _evaluate(
    model: Model,
    snapshot: Snapshot,
    split: Split,
    images: Path,
    *,
    foreign: Sequence[Path] = (),
    measured: Cost | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    frames = snapshot.of(split)
    if not frames:
        raise ConfigError(f"the snapshot has no frame in its {split} split: run twitchcat dataset split")
    return score_split(
        Predictor(model, snapshot_pictures(model, frames, images), progress=progress),
        model.metadata,
        frames,
        labels_of(model, frames),
        split=split,
        fingerprint=snapshot.fingerprint,
        foreign=_foreign(model, foreign),
        cost=measured,
    )


def _foreign(model: Model, folders: Sequence[Path]) -> dict[str, Samples]:
    """Recognize the pictures of folders, each subfolder as a channel of its own."""
    found = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder}")
        files = sorted(one for one in folder.rglob("*") if one.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise ConfigError(f"{folder} has no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
        logits = Predictor(model, StoredPictures(model, files)).alone
        channels = np.array([str(one.parent.relative_to(folder)) for one in files])
        name = folder.resolve().name
        found[name if name not in found else str(folder)] = Samples(
            logits, np.full(len(files), -1, np.int64), channels
        )
    return found


def _check_unseen(own: Snapshot, asked: Snapshot, path: Path) -> None:
    """Raise ConfigError if a model of snapshot `own` learned from channels that `asked` tests on."""
    learned = {frame.channel_id for frame in own.frames if frame.split != "test"}
    seen = sorted({frame.channel for frame in asked.of("test") if frame.channel_id in learned})
    if seen:
        more = f" and {len(seen) - 3} more" if len(seen) > 3 else ""
        raise ConfigError(
            f"{path}: the model learned from channels of its test split: {', '.join(seen[:3])}{more}"
        )
