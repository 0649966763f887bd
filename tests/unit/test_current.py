"""Which model is in use, and what a rollback leads to."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from twitchcat.config import ModelSettings, Settings
from twitchcat.errors import ModelError
from twitchcat.recognition import current
from twitchcat.recognition.current import (
    FILE,
    current_link,
    current_name,
    history,
    models_folder,
    previous,
    resolve_model_path,
    set_current,
)


@pytest.fixture(autouse=True)
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the packaged model would be; a test that wants one writes it."""
    path = tmp_path / "package" / FILE
    path.parent.mkdir()
    monkeypatch.setattr(current, "PACKAGED", path)
    return path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with the models a, b and c."""
    folder = tmp_path / "data"
    for name in "abc":
        (models_folder(folder) / name).mkdir(parents=True)
        (models_folder(folder) / name / FILE).write_text(name)
    return folder


def test_the_setting_goes_before_the_model_in_use_and_that_before_the_packaged_one(
    data_dir: Path, packaged: Path, tmp_path: Path
) -> None:
    packaged.touch()
    settings = Settings(data_dir=data_dir)
    assert resolve_model_path(settings) == packaged
    set_current(data_dir, "a")
    assert resolve_model_path(settings) == models_folder(data_dir) / "a" / FILE
    named = tmp_path / "named.onnx"
    named.touch()
    assert resolve_model_path(Settings(data_dir=data_dir, model=ModelSettings(path=named))) == named


def test_without_any_model_the_message_says_how_to_come_to_one(data_dir: Path) -> None:
    with pytest.raises(ModelError, match="twitchcat train"):
        resolve_model_path(Settings(data_dir=data_dir))


def test_a_setting_that_names_nothing_is_told_and_not_passed_over(data_dir: Path, packaged: Path) -> None:
    packaged.touch()
    settings = Settings(data_dir=data_dir, model=ModelSettings(path=data_dir / "none.onnx"))
    with pytest.raises(ModelError, match=r"none\.onnx, which the setting model\.path names"):
        resolve_model_path(settings)


def test_a_model_in_use_that_is_gone_is_told_and_not_passed_over(data_dir: Path, packaged: Path) -> None:
    packaged.touch()
    set_current(data_dir, "a")
    (models_folder(data_dir) / "a" / FILE).unlink()
    with pytest.raises(ModelError, match="leads nowhere"):
        resolve_model_path(Settings(data_dir=data_dir))


def test_a_file_put_in_place_of_the_link_is_used_and_never_overwritten(data_dir: Path) -> None:
    current_link(data_dir).write_text("mine")
    assert resolve_model_path(Settings(data_dir=data_dir)) == current_link(data_dir)
    with pytest.raises(ModelError, match="move it away"):
        set_current(data_dir, "a")
    assert current_link(data_dir).read_text() == "mine"


def test_a_model_without_a_file_cannot_come_into_use(data_dir: Path) -> None:
    set_current(data_dir, "a")
    with pytest.raises(ModelError, match="no file of the model d"):
        set_current(data_dir, "d")
    assert current_name(data_dir) == "a"


def test_the_data_directory_may_be_moved(data_dir: Path, tmp_path: Path) -> None:
    set_current(data_dir, "b")
    moved = data_dir.rename(tmp_path / "elsewhere")
    assert resolve_model_path(Settings(data_dir=moved)).read_text() == "b"


def test_every_change_is_in_the_history_and_nothing_is_left_beside(data_dir: Path) -> None:
    set_current(data_dir, "a")
    set_current(data_dir, "b")
    set_current(data_dir, "a", action="rollback")
    assert [(one.action, one.model) for one in history(data_dir)] == [
        ("use", "a"),
        ("use", "b"),
        ("rollback", "a"),
    ]
    times = [one.at for one in history(data_dir)]
    assert all(before <= after for before, after in itertools.pairwise(times))
    names = {entry.name for entry in models_folder(data_dir).iterdir()}
    assert names == {"a", "b", "c", "current", "history.jsonl"}


@pytest.mark.parametrize(
    ("used", "gone", "led_to"),
    [
        pytest.param("abc", "", ["b", "a", None], id="one after another, down to the packaged one"),
        pytest.param("abac", "", ["a", "b", "a", None], id="a model twice"),
        pytest.param("aab", "", ["a", None], id="the same again is no change"),
        pytest.param("abc", "b", ["a", None], id="one that is gone is left out"),
        pytest.param("ab<c", "", ["a", None], id="what was rolled back does not come again"),
    ],
)
def test_rollbacks_go_back_one_by_one(
    used: str, gone: str, led_to: Sequence[str | None], data_dir: Path, packaged: Path
) -> None:
    packaged.touch()
    for name in used:
        if name == "<":
            set_current(data_dir, previous(data_dir), action="rollback")
        else:
            set_current(data_dir, name)
    for name in gone:
        (models_folder(data_dir) / name / FILE).unlink()
    found = []
    for _ in led_to:
        name_before = previous(data_dir)
        set_current(data_dir, name_before, action="rollback")
        found.append(current_name(data_dir))
    assert found == led_to
    with pytest.raises(ModelError, match="no model to go back to"):
        previous(data_dir)


def test_without_a_packaged_model_the_first_has_none_before_it(data_dir: Path) -> None:
    set_current(data_dir, "a")
    with pytest.raises(ModelError, match="no model to go back to"):
        previous(data_dir)


def test_a_damaged_history_is_told(data_dir: Path) -> None:
    (models_folder(data_dir) / "history.jsonl").write_text("{\n")
    with pytest.raises(ModelError, match="is damaged"):
        previous(data_dir)
