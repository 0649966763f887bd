"""Cross-validation: every channel is tested once, by networks that never saw it. For small datasets.

It makes splits of its own from all frames of a snapshot, those of its test split too: what is chosen by it
has no test split left that is untouched.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame, Split
from twitchcat.errors import ConfigError
from twitchcat.training.bootstrap import Interval, accuracy_gain
from twitchcat.training.evaluate import calibrate_on_validation
from twitchcat.training.metrics import mean_verdict, windows
from twitchcat.training.predict import Model, Predictor, labels_of, snapshot_pictures
from twitchcat.training.rejection import LEFT_OUT, Rejection, Samples, rejected
from twitchcat.training.scoring import Measured, measure, runs_of

WINDOW = 13  # frames, as the goals of the default model have it
_VAL_NEEDS = 3  # channels of a category outside the test, of which one validates; two if none has three


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """One network to be compared."""

    backbone: str
    head: str

    def __str__(self) -> str:
        return f"{self.backbone} + {self.head}"


class Trainer(Protocol):
    """Trains networks on the splits train and val of a snapshot."""

    def __call__(
        self, snapshot: Snapshot, backbone: str, heads: Sequence[str], name: str
    ) -> dict[str, Model]:
        """Train a network for each head, all over one backbone; `name` says which fold this is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How one candidate fared over all folds; its verdicts calibrated on each fold's validation."""

    candidate: Candidate
    frame: Measured
    window: Measured | None  #: of WINDOW frames, by their mean; None where no capture is that long
    gain: Interval | None  #: accuracy of windows (else of frames) above the first candidate's; None for that
    unknown: tuple[Rejection, ...]  #: of categories left out, if asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """A comparison."""

    folds: int
    channels: int
    frames: int
    rows: tuple[Compared, ...]


def cross_validate(
    snapshot: Snapshot,
    images: Path,
    candidates: Sequence[Candidate],
    train: Trainer,
    *,
    folds: int,
    leave_out: int = 0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Train and test each candidate on each fold, and pool the verdicts.

    With `leave_out`, the categories are dealt into so many groups, and each candidate is trained as often
    again, without one group each time, to see how well it tells the unknown. `progress` is told trainings.
    Raises ConfigError for a category with fewer than two channels, StoreError, ModelError.
    """
    parts = fold_snapshots(snapshot, folds, seed=seed)
    groups = category_groups(snapshot, leave_out, seed=seed)
    heads: dict[str, list[str]] = {}
    for one in candidates:
        heads.setdefault(one.backbone, []).append(one.head)
    total, done = len(heads) * (len(parts) + len(groups)), 0
    pooled: dict[Candidate, list[tuple[Samples, Samples]]] = {one: [] for one in candidates}
    unknown: dict[Candidate, list[Rejection]] = {one: [] for one in candidates}
    for number, part in enumerate(parts):
        for backbone, wanted in heads.items():
            for head, model in train(part, backbone, wanted, f"fold-{number + 1}").items():
                pooled[Candidate(backbone, head)].append(_verdicts(model, part, part.of("test"), images))
            done += 1
            if progress is not None:
                progress(done, total)
    for number, group in enumerate(groups):
        part = parts[number % len(parts)]
        known = Snapshot(tuple(frame for frame in part.frames if frame.category_id not in group))
        for backbone, wanted in heads.items():
            for head, model in train(known, backbone, wanted, f"left-out-{number + 1}").items():
                named = ", ".join(one.name for one in snapshot.classes if one.id in group)
                tested = [*known.of("test"), *_strange(snapshot, known, group)]
                _, verdicts = _verdicts(model, known, tested, images)
                unknown[Candidate(backbone, head)] += _rejections(verdicts, model, named)
            done += 1
            if progress is not None:
                progress(done, total)
    return CrossValidation(
        folds=len(parts),
        channels=len({frame.channel_id for frame in snapshot.frames}),
        frames=len(snapshot.frames),
        rows=_rows(candidates, pooled, unknown),
    )


def fold_snapshots(snapshot: Snapshot, folds: int, *, seed: int = 0) -> tuple[Snapshot, ...]:
    """Deal the channels of each category over folds; each fold once is the test split of a snapshot.

    Of the other channels of a category, one validates if there are three or more (two, where no category has
    three). Raises ConfigError where a category has one channel only, or folds are fewer than two.
    """
    by_category = _channels_by_category(snapshot.frames)
    if folds < 2:
        raise ConfigError("a cross-validation takes at least two folds")
    if lonely := sorted(name for name, channels in by_category.items() if len(channels) < 2):
        raise ConfigError(
            f"a cross-validation needs two channels of each category; {', '.join(lonely)} has one"
        )
    random = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    turn = 0  # goes on from one category to the next, so that folds are about equally large
    orders = {}
    for name in sorted(by_category):
        orders[name] = [by_category[name][place] for place in random.permutation(len(by_category[name]))]
        for channel in orders[name]:
            fold_of[channel] = turn % folds
            turn += 1
    return tuple(
        Snapshot(tuple(replace(frame, split=split[frame.channel_id]) for frame in snapshot.frames))
        for split in (_splits(list(orders.values()), fold_of, fold) for fold in range(folds))
    )


def category_groups(snapshot: Snapshot, groups: int, *, seed: int = 0) -> tuple[frozenset[str], ...]:
    """Deal category ids into groups; every category in one. Raises ConfigError for more than half of them."""
    ids = [one.id for one in snapshot.classes]
    if groups == 0:
        return ()
    if groups < 2 or len(ids) < 3:
        raise ConfigError("categories are left out in two groups or more, of three categories at least")
    order = np.random.default_rng(seed).permutation(len(ids))
    dealt = (frozenset(ids[place] for place in order[first::groups]) for first in range(groups))
    return tuple(group for group in dealt if group)


def _splits(orders: Sequence[Sequence[str]], fold_of: Mapping[str, int], fold: int) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    left = [[channel for channel in channels if fold_of[channel] != fold] for channels in orders]
    needed = min(_VAL_NEEDS, max(map(len, left)))
    if needed < 2:
        raise ConfigError("no channel is left to validate: cross-validate with more folds, or more channels")
    for channels, others in zip(orders, left, strict=True):
        validates = others[fold % len(others)] if len(others) >= needed else None
        for channel in channels:
            tests = fold_of[channel] == fold
            splits[channel] = "test" if tests else "val" if channel == validates else "train"
    return splits


def _channels_by_category(frames: Iterable[SnapshotFrame]) -> dict[str, list[str]]:
    """List the channels of each category, by name; a channel counts where most of its frames are."""
    counts: dict[str, dict[str, int]] = {}
    categories = set()
    for frame in frames:
        mine = counts.setdefault(frame.channel_id, {})
        mine[frame.category] = mine.get(frame.category, 0) + 1
        categories.add(frame.category)
    found: dict[str, list[str]] = {name: [] for name in categories}
    for channel, mine in sorted(counts.items()):
        found[max(mine, key=lambda name: (mine[name], name))].append(channel)
    return found


def _verdicts(
    model: Model, part: Snapshot, frames: Sequence[SnapshotFrame], images: Path
) -> tuple[Samples, Samples]:
    """Recognize frames and windows; their logits are divided by the temperature of the fold's validation."""
    temperature = calibrate_on_validation(model, part, images).temperature
    labels, channels = labels_of(model, frames), np.array([frame.channel for frame in frames])
    predictor = Predictor(model, snapshot_pictures(model, frames, images))
    places = windows(runs_of(frames), WINDOW)
    verdict = mean_verdict(predictor.sequences(places))
    return (
        Samples(predictor.alone / np.float32(temperature), labels, channels),
        Samples(verdict / np.float32(temperature), labels[places[:, 0]], channels[places[:, 0]]),
    )


def _strange(snapshot: Snapshot, known: Snapshot, group: frozenset[str]) -> list[SnapshotFrame]:
    """All frames of the categories left out, but those of channels that were learned from for another."""
    learned = {frame.channel_id for frame in known.frames if frame.split != "test"}
    return [
        frame for frame in snapshot.frames if frame.category_id in group and frame.channel_id not in learned
    ]


def _rejections(verdicts: Samples, model: Model, named: str) -> list[Rejection]:
    found = rejected(LEFT_OUT, "window", verdicts.known, verdicts.unknown, model.metadata)
    return [replace(one, unknown=named, refusal=None) for one in found]


def _rows(
    candidates: Sequence[Candidate],
    pooled: Mapping[Candidate, Sequence[tuple[Samples, Samples]]],
    unknown: Mapping[Candidate, Sequence[Rejection]],
) -> tuple[Compared, ...]:
    rows: list[Compared] = []
    first: Samples | None = None
    for one in candidates:
        frame, window = (_joined([pair[place] for pair in pooled[one]]) for place in (0, 1))
        counted = window if len(window) else frame
        gain = None
        if first is None:
            first = counted
        else:  # the folds are the same, so the samples are, one by one
            before, after = (np.asarray(part.logits.argmax(axis=1), np.int64) for part in (first, counted))
            gain = accuracy_gain(counted.labels, before, after, counted.channels)
        rows.append(
            Compared(
                candidate=one,
                frame=measure(frame, 1.0),
                window=measure(window, 1.0) if len(window) else None,
                gain=gain,
                unknown=tuple(unknown[one]),
            )
        )
    return tuple(rows)


def _joined(parts: Sequence[Samples]) -> Samples:
    return Samples(
        np.concatenate([one.logits for one in parts]),
        np.concatenate([one.labels for one in parts]),
        np.concatenate([one.channels for one in parts]),
    )
