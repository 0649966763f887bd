"""Registered models: files, rows, promotion and the way back."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import onnx
import pytest
from sqlalchemy import select

from tests.fixtures.models import metadata_of
from twitchcat.config import Settings
from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.registry import (
    CARD,
    SNAPSHOT,
    find_model,
    list_models,
    promote,
    register,
    roll_back,
)
from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame, Split
from twitchcat.errors import ConfigError, ModelError
from twitchcat.recognition.current import FILE, current_name, models_folder, resolve_model_path
from twitchcat.recognition.metadata import KEY

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def frame(number: int, split: Split) -> SnapshotFrame:
    return SnapshotFrame(
        frame_id=number,
        path=f"{number:02}/image.jpg",
        sha256=f"{number:064x}",
        category_id="100",
        category="Chess",
        channel_id=split,
        channel=split,
        capture_id=1,
        position=number,
        captured_at=BEGIN + timedelta(seconds=number),
        split=split,
    )


#: Makes a run folder with the model's metrics and the numbers of its test and training frames.
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(model_file: Path, tmp_path: Path) -> MakeRun:
    def make(
        name: str,
        metrics: dict[str, Any] | None = None,
        *,
        test: Sequence[int] = (1, 2),
        train: Sequence[int] = (5,),
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        proto = onnx.load(str(model_file))
        about = metadata_of(metrics={"run": name} | (metrics or {}), fingerprint=name)
        onnx.helper.set_model_props(proto, {KEY: about.to_json()})
        onnx.save(proto, str(folder / FILE))
        (folder / CARD).write_text(f"# {name}\n")
        frames = [frame(number, "test") for number in test] + [frame(number, "train") for number in train]
        Snapshot(tuple(frames)).save(folder / SNAPSHOT)
        return folder

    return make


def test_a_model_is_a_folder_and_a_row(database: Database, settings: Settings, make_run: MakeRun) -> None:
    run = make_run("first", {"window_accuracy": 0.9})
    entry = register(database, settings.data_dir, run)
    assert entry.name == "2026-11-21-small-lstm"
    assert {file.name for file in entry.folder.iterdir()} == {FILE, CARD, SNAPSHOT}
    assert entry.file.read_bytes() == (run / FILE).read_bytes()
    assert [one.name for one in entry.classes] == ["Chess", "Doom", "SuperTux"]
    assert (entry.fingerprint, entry.metrics["window_accuracy"]) == ("first", 0.9)
    assert not entry.current
    assert [file.name for file in models_folder(settings.data_dir).iterdir()] == [entry.name]


def test_the_same_file_twice_is_one_model_and_another_of_the_day_gets_a_number(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    first = register(database, settings.data_dir, make_run("first"))
    again = register(database, settings.data_dir, first.folder)
    other = register(database, settings.data_dir, make_run("other"))
    assert again == first
    assert other.name == "2026-11-21-small-lstm-2"
    assert len(list_models(database, settings.data_dir)) == 2


def test_a_file_of_another_name_is_registered_without_what_lies_beside_it(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    run = make_run("first")
    file = (run / FILE).rename(run / "downloaded.onnx")
    entry = register(database, settings.data_dir, file, name="mine")
    assert [one.name for one in entry.folder.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../mine", id="leads out"),
        pytest.param("Mine", id="capital"),
        pytest.param("current", id="name of the link"),
        pytest.param("taken", id="taken"),
        pytest.param("left-over", id="a folder without a row"),
    ],
)
def test_names_that_cannot_be_leave_nothing(
    name: str, database: Database, settings: Settings, make_run: MakeRun
) -> None:
    register(database, settings.data_dir, make_run("first"), name="taken")
    (models_folder(settings.data_dir) / "left-over").mkdir()
    with pytest.raises(ConfigError):
        register(database, settings.data_dir, make_run("second"), name=name)
    names = sorted(entry.name for entry in models_folder(settings.data_dir).iterdir())
    assert names == ["left-over", "taken"]
    assert [entry.name for entry in list_models(database, settings.data_dir)] == ["taken"]


def test_what_is_no_model_is_not_registered(database: Database, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no model")
    with pytest.raises(ModelError, match="no ONNX file"):
        register(database, settings.data_dir, tmp_path)
    assert list_models(database, settings.data_dir) == []


@pytest.mark.parametrize(
    ("old", "new", "promoted", "says"),
    [
        pytest.param(
            {"window_accuracy": 0.9},
            {"window_accuracy": 0.95},
            True,
            "95.0% of the test windows",
            id="better",
        ),
        pytest.param(
            {"window_accuracy": 0.9},
            {"window_accuracy": 0.9},
            True,
            "90.0% of the test windows",
            id="as good",
        ),
        pytest.param(
            {"window_accuracy": 0.9, "frame_accuracy": 0.5},
            {"window_accuracy": 0.8, "frame_accuracy": 0.7},
            False,
            "80.0% of the test windows right, old 90.0%",
            id="worse by windows, better by frames",
        ),
        pytest.param(
            {"frame_accuracy": 1}, {"frame_accuracy": 0.7}, False, "70.0% of the test frames", id="no windows"
        ),
        pytest.param({"window_accuracy": 0.9}, {}, True, "not compared", id="nothing was measured"),
    ],
)
def test_a_model_worse_on_the_same_test_split_is_not_promoted(
    *,
    old: dict[str, float],
    new: dict[str, float],
    promoted: bool,
    says: str,
    database: Database,
    settings: Settings,
    make_run: MakeRun,
) -> None:
    data_dir = settings.data_dir
    register(database, data_dir, make_run("old", old, train=(5,)), name="old")
    # It may well have learned from more.
    register(database, data_dir, make_run("new", new, train=(5, 6, 7)), name="new")
    assert promote(database, data_dir, "old").promoted
    done = promote(database, data_dir, "new")
    assert (done.promoted, done.before) == (promoted, "old")
    assert says in done.reason
    assert current_name(data_dir) == ("new" if promoted else "old")


def test_force_promotes_a_worse_model_all_the_same(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    for name, accuracy in (("old", 0.9), ("new", 0.2)):
        register(database, settings.data_dir, make_run(name, {"window_accuracy": accuracy}), name=name)
    promote(database, settings.data_dir, "old")
    assert promote(database, settings.data_dir, "new", force=True).promoted


def test_numbers_of_another_test_split_are_not_compared_unless_the_old_model_is_measured_on_it(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    data_dir = settings.data_dir
    register(database, data_dir, make_run("old", {"window_accuracy": 0.9}, test=(1, 2)), name="old")
    register(database, data_dir, make_run("new", {"window_accuracy": 0.8}, test=(1, 3)), name="new")
    promote(database, data_dir, "old")
    measured = promote(database, data_dir, "new", current_metrics={"window_accuracy": 0.85})
    assert not measured.promoted
    unmeasured = promote(database, data_dir, "new")
    assert unmeasured.promoted
    assert unmeasured.reason == "not compared with old: their test splits differ"


def test_link_and_row_say_the_same_of_the_model_in_use_and_rollback_keeps_them_so(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    for name in "abc":
        register(database, settings.data_dir, make_run(name), name=name)
        promote(database, settings.data_dir, name)
    led_to = [roll_back(database, settings.data_dir) for _ in range(2)]
    assert led_to == ["b", "a"]
    assert current_name(settings.data_dir) == "a"
    assert resolve_model_path(settings) == find_model(database, settings.data_dir, "a").file
    with database.begin() as connection:
        rows = connection.execute(select(schema.Model.name).where(schema.Model.current)).scalars()
        assert list(rows) == ["a"]
    assert [one.name for one in list_models(database, settings.data_dir) if one.current] == ["a"]


def test_a_file_altered_since_it_was_registered_does_not_come_into_use(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    entry = register(database, settings.data_dir, make_run("first"), name="first")
    entry.file.write_bytes(entry.file.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="altered"):
        promote(database, settings.data_dir, "first")
    assert current_name(settings.data_dir) is None
    entry.file.unlink()
    with pytest.raises(ModelError, match="missing"):
        promote(database, settings.data_dir, "first")


def test_an_unknown_name_is_told_with_those_there_are(
    database: Database, settings: Settings, make_run: MakeRun
) -> None:
    register(database, settings.data_dir, make_run("first"), name="first")
    with pytest.raises(ModelError, match="no model is called fisrt; there are: first"):
        promote(database, settings.data_dir, "fisrt")
