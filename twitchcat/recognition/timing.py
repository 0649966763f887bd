"""How long a model takes: the time of one core for each frame."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from twitchcat.recognition.model import RecognitionModel
from twitchcat.recognition.providers import CPU


def ms_per_frame(path: Path, *, batch: int = 1, length: int = 1, repeats: int = 20) -> float:
    """Milliseconds of one CPU core for each frame of a model file; see `fastest_ms`. Raises ModelError."""
    model = RecognitionModel.load(path, providers=[CPU], threads=1)
    size = (batch, length, model.metadata.input_height, model.metadata.input_width, 3)
    frames = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    return fastest_ms(lambda: model.run(frames), repeats=repeats) / (batch * length)


def fastest_ms(work: Callable[[], object], *, repeats: int) -> float:
    """Milliseconds of CPU time of the fastest of some runs, all threads counted, two to warm up before.

    The fastest: what disturbs a run, other processes or the clock of the processor, only ever adds to it.
    """
    times = []
    for _ in range(repeats + 2):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times[2:]) * 1000
