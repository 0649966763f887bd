"""What a training step looks at: frames by category and channel, and sequences in time order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twitchcat.dataset.snapshot import SnapshotFrame
from twitchcat.training.recipe import Balance

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Frames of one split as tracks: those of one channel under one category, capture after capture."""

    labels: Indices  #: (N,) class of each frame
    tracks: tuple[Indices, ...]  #: frame numbers of each, in time order
    captures: tuple[Indices, ...]  #: the same frames, capture by capture
    by_class: tuple[tuple[int, ...], ...]  #: the tracks of each class; empty for a class without frames
    track_of: Indices  #: (N,) track of each frame
    place_of: Indices  #: (N,) place of each frame within its track
    capture_end: Indices  #: (N,) where in its track the capture of a frame ends

    @property
    def counts(self) -> Indices:
        """Frames of each class."""
        return np.bincount(self.labels, minlength=len(self.by_class)).astype(np.int64)


def tracks_of(frames: Sequence[SnapshotFrame], classes: Sequence[str]) -> Tracks:
    """Arrange frames; `classes` are category ids in the order of the logits."""
    numbers = {category_id: number for number, category_id in enumerate(classes)}
    labels = np.array([numbers[frame.category_id] for frame in frames], np.int64)
    groups: dict[tuple[str, str], list[int]] = {}
    captures: dict[tuple[int, str], list[int]] = {}
    for i, frame in enumerate(frames):
        groups.setdefault((frame.channel_id, frame.category_id), []).append(i)
        captures.setdefault((frame.capture_id, frame.category_id), []).append(i)
    tracks = tuple(np.array(group, np.int64) for group in groups.values())
    by_class: list[list[int]] = [[] for _ in classes]
    track_of, place_of = np.zeros(len(frames), np.int64), np.zeros(len(frames), np.int64)
    for t, track in enumerate(tracks):
        by_class[int(labels[track[0]])].append(t)
        track_of[track], place_of[track] = t, np.arange(len(track))
    capture_end = np.zeros(len(frames), np.int64)
    for capture in captures.values():
        capture_end[capture] = place_of[capture[-1]] + 1
    return Tracks(
        labels=labels,
        tracks=tracks,
        captures=tuple(np.array(capture, np.int64) for capture in captures.values()),
        by_class=tuple(tuple(one) for one in by_class),
        track_of=track_of,
        place_of=place_of,
        capture_end=capture_end,
    )


def draw_frames(tracks: Tracks, rng: np.random.Generator, count: int, balance: Balance) -> Indices:
    """Draw `count` frame numbers, with repetition.

    Balanced by sampling, every category comes as often, and within it every channel: a session of a thousand
    frames teaches no more than one of a hundred. Otherwise every frame comes as often.
    """
    if balance != "sampling":
        return rng.integers(0, len(tracks.labels), count)
    present = [own for own in tracks.by_class if own]
    chosen = rng.permuted(np.resize(rng.permutation(len(present)), count))  # as even as can be in one batch
    drawn = np.empty(count, np.int64)
    for i, number in enumerate(chosen):
        own = present[number]
        track = tracks.tracks[own[rng.integers(len(own))]]
        drawn[i] = track[rng.integers(len(track))]
    return drawn


def draw_sequences(
    tracks: Tracks,
    rng: np.random.Generator,
    count: int,
    *,
    length: int,
    splice: float,
    balance: Balance,
) -> Indices:
    """Draw `count` sequences of `length` frame numbers: (count, length).

    Each is a stretch of one capture in time order. A capture that is too short goes on with the next of its
    channel and category, and begins again after the last. A share of `splice` switches once, anywhere, to a
    stretch of another category.
    """
    starts = draw_frames(tracks, rng, count, balance)
    sequences = np.stack([_stretch(tracks, start, length) for start in starts])
    if length < 2 or sum(1 for own in tracks.by_class if own) < 2:
        return sequences
    for i in np.flatnonzero(rng.random(count) < splice):
        other = starts[i]
        while tracks.labels[other] == tracks.labels[starts[i]]:
            other = draw_frames(tracks, rng, 1, balance)[0]
        cut = int(rng.integers(1, length))
        sequences[i, cut:] = _stretch(tracks, other, length - cut)
    return sequences


def _stretch(tracks: Tracks, frame: np.int64, length: int) -> Indices:
    """`length` frames around or after a frame, within its capture where that is long enough."""
    track = tracks.tracks[tracks.track_of[frame]]
    start = int(tracks.place_of[frame])
    end = int(tracks.capture_end[frame])
    if start + length > end:  # begin earlier, as far as the capture reaches
        first = start
        while first > 0 and tracks.capture_end[track[first - 1]] == end and end - first < length:
            first -= 1
        start = first
    found: Indices = track[(start + np.arange(length)) % len(track)]
    return found


def class_weights(counts: Indices, *, beta: float = 0.999) -> NDArray[np.float32]:
    """Weigh classes by the effective number of their frames: (C,) float32, those present 1 on average.

    Source: class-balanced loss, Cui et al. 2019, arXiv:1901.05555. A class without frames weighs nothing.
    """
    effective = (1 - beta ** counts.astype(np.float64)) / (1 - beta)
    weights = np.divide(1.0, effective, out=np.zeros(len(counts)), where=counts > 0)
    return np.asarray(weights / weights[counts > 0].mean(), np.float32)
