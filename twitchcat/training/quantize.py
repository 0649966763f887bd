"""A model file whose backbone computes in eight bits: smaller, faster, and refused if it is much worse."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from twitchcat.errors import ModelError
from twitchcat.recognition.metadata import KEY
from twitchcat.recognition.model import EMBEDDINGS, FRAMES, RecognitionModel
from twitchcat.recognition.providers import CPU
from twitchcat.training.cost import measure
from twitchcat.training.export import new_file, write_metadata
from twitchcat.training.silence import silence

MAX_LOSS = 0.01  #: of accuracy, of frames or of sequences
_CALIBRATION = 64  # sequences; the ranges of activations hardly widen after a few hundred frames

Clip = NDArray[np.uint8]  #: (T, H, W, 3) uint8 RGB of the input's size, one sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One file on the validation sequences."""

    bytes: int
    ms_per_frame: float  #: of one core, one frame at a time
    frame_accuracy: float
    sequence_accuracy: float  #: by the mean of a sequence's logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """What eight bits change."""

    before: Measured
    after: Measured
    frames: int  #: that accuracy was measured on
    sequences: int

    @property
    def loss(self) -> float:
        """The larger of both losses of accuracy; below zero: it gained."""
        return max(
            self.before.frame_accuracy - self.after.frame_accuracy,
            self.before.sequence_accuracy - self.after.sequence_accuracy,
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return asdict(self) | {"loss": self.loss}


def quantize_int8(
    source: Path, target: Path, *, clips: Sequence[Clip], labels: Sequence[int], max_loss: float = MAX_LOSS
) -> Quantization:
    """Write `source` with the backbone in eight bits to `target`, and say what that changes.

    `clips` are sequences of validation, `labels` the index of each one's class: they calibrate the ranges of
    activations and measure the accuracy. The head and its state stay as they are: they cost next to nothing,
    and a state gathers errors. The new file's metrics say how it compares.
    Raises ModelError, and writes nothing, if more than `max_loss` of accuracy is lost.
    """
    if not clips or len(clips) != len(labels):
        raise ValueError("there must be clips, and a label for each")
    before = _measure(source, clips, labels)
    with new_file(target) as pending:
        _quantize(source, pending, clips)
        after = _measure(pending, clips, labels)
        frames = sum(len(clip) for clip in clips)
        result = Quantization(before=before, after=after, frames=frames, sequences=len(clips))
        if result.loss > max_loss:
            raise ModelError(
                f"eight bits lose {result.loss:.1%} of accuracy on {len(clips)} sequences, and"
                f" {max_loss:.1%} is allowed: nothing was written"
            )
        about = RecognitionModel.load(pending, providers=[CPU]).metadata
        metrics = {**about.metrics, "int8": result.as_dict()}
        write_metadata(pending, about.model_copy(update={"metrics": metrics}))
    return result


def _quantize(source: Path, target: Path, clips: Sequence[Clip]) -> None:
    with tempfile.TemporaryDirectory() as folder, silence(""):
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(str(prepared)).graph
        quantize_static(
            str(prepared),
            str(target),
            _Calibration(source, clips),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_quantize=_backbone(graph),
            calibration_providers=[CPU],
        )
    proto = onnx.load(str(target))
    del proto.graph.value_info[:]
    metadata = {one.key: one.value for one in proto.metadata_props if one.key == KEY}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(target))


def _backbone(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes between frames and embeddings."""
    makers = {output: node for node in graph.node for output in node.output}
    found: dict[str, onnx.NodeProto] = {}
    open_values = [EMBEDDINGS]
    while open_values:
        node = makers.get(open_values.pop())
        if node is not None and node.name not in found:
            found[node.name] = node
            open_values += node.input
    return sorted(found)


class _Calibration:
    """Some of the clips, spread over all of them, as onnxruntime asks for them."""

    def __init__(self, source: Path, clips: Sequence[Clip]) -> None:
        model = RecognitionModel.load(source, providers=[CPU])
        state = dict(zip(model.state_names, model.initial_state(1), strict=True))
        step = max(1, len(clips) // _CALIBRATION)
        self._feeds: Iterator[dict[str, NDArray[Any]]] = iter(
            [{FRAMES: clip[None]} | state for clip in clips[::step]]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next input, or None after the last."""
        return next(self._feeds, None)


def _measure(path: Path, clips: Sequence[Clip], labels: Sequence[int]) -> Measured:
    model = RecognitionModel.load(path, providers=[CPU])
    frames_right = frames = sequences_right = 0
    for clip, label in zip(clips, labels, strict=True):
        logits = model.run(clip[None]).logits[0]
        frames_right += int((logits.argmax(axis=-1) == label).sum())
        frames += len(clip)
        sequences_right += int(logits.mean(axis=0).argmax() == label)
    cost = measure(path)
    return Measured(
        bytes=cost.file_bytes,
        ms_per_frame=cost.ms_per_frame,
        frame_accuracy=frames_right / frames,
        sequence_accuracy=sequences_right / len(clips),
    )
