"""`twitchcat train` on the packaged clips: one command to a model in use, and killed runs that go on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import text
from typer.testing import CliRunner

from twitchcat.cli.app import app
from twitchcat.config import Settings
from twitchcat.dataset.collect import image_store
from twitchcat.dataset.database import open_database
from twitchcat.dataset.importing.importer import open_and_import
from twitchcat.dataset.importing.take import Sampling
from twitchcat.dataset.registry import list_models
from twitchcat.dataset.snapshot import Snapshot, freeze
from twitchcat.dataset.split import split_dataset
from twitchcat.recognition.current import resolve_model_path
from twitchcat.recognition.model import RecognitionModel
from twitchcat.training.checkpoint import load_checkpoint
from twitchcat.training.heads import HEADS
from twitchcat.training.recipe import Recipe
from twitchcat.training.run import begin_run, plan

CLIPS = Path(__file__).parents[2] / "twitchcat" / "station" / "clips"
TINY = ["--height", "36", "--width", "64", "--epochs", "2", "--head-epochs", "3", "--seed", "7"]


@pytest.fixture
def collected(settings: Settings) -> Settings:
    """A dataset of the packaged clips, split."""
    open_and_import(settings, [CLIPS], manifest=None, sampling=Sampling(every_s=2.0))
    with open_database(settings) as database:
        split_dataset(database, seed=0)
    return settings


def environment(settings: Settings) -> dict[str, str]:
    """That of a user whose settings are these."""
    assert settings.database.url is not None
    own = {name: value for name, value in os.environ.items() if not name.startswith("TWITCHCAT")}
    return own | {
        "TWITCHCAT_DATA_DIR": str(settings.data_dir),
        "TWITCHCAT_DATABASE__URL": settings.database.url.get_secret_value(),
    }


def train(settings: Settings, *options: str) -> list[dict[str, Any]]:
    """Run the command to its end and read what it printed."""
    done = CliRunner().invoke(
        app, ["train", *TINY, *options, "--json"], env=environment(settings), catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights a run came to, by stage and name."""
    for stage, finished in load_checkpoint(folder / "checkpoint.pt")["finished"].items():
        for name, value in finished["best"].items():
            yield f"{stage}: {name}", value


def test_one_command_leads_from_a_split_dataset_to_a_model_in_use(collected: Settings) -> None:
    *epochs, result = train(collected)
    assert [row["event"] for row in epochs] == ["epoch"] * 5
    assert [row["stage"] for row in epochs] == ["backbone"] * 2 + ["head lstm"] * 3
    assert result["registered"]["promoted"]

    folder = Path(result["run"])
    expected = {
        "config.json",
        "snapshot.jsonl.gz",
        "checkpoint.pt",
        "curves.csv",
        "curves.png",
        "metrics.json",
    }
    expected |= {"classes.csv", "confusion.png", "worst_frames.jpg", "model.onnx", "card.md", "report.html"}
    assert {path.name for path in folder.iterdir()} >= expected

    snapshot = Snapshot.load(folder / "snapshot.jsonl.gz")
    model = RecognitionModel.load(resolve_model_path(collected))
    assert model.metadata.fingerprint == snapshot.fingerprint
    assert [one.name for one in model.metadata.classes] == [one.name for one in snapshot.classes]
    assert model.metadata.frame_interval_s == pytest.approx(2.0, abs=0.1)
    assert model.metadata.metrics["frame_accuracy"] == result["metrics"]["frame_accuracy"]
    assert (folder / "curves.csv").read_text().count("\n") == 6
    with open_database(collected) as database:
        (entry,) = list_models(database, collected.data_dir)
    assert (entry.current, entry.fingerprint) == (True, snapshot.fingerprint)


@pytest.mark.parametrize(
    "last", [pytest.param("backbone 2", id="in the backbone"), pytest.param("head lstm 3", id="in the head")]
)
def test_a_killed_run_that_is_resumed_comes_to_the_same_weights_bit_by_bit(
    collected: Settings, tmp_path: Path, last: str
) -> None:
    with open_database(collected) as database:
        snapshot = freeze(database)
    images = str(image_store(collected).root)
    recipe = Recipe(epochs=4, head_epochs=200, frames_per_epoch=96, batch=16, patience=None, views=1)
    asked = plan(snapshot, backbone="small", head="lstm", recipe=recipe, input_height=36, input_width=64)
    process = [sys.executable, "-m", "tests.integration.training_process"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        begin_run(snapshot, asked, folder)
    subprocess.run([*process, str(whole), images], check=True, capture_output=True)

    with subprocess.Popen([*process, str(killed), images], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.strip() == last:
                run.kill()
    assert run.returncode == -signal.SIGKILL

    command = [*process, str(killed), images, "--resume"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert last not in done.stdout.splitlines()  # it was not trained again
    expected, found = dict(weights(whole)), dict(weights(killed))
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def test_a_run_that_was_stopped_is_found_and_brought_to_its_end(collected: Settings) -> None:
    *_, first = train(collected, "--no-register", "--head", "frame")
    Path(first["model"]).unlink()  # as if it had been stopped before the export
    *epochs, result = train(collected, "--no-register", "--resume")
    assert epochs == []
    assert result["run"] == first["run"]
    assert Path(result["model"]).is_file()
    assert result["metrics"]["frame_accuracy"] == first["metrics"]["frame_accuracy"]


def test_every_head_is_compared_on_validation_and_only_the_one_asked_for_is_tested(
    collected: Settings,
) -> None:
    with open_database(collected) as database, database.begin() as connection:
        moved = text("UPDATE channels SET split = 'val' WHERE id = :channel")  # its frames go along
        tested = sorted({frame.channel_id for frame in freeze(database).of("test")})
        connection.execute(moved, [{"channel": channel} for channel in tested[:2]])
    *_, result = train(collected, "--compare-heads", "--no-register")
    assert [row["head"] for row in result["heads"]] == list(HEADS)
    for row in result["heads"]:
        low, high = row["frame_accuracy_interval"]
        assert 0 <= low <= row["frame_accuracy"] <= high <= 1
    folder = Path(result["run"])
    assert json.loads((folder / "heads.json").read_text()) == result["heads"]
    for head in HEADS:
        assert RecognitionModel.load(folder / "heads" / head / "model.onnx").metadata.head == head
        assert json.loads((folder / "heads" / head / "metrics.json").read_text())["split"] == "val"
        assert RecognitionModel.load(folder / "heads" / head / "model.onnx").metadata.metrics == {}
    assert json.loads((folder / "metrics.json").read_text())["split"] == "test"
    assert result["metrics"]["split"] == "test"


def test_a_category_that_is_left_out_is_tested_as_unknown(collected: Settings) -> None:
    *_, result = train(collected, "--leave-out", "doom", "--no-register", "--head", "frame")
    model = RecognitionModel.load(Path(result["model"]))
    assert "Doom" not in [one.name for one in model.metadata.classes]
    assert any(name.startswith("auroc") for name in result["metrics"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--head", "gru"], "frame, mean, lstm, transformer", id="head"),
        pytest.param(["--leave-out", "Tetris"], "no category tetris", id="category to leave out"),
        pytest.param(["--device", "tpu"], "say auto, cpu or cuda", id="device"),
        pytest.param(["--target-accuracy", "95"], "as 0.95", id="accuracy in percent"),
        pytest.param(["--balance", "luck"], "sampling, weights or none", id="balance"),
        pytest.param(["--compare-heads"], "has none", id="heads to compare without validation"),
        pytest.param(["--resume"], "no unfinished run", id="nothing to resume"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    collected: Settings, options: list[str], says: str
) -> None:
    done = CliRunner().invoke(app, ["train", *options], env=environment(collected))
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (collected.data_dir / "runs").exists()


def test_without_a_split_it_says_what_to_do_first(settings: Settings) -> None:
    done = CliRunner().invoke(app, ["train"], env=environment(settings))
    assert done.exit_code == 2
    assert "twitchcat dataset split" in done.stderr
