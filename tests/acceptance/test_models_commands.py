"""`twitchcat models …` as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.models import MakeModel
from twitchcat.config import DatabaseSettings

COMMAND = [sys.executable, "-c", "from twitchcat.cli import main; main()", "models"]


def models(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with no setting but these."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TWITCHCAT")}
    return subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, env=env | environment, timeout=60
    )


@pytest.fixture
def environment(database_settings: DatabaseSettings, tmp_path: Path) -> dict[str, str]:
    """The variables that lead to a data directory and a database of this test's own."""
    assert database_settings.url is not None
    return {
        "TWITCHCAT_DATABASE__URL": database_settings.url.get_secret_value(),
        "TWITCHCAT_DATA_DIR": str(tmp_path / "data"),
    }


def test_from_two_files_to_the_second_and_back_to_the_first(
    make_model: MakeModel, environment: dict[str, str]
) -> None:
    first = models("use", str(make_model("lstm")), "--name", "first", **environment)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("first is in use (")
    second = models("use", str(make_model("mean")), "--name", "second", "--json", **environment)
    assert json.loads(second.stdout) == {
        "model": "second",
        "before": "first",
        "reason": "not compared with first: their test splits differ",
    }
    listed = [json.loads(line) for line in models("list", "--json", **environment).stdout.splitlines()]
    assert {one["name"]: one["current"] for one in listed} == {"first": False, "second": True}
    table = models("list", **environment).stdout
    assert [line.split()[:2] for line in table.splitlines() if line.startswith("*")] == [["*", "second"]]
    back = models("rollback", **environment)
    assert back.stdout == "first is in use again, in place of second.\n"
    shown = json.loads(models("show", "--json", **environment).stdout)
    assert shown["head"] == "lstm"


def test_show_needs_no_database_for_a_file(model_file: Path, tmp_path: Path) -> None:
    done = models(
        "show",
        str(model_file),
        TWITCHCAT_DATA_DIR=str(tmp_path / "data"),
        TWITCHCAT_DATABASE__URL="postgresql://nobody@127.0.0.1:1/none",
    )
    assert done.returncode == 0
    assert "Chess, Doom, SuperTux" in done.stdout
    assert not (tmp_path / "data").exists()


def test_show_prints_the_card_that_lies_beside_a_model(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model_file.read_bytes())
    (tmp_path / "card.md").write_text("# [What was measured]\n")
    done = models("show", str(tmp_path / "model.onnx"))
    assert done.stdout.startswith("# [What was measured]\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "there is no model at", id="missing"),
        pytest.param(b"GIF89a", "no ONNX file", id="no model"),
        pytest.param(b"", "it is empty", id="empty"),
    ],
)
@pytest.mark.parametrize("command", ["show", "use"])
def test_a_refused_model_is_exit_code_6_and_one_sentence(
    command: str, content: bytes | None, says: str, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "spoiled.onnx"
    if content is not None:
        path.write_bytes(content)
    done = models(command, str(path), **environment)
    assert (done.returncode, done.stdout) == (6, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_setting_that_goes_before_the_choice_is_mentioned(
    model_file: Path, environment: dict[str, str]
) -> None:
    done = models("use", str(model_file), TWITCHCAT_MODEL__PATH=str(model_file), **environment)
    assert done.returncode == 0
    assert "model.path" in done.stderr
