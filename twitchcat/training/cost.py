"""What a model file costs to run: milliseconds and memory, measured in a process of its own.

`python -m twitchcat.training.cost MODEL` prints them as one JSON object.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from twitchcat.errors import ModelError
from twitchcat.recognition.model import RecognitionModel
from twitchcat.recognition.providers import CPU

_WARM_UP, _RUNS = 3, 15
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """On the CPU, with one thread."""

    file_bytes: int
    memory_bytes: int  #: resident memory that loading it and running batches of 1 and 16 added
    ms_per_frame: float  #: median, one frame a run
    ms_per_frame_batch16: float  #: median, 16 frames a run


def measure(path: Path) -> Cost:
    """Measure a model file in a fresh process. Raises ModelError if it cannot be run."""
    command = [sys.executable, "-m", "twitchcat.training.cost", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        raise ModelError(f"{path} could not be measured: {error.stderr.strip().splitlines()[-1:]}") from error
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path} could not be measured within {_TIMEOUT_S:.0f} s") from error
    return Cost(**json.loads(done.stdout))


def measure_here(path: Path) -> Cost:
    """Measure a model file in this process, whose memory should hold nothing else yet. Raises ModelError."""
    process = psutil.Process()
    before = process.memory_info().rss
    model = RecognitionModel.load(path, providers=[CPU], threads=1)
    single, many = _median_ms(model, 1), _median_ms(model, 16) / 16
    return Cost(
        file_bytes=path.stat().st_size,
        memory_bytes=max(0, process.memory_info().rss - before),
        ms_per_frame=single,
        ms_per_frame_batch16=many,
    )


def _median_ms(model: RecognitionModel, batch: int) -> float:
    size = (batch, 1, model.metadata.input_height, model.metadata.input_width, 3)
    frames = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    times = []
    for _ in range(_WARM_UP + _RUNS):
        begin = time.perf_counter()
        model.run(frames)
        times.append((time.perf_counter() - begin) * 1000)
    return float(np.median(times[_WARM_UP:]))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measure_here(Path(sys.argv[1])))))
