"""Eight bits: smaller, about as good, or refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from tests.fixtures.models import metadata_of
from twitchcat.errors import ModelError
from twitchcat.recognition.model import RecognitionModel
from twitchcat.training.export import export_onnx
from twitchcat.training.heads import FrameHead
from twitchcat.training.network import NetworkSpec, build
from twitchcat.training.quantize import quantize_int8

Clips = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Forty clips of three frames: a colour of its own each, under noise."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (40, 1, 1, 1, 3))
    noise = random.integers(-20, 21, (40, 3, 48, 64, 3))
    return list(np.clip(colours + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def undecided(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose classes are about equally likely on the clips, so that little makes the difference."""
    torch.manual_seed(7)
    spec = NetworkSpec(classes=3, head="frame", input_height=48, input_width=64, embedding=16)
    network = build(spec).eval()
    head = network.head
    assert isinstance(head, FrameHead)
    with torch.no_grad():
        logits, _, _ = network(torch.from_numpy(np.stack(clips)), network.initial_state(len(clips)))
        head.classifier.bias.sub_(logits.mean(dim=(0, 1)))
    path = tmp_path_factory.mktemp("undecided") / "model.onnx"
    export_onnx(network, spec, metadata_of("frame"), path)
    return path


@pytest.fixture(scope="module")
def labels(clips: Clips, undecided: Path) -> list[int]:
    """What the file itself says of each clip: it is right by definition."""
    model = RecognitionModel.load(undecided)
    said = [int(model.run(clip[None]).logits[0].mean(axis=0).argmax()) for clip in clips]
    assert len(set(said)) > 1
    return said


def test_eight_bits_are_smaller_and_say_how_good_they_are(
    undecided: Path,
    clips: Clips,
    labels: list[int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "int8.onnx"
    result = quantize_int8(undecided, target, clips=clips, labels=labels, max_loss=1.0)
    assert capfd.readouterr() == ("", "")
    assert result.before.sequence_accuracy == 1.0
    assert 0.3 < result.after.sequence_accuracy < 1.0
    assert result.loss >= 1.0 - result.after.sequence_accuracy
    assert target.stat().st_size < 0.5 * undecided.stat().st_size
    assert result.after.ms_per_frame > 0
    assert (result.sequences, result.frames) == (40, 120)
    assert RecognitionModel.load(target).metadata.metrics["int8"] == result.as_dict()


def test_only_the_backbone_is_in_eight_bits_and_batch_and_length_stay_open(
    undecided: Path, clips: Clips, labels: list[int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "int8.onnx"
    quantize_int8(undecided, target, clips=clips, labels=labels, max_loss=1.0)
    graph = onnx.load(str(target)).graph
    maker = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions
    assert all(maker[node.input[0]].op_type == "DequantizeLinear" for node in convolutions)
    assert maker["new_state"].op_type == "Add"
    assert "state" in maker["new_state"].input
    model = RecognitionModel.load(target)
    for batch, length in ((1, 1), (2, 5), (7, 1)):
        output = model.run(np.zeros((batch, length, 48, 64, 3), np.uint8))
        assert output.logits.shape == (batch, length, 3)
        assert output.state[0].tolist() == [[length]] * batch  # counted exactly
    assert capfd.readouterr() == ("", "")


def test_a_loss_of_more_than_a_point_is_refused_and_nothing_is_written(
    undecided: Path, clips: Clips, labels: list[int], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"lose \d.*of accuracy on 40 sequences"):
        quantize_int8(undecided, tmp_path / "int8.onnx", clips=clips, labels=labels)
    assert list(tmp_path.iterdir()) == []


def test_a_label_for_each_clip_is_asked_for(undecided: Path, clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a label for each"):
        quantize_int8(undecided, tmp_path / "int8.onnx", clips=clips, labels=[0])
