"""What is told of networks that are trained for a comparison."""

import pytest

from twitchcat.training.candidates import Told
from twitchcat.training.loop import Epoch


@pytest.mark.parametrize(
    ("accuracy", "line"),
    [
        pytest.param(0.5, "small, fold 1: backbone 2/4, loss 0.250, validation 0.500", id="validated"),
        pytest.param(None, "small, fold 1: backbone 2/4, loss 0.250", id="without a validation split"),
    ],
)
def test_each_epoch_is_a_line(accuracy: float | None, line: str) -> None:
    said: list[str] = []
    Told(name="small, fold 1", note=said.append).epoch(
        Epoch(
            stage="backbone",
            epoch=2,
            epochs=4,
            train_loss=0.25,
            train_accuracy=0.75,
            val_loss=accuracy,
            val_accuracy=accuracy,
            learning_rate=1e-3,
            frames_per_s=100.0,
            elapsed_s=1.0,
            best=True,
        )
    )
    assert said == [line]
