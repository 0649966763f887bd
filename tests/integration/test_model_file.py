"""The model file: what the exporter writes, what the runtime reads, and what it refuses."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.fixtures.models import MakeModel, metadata_of
from twitchcat.errors import ModelError
from twitchcat.recognition.metadata import KEY
from twitchcat.recognition.model import RecognitionModel
from twitchcat.recognition.providers import CPU, identity_model
from twitchcat.training.export import check_parity, export_onnx, write_metadata
from twitchcat.training.heads import HEADS
from twitchcat.training.network import NetworkSpec, build

SHAPES = ((1, 1), (1, 13), (5, 1), (3, 4))  # (B, T)


def noise(batch: int, length: int) -> np.ndarray:
    return np.random.default_rng(batch * 100 + length).integers(0, 256, (batch, length, 48, 64, 3), np.uint8)


@pytest.mark.parametrize("head", HEADS)
def test_any_number_of_sequences_of_any_length_prints_no_word(
    head: str, make_model: MakeModel, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make_model(head)
    capfd.readouterr()
    run_loudly(path)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_pins_the_length_of_the_example_would_be_heard(
    model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    proto = onnx.load(str(model_file))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    pinned = tmp_path / "pinned.onnx"
    onnx.save(proto, str(pinned))
    run_loudly(pinned)
    assert "does not match actual shape" in capfd.readouterr().err


def run_loudly(path: Path) -> None:
    """Run a file in several shapes with onnxruntime's warnings on, as they are by default."""
    options, run = onnxruntime.SessionOptions(), onnxruntime.RunOptions()
    options.log_severity_level = run.log_severity_level = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=[CPU])
    width = session.get_inputs()[1].shape[1]
    for batch, length in SHAPES:
        feed = {"frames": noise(batch, length), "state": np.zeros((batch, width), np.float32)}
        logits, embeddings, state = session.run(None, feed, run)
        assert logits.shape == (batch, length, 3)
        assert embeddings.shape == (batch, length, 16)
        assert state.shape == (batch, width)


def test_the_file_is_what_the_documentation_says(model_file: Path) -> None:
    proto = onnx.load(str(model_file))
    onnx.checker.check_model(proto, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {
        "frames": ["batch", "frames", 48, 64, 3],
        "state": ["batch", 17],
        "logits": ["batch", "frames", 3],
        "embeddings": ["batch", "frames", 16],
        "new_state": ["batch", 17],
    }
    assert [entry.key for entry in proto.metadata_props] == [KEY]
    assert RecognitionModel.load(model_file).metadata == metadata_of()


def test_the_file_tells_nothing_of_the_machine_that_made_it(model_file: Path) -> None:
    content = model_file.read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b"site-packages" not in content
    assert b".py" not in content


def test_a_network_is_exported_whole_quietly_and_left_as_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = NetworkSpec(classes=3, head="mean", input_height=48, input_width=64, embedding=16)
    network = build(spec).train()
    before = copy.deepcopy(network.state_dict())
    parity = export_onnx(network, spec, metadata_of("mean"), tmp_path / "sub" / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert parity.largest <= 1e-4
    assert {(1, 1), (1, 13), (5, 1)} < set(parity.shapes)
    assert CPU in parity.providers
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["model.onnx"]


def test_metadata_of_another_network_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    spec = NetworkSpec(classes=4, head="frame", input_height=48, input_width=64, embedding=16)
    with pytest.raises(ValueError, match="describe"):
        export_onnx(build(spec), spec, metadata_of("frame"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_weights_fails_parity(model_file: Path) -> None:
    spec = NetworkSpec(classes=3, head="lstm", input_height=48, input_width=64, embedding=16, hidden=8)
    torch.manual_seed(8)
    with pytest.raises(ModelError, match="differs from the network"):
        check_parity(build(spec), model_file)


@pytest.mark.parametrize("head", HEADS)
def test_frames_one_after_another_give_what_they_give_at_once(head: str, make_model: MakeModel) -> None:
    model = RecognitionModel.load(make_model(head))
    frames = noise(2, 6)
    at_once = model.run(frames)
    state, logits = None, []
    for place in range(6):
        output = model.run(frames[:, place : place + 1], state)
        state = output.state
        logits.append(output.logits)
    np.testing.assert_allclose(np.concatenate(logits, axis=1), at_once.logits, atol=1e-5)
    np.testing.assert_allclose(output.state[0], at_once.state[0], atol=1e-5)


def test_a_picture_of_any_size_is_prepared_for_the_input(model_file: Path) -> None:
    model = RecognitionModel.load(model_file, threads=1)
    frame = model.prepare(np.full((1080, 1920, 3), 200, np.uint8))
    output = model.run(frame[None, None])
    assert output.logits.shape == (1, 1, 3)
    assert output.logits.dtype == output.embeddings.dtype == np.float32


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(np.zeros((1, 1, 64, 48, 3), np.uint8), id="height and width confused"),
        pytest.param(np.zeros((1, 1, 48, 64, 3), np.float32), id="floats"),
        pytest.param(np.zeros((1, 0, 48, 64, 3), np.uint8), id="no frame"),
        pytest.param(np.zeros((1, 48, 64, 3), np.uint8), id="no time"),
    ],
)
def test_frames_of_another_shape_are_refused(frames: np.ndarray, model_file: Path) -> None:
    with pytest.raises(ValueError, match="frames are"):
        RecognitionModel.load(model_file).run(frames)


def test_a_state_of_other_sequences_is_refused(model_file: Path) -> None:
    model = RecognitionModel.load(model_file)
    with pytest.raises(ValueError, match="state is"):
        model.run(noise(2, 1), model.initial_state(3))


def truncated(model: Path, target: Path) -> None:
    target.write_bytes(model.read_bytes()[: model.stat().st_size // 2])


def foreign_version(model: Path, target: Path) -> None:
    with_metadata(model, target, json.dumps(json.loads(metadata_of().to_json()) | {"format_version": 2}))


def other_size(model: Path, target: Path) -> None:
    with_metadata(model, target, metadata_of(input_height=64).to_json())


def fewer_classes(model: Path, target: Path) -> None:
    with_metadata(model, target, metadata_of(classes=metadata_of().classes[:2]).to_json())


def pinned_batch(model: Path, target: Path) -> None:
    proto = onnx.load(str(model))
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(proto, str(target))


def no_embeddings(model: Path, target: Path) -> None:
    proto = onnx.load(str(model))
    del proto.graph.output[1]
    onnx.save(proto, str(target))


def with_metadata(model: Path, target: Path, text: str) -> None:
    proto = onnx.load(str(model))
    onnx.helper.set_model_props(proto, {KEY: text})
    onnx.save(proto, str(target))


REFUSED = [
    pytest.param(lambda _model, _target: None, "there is no model at", id="missing"),
    pytest.param(lambda _model, target: target.mkdir(), "cannot be read", id="a folder"),
    pytest.param(lambda _model, target: target.touch(), "it is empty", id="empty"),
    pytest.param(lambda _model, target: target.write_text("GIF89a" * 99), "no ONNX file", id="no ONNX file"),
    pytest.param(truncated, "or not all of one", id="truncated"),
    pytest.param(
        lambda _model, target: target.write_bytes(identity_model()), "no metadata", id="ONNX without metadata"
    ),
    pytest.param(
        lambda model, target: with_metadata(model, target, "{"), "metadata is no JSON", id="broken metadata"
    ),
    pytest.param(foreign_version, "format version 2", id="another version"),
    pytest.param(other_size, "its metadata says [64, 64, 3]", id="metadata of another size"),
    pytest.param(fewer_classes, "3 classes apart and names 2", id="metadata of fewer classes"),
    pytest.param(pinned_batch, "not any number", id="one batch size only"),
    pytest.param(no_embeddings, "lacks embeddings", id="an output is missing"),
]


@pytest.mark.parametrize(("spoil", "says"), REFUSED)
def test_what_is_no_model_file_is_refused_with_one_sentence_and_nothing_else(
    spoil: Callable[[Path, Path], object],
    says: str,
    model_file: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "spoiled.onnx"
    spoil(model_file, target)
    with pytest.raises(ModelError) as caught:
        RecognitionModel.load(target)
    assert says in str(caught.value)
    assert str(target) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_every_cut_of_a_file_is_refused_or_whole(model_file: Path, tmp_path: Path) -> None:
    content = model_file.read_bytes()
    target = tmp_path / "cut.onnx"
    for part in np.linspace(0, len(content) - 1, 60).astype(int):
        target.write_bytes(content[:part])
        with pytest.raises(ModelError):
            RecognitionModel.load(target)


def test_new_metadata_change_nothing_else(model_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(model_file.read_bytes())
    write_metadata(target, metadata_of(metrics={"window_accuracy": 0.5}))
    old, new = RecognitionModel.load(model_file), RecognitionModel.load(target)
    assert new.metadata.metrics == {"window_accuracy": 0.5}
    np.testing.assert_array_equal(old.run(noise(1, 2)).logits, new.run(noise(1, 2)).logits)


def test_recognition_takes_neither_torch_nor_a_database_along() -> None:
    code = (
        "import sys, twitchcat.recognition.model, twitchcat.recognition.current;"
        "sys.exit(bool({'torch', 'onnx', 'sqlalchemy', 'psycopg2', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
