"""Everything that is measured of a model on the frames of one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twitchcat.dataset.snapshot import SnapshotFrame, Split
from twitchcat.errors import ConfigError
from twitchcat.recognition.metadata import ModelMetadata
from twitchcat.training.bootstrap import (
    Interval,
    Scores,
    calibration_error,
    recalls,
    score,
)
from twitchcat.training.calibration import Reliability, reliability
from twitchcat.training.cost import Cost
from twitchcat.training.metrics import (
    ClassScore,
    Labels,
    confusion,
    mean_verdict,
    per_class,
    probabilities,
    windows,
)
from twitchcat.training.predict import Predictor
from twitchcat.training.rejection import LEFT_OUT, Rejection, Samples, rejected
from twitchcat.training.switching import Splice, SwitchDelay, splices, summarize, verdicts

WINDOWS = (5, 13, 30)  # frames
SPLICES = 60
WORST = 24  # frames shown
_WORST_OF_CAPTURE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How verdicts of one kind fared."""

    scores: Scores
    ece_before: Interval  #: expected calibration error at temperature 1
    ece_after: Interval  #: at the model's temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowScores:
    """How verdicts on windows of one length fared; None where no capture is that long."""

    length: int  #: frames
    mean: Measured | None  #: by the mean of the frames' log-probabilities, as the recognizer does
    last: Measured | None  #: by the logits after the last frame alone


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """How one class fared, frame by frame."""

    id: str
    name: str
    frame: ClassScore
    frame_recall: Interval | None  #: None: no frame is of it
    window_recall: Interval | None  #: of windows of the model's length; None: none is of it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFrame:
    """A frame that the model is wrong about, and sure."""

    place: int  #: among the frames scored
    path: str
    channel: str
    truth: str
    said: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # arrays have no single ==
class Evaluation:
    """What was measured."""

    split: Split
    metadata: ModelMetadata
    fingerprint: str  #: of the snapshot
    captures: int  #: of classes that the model knows
    frame: Measured  #: each frame alone
    windows: tuple[WindowScores, ...]
    classes: tuple[ClassRow, ...]
    verdicts: str  #: what confusion and reliability count: "windows of 13 frames", or "frames"
    confusion: NDArray[np.int64]  #: (C, C), rows are what is
    reliability_before: Reliability
    reliability_after: Reliability
    rejections: tuple[Rejection, ...]
    switching: Mapping[str, SwitchDelay]  #: by the way verdicts are made; empty: captures are too short
    worst: tuple[WorstFrame, ...]
    cost: Cost | None  #: None: not measured


def score_split(
    predictor: Predictor,
    metadata: ModelMetadata,
    frames: Sequence[SnapshotFrame],
    labels: Labels,
    *,
    split: Split,
    fingerprint: str = "",
    foreign: Mapping[str, Samples] | None = None,
    cost: Cost | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure all there is to measure on frames, in the snapshot's order.

    `foreign` are verdicts on pictures that are of no class, by where they are from. Raises ConfigError if no
    frame is of a class of the model; StoreError, ModelError.
    """
    if not (labels >= 0).any():
        raise ConfigError(f"no frame of the {split} split is of a category that the model knows")
    channels = np.array([frame.channel for frame in frames])
    runs = runs_of(frames)
    lengths = sorted({*WINDOWS, metadata.window})
    places = {length: windows(runs, length) for length in lengths}
    joined = _splices(labels, runs, window=metadata.window, seed=seed)
    predictor.plan([*places.values(), *(one.frames for one in joined)])

    alone = Samples(predictor.alone, labels, channels)
    mean, last = {}, {}
    for length, rows in places.items():
        logits, of = predictor.sequences(rows), rows[:, 0]
        mean[length] = Samples(mean_verdict(logits), labels[of], channels[of])
        last[length] = Samples(logits[:, -1], labels[of], channels[of])
    said = mean[metadata.window]
    counted = said.known if len(said.known) else alone.known
    guessed = counted.logits.argmax(axis=1)
    rejections = [
        one
        for unit, samples in (("frame", alone), ("window", said))
        for one in rejected(LEFT_OUT, unit, samples.known, samples.unknown, metadata)
    ]
    for name, samples in (foreign or {}).items():
        rejections += rejected(name, "frame", alone.known, samples, metadata)
    return Evaluation(
        split=split,
        metadata=metadata,
        fingerprint=fingerprint,
        captures=len({frame.capture_id for frame, label in zip(frames, labels, strict=True) if label >= 0}),
        frame=measure(alone.known, metadata.temperature),
        windows=tuple(
            WindowScores(
                length=length,
                mean=_measure_any(mean[length].known, metadata.temperature),
                last=_measure_any(last[length].known, metadata.temperature),
            )
            for length in lengths
        ),
        classes=_class_rows(metadata, alone.known, said.known),
        verdicts=f"windows of {metadata.window} frames" if len(said.known) else "frames",
        confusion=confusion(counted.labels, guessed, classes=len(metadata.classes)),
        reliability_before=reliability(counted.labels, probabilities(counted.logits)),
        reliability_after=reliability(
            counted.labels, probabilities(counted.logits, temperature=metadata.temperature)
        ),
        rejections=tuple(rejections),
        switching=_switching(predictor, joined, window=metadata.window),
        worst=worst_frames(frames, alone, metadata),
        cost=cost,
    )


def measure(samples: Samples, temperature: float) -> Measured:
    """Score verdicts on known samples. Raises ValueError without any."""
    labels, logits, channels = samples.labels, samples.logits, samples.channels
    calibrated = probabilities(logits, temperature=temperature)
    return Measured(
        scores=score(labels, np.asarray(logits.argmax(axis=1), np.int64), channels),
        ece_before=calibration_error(labels, probabilities(logits), channels),
        ece_after=calibration_error(labels, calibrated, channels),
    )


def worst_frames(
    frames: Sequence[SnapshotFrame], alone: Samples, metadata: ModelMetadata
) -> tuple[WorstFrame, ...]:
    """Choose the wrong verdicts with the highest confidence, a few of one capture at most."""
    chances = probabilities(alone.logits, temperature=metadata.temperature)
    said, confidence = chances.argmax(axis=1), chances.max(axis=1)
    wrong = np.flatnonzero((alone.labels >= 0) & (said != alone.labels))
    shown: dict[int, int] = {}
    chosen: list[WorstFrame] = []
    for place in wrong[np.argsort(-confidence[wrong], kind="stable")].tolist():
        frame = frames[place]
        shown[frame.capture_id] = shown.get(frame.capture_id, 0) + 1
        if shown[frame.capture_id] <= _WORST_OF_CAPTURE and len(chosen) < WORST:
            chosen.append(
                WorstFrame(
                    place=place,
                    path=frame.path,
                    channel=frame.channel,
                    truth=frame.category,
                    said=metadata.classes[said[place]].name,
                    confidence=float(confidence[place]),
                )
            )
    return tuple(chosen)


def _measure_any(samples: Samples, temperature: float) -> Measured | None:
    return measure(samples, temperature) if len(samples) else None


def runs_of(frames: Sequence[SnapshotFrame]) -> NDArray[np.int64]:
    """Number the stretches of frames of one capture and one category: (N,)."""
    keys = [(frame.capture_id, frame.category_id) for frame in frames]
    new = [place > 0 and key != keys[place - 1] for place, key in enumerate(keys)]
    return np.cumsum(np.array(new, np.int64))


def _splices(labels: Labels, runs: NDArray[np.int64], *, window: int, seed: int) -> tuple[Splice, ...]:
    """Join captures of known classes, as much of each as most captures have."""
    kept = np.flatnonzero(labels >= 0)
    _, sizes = np.unique(runs[kept], return_counts=True)
    length = min(2 * window, int(np.median(sizes)))
    if length < 2:
        return ()
    found = splices(
        labels[kept], runs[kept], before=min(window, length), after=length, count=SPLICES, seed=seed
    )
    return tuple(
        Splice(frames=kept[one.frames], before=one.before, old=one.old, new=one.new) for one in found
    )


def _switching(predictor: Predictor, joined: Sequence[Splice], *, window: int) -> dict[str, SwitchDelay]:
    if not joined:
        return {}
    logits = predictor.sequences(np.stack([one.frames for one in joined]))
    ways = {f"mean of {length}": length for length in sorted({WINDOWS[0], window})} | {"last frame": 1}
    return {
        name: summarize([verdicts(one, window=length) for one in logits], joined)
        for name, length in ways.items()
    }


def _class_rows(metadata: ModelMetadata, frames: Samples, said: Samples) -> tuple[ClassRow, ...]:
    size = len(metadata.classes)
    guessed = np.asarray(frames.logits.argmax(axis=1), np.int64)
    by_frame = recalls(frames.labels, guessed, frames.channels, classes=size)
    by_window: tuple[Interval | None, ...] = (None,) * size
    if len(said):
        verdict = np.asarray(said.logits.argmax(axis=1), np.int64)
        by_window = recalls(said.labels, verdict, said.channels, classes=size)
    scored = per_class(frames.labels, guessed, classes=size)
    return tuple(
        ClassRow(id=one.id, name=one.name, frame=frame, frame_recall=recall, window_recall=window)
        for one, frame, recall, window in zip(metadata.classes, scored, by_frame, by_window, strict=True)
    )
