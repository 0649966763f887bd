"""Everything that is measured on a split, by a model that reads the answer off the picture."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.evaluated import Capture, FakeModel, metadata_of, store
from twitchcat.dataset.snapshot import Snapshot
from twitchcat.errors import ConfigError, StoreError
from twitchcat.training.evaluate import calibrate_on_validation, evaluate_model, evaluate_validation
from twitchcat.training.predict import Predictor, StoredPictures
from twitchcat.training.results import as_json, best_rejection, window_of
from twitchcat.training.scoring import Evaluation

NAMES = ("Chess", "Doom", "SuperTux")

#: 13 frames each; of Doom's second channel all look like SuperTux, of SuperTux's first three look like Doom.
CAPTURES = (
    Capture("a", "Chess", [0.1] * 13),
    Capture("b", "Chess", [0.2] * 13),
    Capture("c", "Doom", [1.0] * 13),
    Capture("d", "Doom", [2.1] * 13),
    Capture("e", "SuperTux", [1.3] * 3 + [2.0] * 10),
    Capture("f", "SuperTux", [1.9] * 4),
    Capture("g", "Chess", [0.0, 0.4, 0.9, 1.2, 0.1], "val"),
    Capture("h", "Doom", [1.0, 1.1, 0.2, 0.8, 1.0], "val"),
)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return store(CAPTURES, tmp_path)


def evaluated(snapshot: Snapshot, images: Path, *, head: str = "frame", window: int = 13) -> Evaluation:
    model = FakeModel(metadata_of(*NAMES, head=head, window=window))
    return evaluate_model(model, snapshot, images)


def test_single_frames(snapshot: Snapshot, tmp_path: Path) -> None:
    scores = evaluated(snapshot, tmp_path).frame.scores
    assert (scores.samples, scores.channels) == (69, 6)
    assert scores.accuracy.value == pytest.approx((69 - 13 - 3) / 69)


def test_windows_are_right_where_most_of_their_frames_are(snapshot: Snapshot, tmp_path: Path) -> None:
    found = {one.length: one for one in evaluated(snapshot, tmp_path).windows}
    thirteen = found[13].mean
    assert thirteen is not None
    assert (thirteen.scores.samples, thirteen.scores.accuracy.value) == (5, 0.8)
    assert found[5].mean is not None
    assert found[5].mean.scores.samples == 5 * 3


def test_a_length_that_no_capture_has_is_not_measured(snapshot: Snapshot, tmp_path: Path) -> None:
    assert [(one.length, one.mean) for one in evaluated(snapshot, tmp_path).windows][-1] == (30, None)


def test_the_models_own_window_is_measured_beside_the_usual_ones(snapshot: Snapshot, tmp_path: Path) -> None:
    evaluation = evaluated(snapshot, tmp_path, window=4)
    assert [one.length for one in evaluation.windows] == [4, 5, 13, 30]
    assert evaluation.verdicts == "windows of 4 frames"
    assert evaluation.confusion.sum() == 5 * 4 + 1


def test_where_no_capture_is_as_long_as_a_window_frames_are_counted(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    evaluation = evaluated(snapshot, tmp_path, window=20)
    assert window_of(evaluation) is None
    assert evaluation.verdicts == "frames"
    assert evaluation.confusion.tolist() == [[26, 0, 0], [0, 13, 13], [0, 3, 14]]


@pytest.mark.parametrize(
    ("head", "alike"),
    [
        pytest.param("frame", False, id="a head without memory"),
        pytest.param("lstm", True, id="a head that remembers the mean"),
    ],
)
def test_the_last_frames_own_verdict_stands_beside_the_mean(
    snapshot: Snapshot, tmp_path: Path, head: str, alike: bool
) -> None:
    windows = evaluated(snapshot, tmp_path, head=head).windows
    last = next(one.last for one in windows if one.length == 13)
    assert last is not None
    assert last.scores.accuracy.value == 0.8
    looks = [*[0.0] * 12, 2.0]  # the last frame alone would say another thing than all of them
    mixed = store([Capture("x", "Chess", looks), Capture("y", "Doom", [1.0] * 13)], tmp_path)
    last = next(one.last for one in evaluated(mixed, tmp_path, head=head).windows if one.length == 13)
    assert last is not None
    assert last.scores.accuracy.value == (1.0 if alike else 0.5)


def test_a_frame_goes_through_a_model_without_memory_once(snapshot: Snapshot, tmp_path: Path) -> None:
    model = FakeModel(metadata_of(*NAMES, window=13))
    evaluate_model(model, snapshot, tmp_path)
    assert model.frames_seen == 69


def test_progress_ends_where_it_said_it_would(snapshot: Snapshot, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    model = FakeModel(metadata_of(*NAMES, head="lstm", window=13))
    evaluate_model(model, snapshot, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {model.frames_seen}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == told[-1][1]


def test_categories_that_the_model_does_not_know_are_the_unknown(tmp_path: Path) -> None:
    snapshot = store([*CAPTURES, Capture("z", "Hearts", [3.6] * 13)], tmp_path)
    evaluation = evaluated(snapshot, tmp_path)
    assert evaluation.frame.scores.samples == 69
    found = best_rejection(evaluation)
    assert found is not None
    assert (found.unit, found.score, found.auroc.value, found.fpr95) == ("window", "max_logit", 1.0, 0.0)
    assert (found.known_samples, found.unknown_samples) == (5, 1)
    assert found.refusal is not None
    assert (found.refusal.known_refused, found.refusal.unknown_passed) == (0.0, 0.0)
    energy = [one for one in evaluation.rejections if one.score == "energy"]
    assert [one.refusal for one in energy] == [None, None]  # the file has no threshold of it


def test_nothing_unknown_is_not_called_perfect(snapshot: Snapshot, tmp_path: Path) -> None:
    evaluation = evaluated(snapshot, tmp_path)
    assert evaluation.rejections == ()
    assert best_rejection(evaluation) is None


def test_after_a_switch_a_mean_of_five_follows_before_one_of_thirteen(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    switching = evaluated(snapshot, tmp_path).switching
    five, thirteen = switching["mean of 5"].median, switching["mean of 13"].median
    assert five is not None
    assert thirteen is not None
    assert switching["last frame"].median == 1
    assert 1 < five < thirteen


def test_the_worst_frames_are_wrong_sure_and_not_all_of_one_capture(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    worst = evaluated(snapshot, tmp_path).worst
    assert [(one.channel, one.truth, one.said) for one in worst] == [
        *[("d", "Doom", "SuperTux")] * 2,
        *[("e", "SuperTux", "Doom")] * 2,
    ]
    assert worst[0].confidence >= worst[-1].confidence > 0.5


def test_validation_is_measured_on_validation(snapshot: Snapshot, tmp_path: Path) -> None:
    evaluation = evaluate_validation(FakeModel(metadata_of(*NAMES)), snapshot, tmp_path)
    assert (evaluation.split, evaluation.frame.scores.samples) == ("val", 10)


@pytest.mark.parametrize(("window", "verdicts"), [(5, "windows"), (13, "frames")])
def test_calibration_reads_windows_of_validation_and_frames_where_there_are_none(
    snapshot: Snapshot, tmp_path: Path, window: int, verdicts: str
) -> None:
    for frame in snapshot.of("test"):
        (tmp_path / frame.path).unlink()
    found = calibrate_on_validation(FakeModel(metadata_of(*NAMES, window=window)), snapshot, tmp_path)
    assert (found.ece_before > found.ece_after) or verdicts == "frames"
    means = {"windows": [0.52, 0.82], "frames": [0.0, 1.2]}[verdicts]
    assert found.unknown_threshold <= max(-((mean - round(mean)) ** 2) for mean in means) + 1e-3


def test_the_whole_evaluation_is_json_and_null_where_nothing_was_measured(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    entry = json.loads(json.dumps(as_json(evaluated(snapshot, tmp_path)), allow_nan=False))
    assert entry["frame"]["scores"]["accuracy"]["value"] == pytest.approx(53 / 69)
    assert entry["windows"][-1] == {"length": 30, "mean": None, "last": None}
    assert entry["reliability"]["after"]["accuracy"].count(None) > 0
    assert entry["cost"] is None


@pytest.mark.parametrize("damage", ["missing", "changed", "no picture"])
def test_a_picture_that_is_not_the_snapshots_is_named(
    snapshot: Snapshot, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / snapshot.frames[3].path
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes((tmp_path / snapshot.frames[-1].path).read_bytes() if damage == "changed" else b"no")
    with pytest.raises(StoreError, match=path.name):
        evaluated(snapshot, tmp_path)


def test_a_split_without_a_known_category_cannot_be_measured(tmp_path: Path) -> None:
    strange = store([Capture("z", "Hearts", [1.0] * 3)], tmp_path)
    with pytest.raises(ConfigError, match="no frame of the test split"):
        evaluated(strange, tmp_path)
    with pytest.raises(ConfigError, match="no frame in its val split"):
        evaluate_validation(FakeModel(metadata_of(*NAMES)), strange, tmp_path)


def test_pictures_are_read_again_where_memory_is_small(snapshot: Snapshot, tmp_path: Path) -> None:
    frames = snapshot.of("test")
    model = FakeModel(metadata_of(*NAMES, head="lstm"))
    files = [tmp_path / frame.path for frame in frames]
    small, large = (
        Predictor(model, StoredPictures(model, files, cache_bytes=room)).alone for room in (0, 2**30)
    )
    assert np.array_equal(small, large)


def test_captures_in_which_the_category_changed_are_cut_there(tmp_path: Path) -> None:
    whole = store([Capture("a", "Chess", [0.0] * 10), Capture("b", "Doom", [1.0] * 10)], tmp_path)
    changed = [
        replace(frame, category="Doom", category_id="id-Doom") if 5 <= place < 10 else frame
        for place, frame in enumerate(whole.frames)
    ]
    evaluation = evaluated(Snapshot(tuple(changed)), tmp_path, window=5)
    assert evaluation.confusion.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
