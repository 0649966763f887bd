"""What one frame costs a model: one core, onnxruntime and torch in the same run.

    python benchmarks/inference.py [--json] [--repeats N] MODEL.onnx

Torch runs the network of the metadata's backbone and head, built anew: its weights are random, which costs
the same. Both get the same random frames; their runs alternate, so that a busy machine disturbs both alike.
The times are CPU time, all threads counted (there is one): the median of the runs, and the fastest.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from twitchcat.errors import ModelError
from twitchcat.recognition.metadata import ModelMetadata
from twitchcat.recognition.model import RecognitionModel
from twitchcat.recognition.providers import CPU
from twitchcat.training.network import Network, NetworkSpec, build

BATCHES = (1, 16)
WARM_UP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Milliseconds of one core for one frame."""

    runtime: str  #: "onnxruntime" or "torch"
    batch: int  #: frames in one run
    median_ms: float
    fastest_ms: float


def network_of(metadata: ModelMetadata, state: int, embedding: int) -> Network:
    """Build the network that a file came from, with random weights; sizes not in the metadata are given."""
    spec = NetworkSpec(
        classes=len(metadata.classes),
        backbone=metadata.backbone,
        head=metadata.head,
        input_height=metadata.input_height,
        input_width=metadata.input_width,
        fit=metadata.fit,
        embedding=embedding,
        # Its state tells the width of an LSTM; another head's is the default, and costs next to nothing.
        **({"hidden": (state - 1) // 2} if metadata.head == "lstm" else {}),
    )
    return build(spec, weights=False).eval()


def compare(path: Path, repeats: int) -> list[Timing]:
    """Time a file beside its network."""
    model = RecognitionModel.load(path, providers=[CPU], threads=1)
    torch.set_num_threads(1)
    about = model.metadata
    first = model.run(np.zeros((1, 1, about.input_height, about.input_width, 3), np.uint8))
    network = network_of(about, first.state[0].shape[1], first.embeddings.shape[-1])
    timings = []
    for batch in BATCHES:
        size = (batch, 1, about.input_height, about.input_width, 3)
        frames = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        tensor, state = torch.from_numpy(frames), network.initial_state(batch)

        def by_onnxruntime(frames: np.ndarray = frames) -> object:
            return model.run(frames)

        def by_torch(tensor: torch.Tensor = tensor, state: torch.Tensor = state) -> object:
            with torch.inference_mode():
                return network(tensor, state)

        ways: dict[str, Callable[[], object]] = {"onnxruntime": by_onnxruntime, "torch": by_torch}
        taken = alternate(list(ways.values()), repeats)
        timings += [
            Timing(
                runtime=name,
                batch=batch,
                median_ms=statistics.median(times) / batch,
                fastest_ms=min(times) / batch,
            )
            for name, times in zip(ways, taken, strict=True)
        ]
    return timings


def alternate(works: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Run each in turn, again and again; milliseconds of CPU time of each run, without the first few."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(WARM_UP + repeats):
        for work, times in zip(works, taken, strict=True):
            began = time.process_time()
            work()
            times.append((time.process_time() - began) * 1000)
    return [times[WARM_UP:] for times in taken]


def main() -> int:
    """Print the timings; 1 if the model cannot be used."""
    parser = argparse.ArgumentParser(description="What one frame costs a model, beside torch.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        timings = compare(options.model, options.repeats)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"model": str(options.model), "timings": [asdict(one) for one in timings]}))
        return 0
    table = Table("runtime", "batch", "median ms per frame", "fastest", box=None, pad_edge=False)
    for one in timings:
        table.add_row(one.runtime, str(one.batch), f"{one.median_ms:.2f}", f"{one.fastest_ms:.2f}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
