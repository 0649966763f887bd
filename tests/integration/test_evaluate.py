"""`twitchcat evaluate` on real model files, and a cross-validation that really trains."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.fixtures.models import CLASSES, MakeModel, metadata_of
from tests.unit.evaluated import Capture, store
from twitchcat.cli.app import app
from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame
from twitchcat.errors import ConfigError, ModelError
from twitchcat.frames.contact_sheet import encode_png
from twitchcat.recognition.model import RecognitionModel
from twitchcat.training.candidates import FitTrainer
from twitchcat.training.cost import measure, measure_here
from twitchcat.training.crossval import Candidate, cross_validate
from twitchcat.training.evaluate import evaluate_test, find_subject


def known(frame: SnapshotFrame) -> dict[str, object]:
    """The frame's fields, its category by the id that the tiny model files have."""
    fields = {name: getattr(frame, name) for name in SnapshotFrame.__dataclass_fields__}
    ids = {name: str(100 + place) for place, name in enumerate(CLASSES)}
    return fields | {"category_id": ids.get(frame.category, "999")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with pictures, and a run folder `run` without a model in it."""
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    captures = [
        Capture(f"{name}-{number}", name, np.linspace(look, look + 1, 14).tolist())
        for look, name in enumerate((*CLASSES, "Hearts"))
        for number in range(2)
    ]
    captures += [Capture("learned", "Doom", [1.0] * 3, "train"), Capture("checked", "Chess", [1.0], "val")]
    snapshot = store(captures, images)
    run = tmp_path / "data" / "run"
    run.mkdir()
    frames = tuple(SnapshotFrame(**known(frame)) for frame in snapshot.frames)  # type: ignore[arg-type]  # as they were
    Snapshot(frames).save(run / "snapshot.jsonl.gz")
    return tmp_path / "data"


def evaluate(data: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(data), "evaluate", *map(str, arguments)])


@pytest.mark.parametrize("head", ["frame", "lstm"])
def test_a_run_folder_is_measured_and_gets_its_report(data: Path, make_model: MakeModel, head: str) -> None:
    shutil.copy(make_model(head), data / "run" / "model.onnx")
    done = evaluate(data, data / "run", "--json")
    assert done.exit_code == 0, done.output
    entry = json.loads(done.stdout)
    assert entry["split"] == "test"
    assert entry["frame"]["scores"]["samples"] == 3 * 2 * 14
    assert entry["frame"]["scores"]["channels"] == 6
    assert [one["length"] for one in entry["windows"]] == [5, 13, 30]
    assert entry["windows"][1]["mean"]["scores"]["samples"] == 3 * 2 * 2
    assert {(one["unit"], one["score"]) for one in entry["unknown"]} == {
        (unit, score) for unit in ("frame", "window") for score in ("max_logit", "energy")
    }
    assert entry["cost"]["ms_per_frame"] > 0
    assert Path(entry["report"]) == data / "run" / "report.html"
    assert (data / "run" / "report.html").is_file()
    assert json.loads((data / "run" / "metrics.json").read_text())["frame"] == entry["frame"]


def test_the_numbers_are_those_of_the_models_own_logits(data: Path, model_file: Path) -> None:
    shutil.copy(model_file, data / "run" / "model.onnx")
    subject = find_subject(data / "run")
    evaluation = evaluate_test(subject, data / "images", cost=False)
    model = RecognitionModel.load(model_file)
    right = total = 0
    for capture in {frame.capture_id for frame in subject.snapshot.of("test")}:
        frames = [one for one in subject.snapshot.of("test") if one.capture_id == capture]
        if frames[0].category == "Hearts":
            continue
        red = [np.full((48, 64, 3), 0, np.uint8) for _ in frames]
        for place, frame in enumerate(frames):
            from twitchcat.frames.picture import decode_image

            red[place] = model.prepare(decode_image((data / "images" / frame.path).read_bytes()))
        for begin in (0, 1):  # fourteen frames: two windows of thirteen
            logits = model.run(np.stack(red[begin : begin + 13])[None]).logits[0]
            right += CLASSES[int(logits.mean(axis=0).argmax())] == frames[0].category
            total += 1
    thirteen = next(one.mean for one in evaluation.windows if one.length == 13)
    assert thirteen is not None
    assert thirteen.scores.samples == total == 12
    assert thirteen.scores.accuracy.value == pytest.approx(right / total)


def test_for_people_the_same_as_a_table(data: Path, model_file: Path) -> None:
    shutil.copy(model_file, data / "run" / "model.onnx")
    done = evaluate(data, data / "run", "--output", data / "elsewhere")
    assert done.exit_code == 0, done.output
    assert "small + lstm on the test split: 84 frames of 3 categories from 6 channels." in done.stdout
    assert "13 frames, mean" in done.stdout
    assert "No capture has 30 frames of one category." in done.stdout
    assert "Unknown (categories left out), by window: AUROC" in done.stdout
    assert "MB of memory" in done.stdout
    assert (data / "elsewhere" / "report.html").is_file()
    assert not (data / "run" / "report.html").exists()


def test_folders_of_foreign_pictures(data: Path, model_file: Path) -> None:
    shutil.copy(model_file, data / "run" / "model.onnx")
    for name in ("one", "two"):
        folder = data / "desktop" / name
        folder.mkdir(parents=True)
        (folder / "picture.PNG").write_bytes(encode_png(np.full((90, 160, 3), 200, np.uint8)))
        (folder / "notes.txt").write_text("no picture")
    done = evaluate(data, data / "run", "--foreign", data / "desktop", "--json")
    found = [one for one in json.loads(done.stdout)["unknown"] if one["unknown"] == "desktop"]
    assert [(one["unit"], one["unknown_samples"]) for one in found] == [("frame", 2)] * 2
    assert found[0]["auroc"]["low"] is not None  # each folder is a channel


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["nowhere"], 6, "no model at nowhere", id="no model"),
        pytest.param(["{run}", "--snapshot", "{run}/none"], 2, "no snapshot at", id="no snapshot"),
        pytest.param(["{run}", "--foreign", "{run}"], 2, "has no pictures", id="a folder without pictures"),
        pytest.param(["{run}", "--foreign", "{run}/none"], 2, "no folder", id="no folder"),
        pytest.param(["{run}", "--epochs", "3"], 2, "--epochs need --cross-validate", id="epochs of nothing"),
        pytest.param(["--cross-validate", "2", "--foreign", "."], 2, "for one model", id="foreign folds"),
    ],
)
def test_what_cannot_be_done_is_said(
    data: Path, model_file: Path, arguments: list[str], code: int, message: str
) -> None:
    shutil.copy(model_file, data / "run" / "model.onnx")
    done = evaluate(data, *(one.format(run=data / "run") for one in arguments))
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert done.stdout == ""


def test_a_picture_that_is_gone_is_a_fault_of_the_store(data: Path, model_file: Path) -> None:
    shutil.copy(model_file, data / "run" / "model.onnx")
    shutil.rmtree(data / "images")
    assert evaluate(data, data / "run").exit_code == 7


def test_a_model_is_not_measured_on_channels_that_it_may_have_learned_from(
    data: Path, tmp_path: Path
) -> None:
    """The file says which snapshot it learned from; another one must share none of its channels."""
    import torch

    from twitchcat.training.export import export_onnx
    from twitchcat.training.network import NetworkSpec, build

    own = data / "run" / "snapshot.jsonl.gz"
    learned = Snapshot.load(own)
    torch.manual_seed(1)
    spec = NetworkSpec(
        classes=3, backbone="small", head="frame", input_height=48, input_width=64, embedding=8
    )
    model = data / "run" / "model.onnx"
    export_onnx(build(spec), spec, metadata_of("frame", fingerprint=learned.fingerprint), model)
    assert find_subject(model).snapshot.fingerprint == learned.fingerprint

    def other(channel: str) -> Path:
        moved = [
            SnapshotFrame(**known(frame) | {"split": "test"})  # type: ignore[arg-type]  # as they were
            for frame in learned.frames
            if frame.channel == channel
        ]
        path = tmp_path / f"{channel}.gz"
        Snapshot(tuple(moved)).save(path)
        return path

    assert find_subject(model, snapshot=other("Chess-0")).snapshot.of("test")
    with pytest.raises(ConfigError, match="learned from channels of its test split: learned"):
        find_subject(model, snapshot=other("learned"))
    own.rename(tmp_path / "gone")
    with pytest.raises(ConfigError, match="is not the snapshot"):
        find_subject(model, snapshot=other("Chess-0"))


def test_the_cost_of_a_file_is_measured_in_a_process_of_its_own(model_file: Path, tmp_path: Path) -> None:
    cost = measure(model_file)
    assert cost.file_bytes == model_file.stat().st_size
    assert 0 < cost.memory_bytes < 1e9
    assert 0 < cost.ms_per_frame < 1000
    assert measure_here(model_file).file_bytes == cost.file_bytes
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(ModelError, match="could not be measured"):
        measure(tmp_path / "bad.onnx")


def test_a_cross_validation_trains_without_a_look_at_the_test_channels(tmp_path: Path) -> None:
    import torch

    images = tmp_path / "images"
    images.mkdir()
    captures = [
        Capture(f"{name}-{number}", name, np.linspace(4 * look, 4 * look + 1, 13).tolist())
        for look, name in enumerate(("Chess", "Doom"))
        for number in range(4)
    ]
    trainer = FitTrainer(
        images=images,
        folder=tmp_path / "folds",
        device=torch.device("cpu"),
        options={"epochs": 1, "head_epochs": 1, "frames_per_epoch": 16, "batch": 8, "views": 1, "seed": 1},
        network={"input_height": 32, "input_width": 48, "embedding": 8, "hidden": 4},
    )
    snapshot = store(captures, images)
    found = cross_validate(
        snapshot, images, [Candidate("small", "frame"), Candidate("small", "lstm")], trainer, folds=2
    )
    assert [str(one.candidate) for one in found.rows] == ["small + frame", "small + lstm"]
    assert all(one.frame.scores.samples == 8 * 13 for one in found.rows)
    assert found.rows[1].gain is not None

    from twitchcat.training.crossval import fold_snapshots

    fold = fold_snapshots(snapshot, 2)[0]
    frames = images / fold.of("val")[0].path
    logits = _logits(trainer, fold, "before", frames)
    for frame in fold.of("test"):
        (images / frame.path).unlink()
    shutil.rmtree(tmp_path / "folds")
    assert np.array_equal(_logits(trainer, fold, "after", frames), logits)


def _logits(
    trainer: FitTrainer, fold: Snapshot, name: str, picture: Path
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    from twitchcat.frames.picture import decode_image

    model = trainer(fold, "small", ["frame"], name)["frame"]
    return model.run(model.prepare(decode_image(picture.read_bytes()))[None, None]).logits
