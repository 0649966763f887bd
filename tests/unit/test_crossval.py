"""Folds by channel."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.evaluated import Capture, FakeModel, metadata_of, store
from twitchcat.cli.evaluate_display import comparison_as_markdown
from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame
from twitchcat.errors import ConfigError
from twitchcat.recognition.model import ModelOutput, State
from twitchcat.training.crossval import (
    Candidate,
    category_groups,
    cross_validate,
    fold_snapshots,
)
from twitchcat.training.predict import Model

NAMES = ("Chess", "Doom", "Hearts", "SuperTux")


def snapshot_of(folder: Path, channels: int = 5, frames: int = 13) -> Snapshot:
    captures = [
        Capture(f"{name}-{number}", name, [look + 0.05 * number] * frames)
        for look, name in enumerate(NAMES)
        for number in range(channels)
    ]
    return store(captures, folder)


class Blind(FakeModel):
    """Says the first class, whatever it sees."""

    def run(self, frames: NDArray[np.uint8], state: State | None = None) -> ModelOutput:
        found = super().run(frames, state)
        logits = np.zeros_like(found.logits)
        logits[..., 0] = 1
        return ModelOutput(logits=logits, embeddings=logits, state=())


class Trainer:
    """Gives models without training, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str, Snapshot]] = []

    def __call__(
        self, snapshot: Snapshot, backbone: str, heads: Sequence[str], name: str
    ) -> dict[str, Model]:
        self.given.append((name, backbone, snapshot))
        names = [one.name for one in snapshot.classes]
        made: dict[str, Model] = {}
        for head in heads:
            # Class numbers are read off the colour, so all names are needed for the fake to know.
            made[head] = (Blind if backbone == "blind" else Known)(metadata_of(*names, head=head))
        return made


class Known(FakeModel):
    """Knows the looks of its classes by name."""

    def run(self, frames: NDArray[np.uint8], state: State | None = None) -> ModelOutput:
        assert state is None, "sequences begin afresh"
        looks = np.array([NAMES.index(one.name) for one in self.metadata.classes])
        level = frames[..., 0].mean(axis=(2, 3)) / 20
        logits = -((level[..., None] - looks) ** 2).astype(np.float32)
        return ModelOutput(logits=logits, embeddings=logits, state=())


def channels(frames: Sequence[SnapshotFrame]) -> set[str]:
    return {frame.channel_id for frame in frames}


def test_every_channel_is_tested_once_and_never_where_it_was_learned_from(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path)
    folds = fold_snapshots(snapshot, 4)
    tested = [channels(one.of("test")) for one in folds]
    assert sum(map(len, tested)) == len(set().union(*tested)) == 20
    for one in folds:
        assert not channels(one.of("test")) & (channels(one.of("train")) | channels(one.of("val")))
        assert len(one.frames) == len(snapshot.frames)


def test_folds_are_about_equally_large_and_each_learns_every_category(tmp_path: Path) -> None:
    folds = fold_snapshots(snapshot_of(tmp_path), 4)
    assert {len(channels(one.of("test"))) for one in folds} == {5}
    for one in folds:
        assert {frame.category for frame in one.of("train")} == set(NAMES)
        assert {frame.category for frame in one.of("val")} == set(NAMES)


def test_a_category_with_few_channels_gives_none_to_validation(tmp_path: Path) -> None:
    captures = [Capture(f"c{n}", "Chess", [0.0]) for n in range(4)] + [
        Capture(f"d{n}", "Doom", [1.0]) for n in range(2)
    ]
    for one in fold_snapshots(store(captures, tmp_path), 2):
        assert {frame.category for frame in one.of("val")} <= {"Chess"}
        assert {frame.category for frame in one.of("train")} == {"Chess", "Doom"}


@pytest.mark.parametrize(
    ("captures", "folds", "message"),
    [
        pytest.param(["a", "b"], 1, "two folds", id="one fold"),
        pytest.param(["a"], 2, "Chess has one", id="one channel"),
        pytest.param(["a", "b"], 2, "more folds", id="none left to validate"),
    ],
)
def test_what_cannot_be_folded(tmp_path: Path, captures: list[str], folds: int, message: str) -> None:
    snapshot = store([Capture(channel, "Chess", [0.0]) for channel in captures], tmp_path)
    with pytest.raises(ConfigError, match=message):
        fold_snapshots(snapshot, folds)


def test_candidates_are_compared_on_the_same_frames_of_all_folds(tmp_path: Path) -> None:
    candidates = [Candidate("blind", "frame"), Candidate("small", "frame"), Candidate("small", "lstm")]
    trainer, told = Trainer(), list[tuple[int, int]]()
    found = cross_validate(
        snapshot_of(tmp_path), tmp_path, candidates, trainer, folds=4, progress=lambda *one: told.append(one)
    )
    blind, frame, lstm = found.rows
    assert (found.folds, found.channels, found.frames) == (4, 20, 260)
    assert blind.window is not None
    assert frame.window is not None
    assert (blind.frame.scores.samples, blind.window.scores.samples) == (260, 20)
    assert (blind.window.scores.accuracy.value, frame.window.scores.accuracy.value) == (0.25, 1.0)
    assert blind.gain is None
    assert frame.gain is not None
    assert frame.gain.value == 0.75
    assert frame.gain.low is not None
    assert frame.gain.low > 0.4
    assert lstm.gain == frame.gain
    # One training of a backbone serves all its heads.
    assert [(name, backbone) for name, backbone, _ in trainer.given][:2] == [
        ("fold-1", "blind"),
        ("fold-1", "small"),
    ]
    assert told == [(done, 8) for done in range(1, 9)]


def test_categories_left_out_are_unknown_to_who_was_trained_without_them(tmp_path: Path) -> None:
    trainer = Trainer()
    found = cross_validate(
        snapshot_of(tmp_path), tmp_path, [Candidate("small", "frame")], trainer, folds=2, leave_out=4
    )
    without = [snapshot for name, _, snapshot in trainer.given if name.startswith("left-out")]
    assert [len(one.classes) for one in without] == [3] * 4
    areas = [one for one in found.rows[0].unknown if one.score == "max_logit"]
    assert {one.unknown for one in areas} == set(NAMES)
    assert all(one.unknown_samples == 5 and one.auroc.value > 0.9 for one in areas)


def test_every_category_is_left_out_once(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path)
    groups = category_groups(snapshot, 3)
    assert sorted(one for group in groups for one in group) == [f"id-{name}" for name in NAMES]
    assert category_groups(snapshot, 0) == ()
    with pytest.raises(ConfigError, match="two groups"):
        category_groups(snapshot, 1)


def test_the_comparison_is_one_markdown_table(tmp_path: Path) -> None:
    candidates = [Candidate("blind", "frame"), Candidate("small", "frame")]
    found = cross_validate(snapshot_of(tmp_path), tmp_path, candidates, Trainer(), folds=2, leave_out=2)
    lines = comparison_as_markdown(found).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[2].startswith("| blind + frame | 0.250 (")
    assert "+0.750 (" in lines[3]
    assert "20 channels, 260 frames" in lines[-1]
