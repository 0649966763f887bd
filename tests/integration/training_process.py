"""A training run in a process of its own, for tests that kill it: `FOLDER IMAGES [--resume]`.

Prints a line per epoch, `STAGE EPOCH`. The folder holds a run begun before.
"""

import sys
from pathlib import Path
from threading import Event

import torch

from twitchcat.training.fit import Workplace, fit
from twitchcat.training.loop import Epoch
from twitchcat.training.run import read_run


class Lines:
    """Prints epochs; says nothing else."""

    def decoding(self, done: int, total: int) -> None: ...

    def stage(self, name: str, *, epochs: int, steps: int) -> None: ...

    def step(self, *, epoch: int, **_: float) -> None: ...

    def epoch(self, row: Epoch) -> None:
        sys.stdout.write(f"{row.stage} {row.epoch}\n")
        sys.stdout.flush()


def main() -> None:
    torch.set_num_threads(1)
    folder, images = Path(sys.argv[1]), Path(sys.argv[2])
    snapshot, asked = read_run(folder)
    place = Workplace(images=images, cache=folder / "cache", folder=folder, device=torch.device("cpu"))
    resume = "--resume" in sys.argv
    fit(snapshot, asked.spec, asked.recipe, place, observer=Lines(), stop=Event(), resume=resume)


if __name__ == "__main__":
    main()
