"""A trained network as one model file, proven equal to the network. docs/model-file.md has the format."""

import copy
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from twitchcat.errors import ModelError
from twitchcat.recognition.metadata import KEY, ModelMetadata
from twitchcat.recognition.model import EMBEDDINGS, FRAMES, LOGITS, NEW, RecognitionModel
from twitchcat.recognition.providers import CPU, working_providers
from twitchcat.training.network import Network, NetworkSpec
from twitchcat.training.silence import silence

STATE = "state"
TOLERANCE = 1e-4  #: largest difference between the file's numbers and the network's
#: Sequences and frames of each that parity is proven for, beside random ones.
CORNERS = ((1, 1), (1, 13), (5, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far the file's numbers are from the network's."""

    largest: float  #: difference of any logit, embedding or state
    shapes: tuple[tuple[int, int], ...]  #: (B, T) that were compared
    providers: tuple[str, ...]  #: execution providers of onnxruntime that were compared


def export_onnx(network: Network, spec: NetworkSpec, metadata: ModelMetadata, path: Path) -> Parity:
    """Write the network as a model file: whole and checked, or not at all.

    The network is left as it is. Raises ModelError if the file does not give its numbers, ValueError
    if the metadata describe another network, OSError.
    """
    described = (len(metadata.classes), metadata.input_height, metadata.input_width, metadata.fit)
    built = (spec.classes, spec.input_height, spec.input_width, spec.fit)
    if described != built:
        raise ValueError(f"the metadata describe {described}, the network is {built}")
    still = copy.deepcopy(network).cpu().eval()
    proto = _graph(still, spec)
    _clean(proto)
    onnx.helper.set_model_props(proto, {KEY: metadata.to_json()})
    onnx.checker.check_model(proto, full_check=True)
    with new_file(path) as pending:
        onnx.save(proto, str(pending))
        return check_parity(still, pending)


def write_metadata(path: Path, metadata: ModelMetadata) -> None:
    """Give a model file other metadata, as those of its evaluation; the rest stays. Raises OSError."""
    proto = onnx.load(str(path))
    onnx.helper.set_model_props(proto, {KEY: metadata.to_json()})
    with new_file(path) as pending:
        onnx.save(proto, str(pending))


def check_parity(
    network: Network, path: Path, *, random_shapes: int = 3, seed: int = 0, tolerance: float = TOLERANCE
) -> Parity:
    """Compare a model file with its network over random frames, batches and lengths, on all that works here.

    Every sequence is cut at a random place, so that the state is compared as well. Raises ModelError if any
    number differs by more than `tolerance`.
    """
    random = np.random.default_rng(seed)
    drawn = [(int(random.integers(1, 5)), int(random.integers(2, 9))) for _ in range(random_shapes)]
    shapes = (*CORNERS, *drawn)
    still = copy.deepcopy(network).cpu().eval()
    providers = working_providers()
    largest = 0.0
    for provider in providers:
        model = RecognitionModel.load(path, providers=sorted({provider, CPU}, key=providers.index))
        about = model.metadata
        for shape in shapes:
            size = (*shape, about.input_height, about.input_width, 3)
            frames = random.integers(0, 256, size, dtype=np.uint8)
            cut = int(random.integers(1, shape[1])) if shape[1] > 1 else 1
            difference = _difference(still, model, frames, cut)
            if not difference <= tolerance:  # NaN as well
                raise ModelError(
                    f"the exported file differs from the network by {difference:.2g} on {provider}, with"
                    f" {shape[0]} sequences of {shape[1]} frames; {tolerance:.0e} is allowed"
                )
            largest = max(largest, difference)
    return Parity(largest=largest, shapes=shapes, providers=providers)


def _difference(network: Network, model: RecognitionModel, frames: NDArray[np.uint8], cut: int) -> float:
    state, theirs, ours = network.initial_state(frames.shape[0]), None, []
    for part in (frames[:, :cut], frames[:, cut:]):
        if not part.shape[1]:
            continue
        with torch.no_grad():
            logits, embeddings, state = network(torch.from_numpy(np.ascontiguousarray(part)), state)
        output = model.run(part, theirs)
        theirs = output.state
        pairs = zip((logits, embeddings, state), (output.logits, output.embeddings, *theirs), strict=True)
        ours += [float(np.abs(one.numpy() - other).max()) for one, other in pairs]
    return float(np.max(ours))


def _graph(network: Network, spec: NetworkSpec) -> onnx.ModelProto:
    """Trace the network with two sequences of three frames; both numbers stay open."""
    # One of each would be taken for a constant.
    frames = torch.zeros(2, 3, spec.input_height, spec.input_width, 3, dtype=torch.uint8)
    state = network.initial_state(2)
    if bool(state.any()):
        raise ValueError("a state begins with zeros: those who run the file know no other beginning")
    batch, length = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    with silence("torch.onnx", "torch.export", "torch.fx"):
        program = torch.onnx.export(
            network,
            (frames, state),
            dynamo=True,
            input_names=[FRAMES, STATE],
            output_names=[LOGITS, EMBEDDINGS, NEW + STATE],
            dynamic_shapes=({0: batch, 1: length}, {0: batch}),
            verbose=False,
        )
    if program is None:
        raise ModelError("torch exported nothing")
    return program.model_proto


def _clean(proto: onnx.ModelProto) -> None:
    """Name the open dimensions, and take out what the exporter wrote down of its example and this machine."""
    graph = proto.graph
    # The example's length stands in some of them. onnxruntime infers its own, and warns where these differ.
    del graph.value_info[:]
    for node in itertools.chain(graph.node, *(function.node for function in proto.functions)):
        del node.metadata_props[:]  # stack traces, with the paths of this machine
        node.ClearField("doc_string")
    for value in itertools.chain(graph.input, graph.output):
        names = ("batch", "frames") if value.name in {FRAMES, LOGITS, EMBEDDINGS} else ("batch",)
        for dim, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dim.dim_param = name
    del graph.metadata_props[:]
    del proto.metadata_props[:]
    proto.ClearField("doc_string")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the name of a file beside `path` that takes its place if all goes well, and is gone otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    pending = Path(name)
    try:
        yield pending
        pending.chmod(0o644)
        pending.replace(path)
    finally:
        pending.unlink(missing_ok=True)
