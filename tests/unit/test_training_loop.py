"""The loop of training: when it ends, what it keeps, and that going on is the same as not having stopped."""

import copy
import time
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.test_training_sequences import tracks
from twitchcat.training.heads import build_head
from twitchcat.training.loop import Epoch, Limits, Stopped, train_stage
from twitchcat.training.recipe import Balance, Recipe
from twitchcat.training.sequences import Tracks
from twitchcat.training.stages import HeadStage

CPU = torch.device("cpu")
D = 8
RECIPE = Recipe(head_epochs=6, head_batch=8, sequence=4, frames_per_epoch=160, head_learning_rate=3e-3)


class Watcher:
    """Remembers epochs, and asks for a stop after some."""

    def __init__(self, stop: Event, *, stop_in: int | None = None) -> None:
        self.rows: list[Epoch] = []
        self._stop, self._stop_in = stop, stop_in

    def decoding(self, done: int, total: int) -> None: ...

    def stage(self, name: str, *, epochs: int, steps: int) -> None: ...

    def step(self, *, epoch: int, **_: float) -> None:
        if epoch == self._stop_in:
            self._stop.set()

    def epoch(self, row: Epoch) -> None:
        self.rows.append(row)


def embeddings(found: Tracks, *, seed: int, noise: float = 1.0) -> Tensor:
    """Points around one corner per class: (N, D) float32."""
    corners = np.eye(len(found.by_class), D) * 2
    spread = np.random.default_rng(seed).standard_normal((len(found.labels), D)) * noise
    return torch.from_numpy((corners[found.labels] + spread).astype(np.float32))


def stage(
    recipe: Recipe, *, head: str = "lstm", noise: float = 1.0, frames: tuple[int, ...] = (40, 40, 40)
) -> HeadStage:
    torch.manual_seed(recipe.seed)
    train = tracks(*((name, f"t{name}", count) for name, count in zip("abc", frames, strict=True)))
    val = tracks(*((name, f"v{name}", 20) for name in "abc"))
    return HeadStage(
        build_head(head, embedding=D, classes=3, hidden=8, dropout=0.2),
        recipe=recipe,
        train=(embeddings(train, seed=1, noise=noise)[None], train),
        val=(embeddings(val, seed=2, noise=noise), val),
        device=CPU,
    )


def run(
    recipe: Recipe, *, resume: dict[str, Any] | None = None, stop_in: int | None = None, **more: Any
) -> tuple[dict[str, Tensor], list[Epoch], list[dict[str, Any]]]:
    stop = Event()
    saved: list[dict[str, Any]] = []
    watcher = Watcher(stop, stop_in=stop_in)
    limits = Limits(
        device=CPU,
        seed=recipe.seed,
        stop=stop,
        clock=more.pop("clock", time.monotonic),
        ends_s=more.pop("ends_s", None),
    )
    try:
        best, rows = train_stage(
            stage(recipe, **more),
            recipe,
            limits,
            observer=watcher,
            resume=resume,
            save=lambda state: saved.append(copy.deepcopy(state)),
        )
    except Stopped:
        return {}, watcher.rows, saved
    return best, rows, saved


def test_a_stopped_run_that_goes_on_ends_with_the_same_weights_bit_by_bit() -> None:
    whole, rows, _ = run(RECIPE)
    nothing, before, saved = run(RECIPE, stop_in=4)
    assert nothing == {}
    assert len(before) == 3
    rest, all_rows, _ = run(RECIPE, resume=saved[-1])
    assert whole.keys() == rest.keys()
    assert all(torch.equal(whole[name], rest[name]) for name in whole)
    assert [row.val_loss for row in rows] == [row.val_loss for row in all_rows]


def test_another_seed_gives_other_weights() -> None:
    one, _, _ = run(RECIPE)
    other, _, _ = run(replace(RECIPE, seed=1))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_it_learns() -> None:
    _, rows, _ = run(replace(RECIPE, head_epochs=20), noise=0.5)
    assert rows[-1].train_loss < rows[0].train_loss
    assert max(row.val_accuracy or 0 for row in rows) > 0.8


def test_it_ends_once_the_target_is_reached() -> None:
    _, rows, _ = run(replace(RECIPE, head_epochs=50, target_accuracy=0.7))
    assert len(rows) < 50
    assert (rows[-1].val_accuracy or 0) >= 0.7
    assert all((row.val_accuracy or 0) < 0.7 for row in rows[:-1])


def test_it_ends_when_validation_has_not_become_better_for_so_many_epochs() -> None:
    _, rows, _ = run(replace(RECIPE, head_epochs=200, patience=4), noise=30.0)
    assert len(rows) < 200
    assert [row.best for row in rows[-4:]] == [False] * 4
    assert rows[-5].best


def test_it_ends_in_time_with_the_schedule_at_its_end() -> None:
    ticks = iter(range(10_000))
    _, rows, _ = run(replace(RECIPE, head_epochs=500), clock=lambda: float(next(ticks)), ends_s=(0.0, 60.0))
    assert 1 < len(rows) < 500
    assert rows[-1].learning_rate < 0.1 * RECIPE.head_learning_rate


def test_the_weights_it_keeps_are_those_of_the_best_epoch() -> None:
    best, rows, _ = run(replace(RECIPE, head_epochs=12))
    again = stage(RECIPE)
    again.module.load_state_dict(best)
    again.module.eval()
    score = again.score(again.module)
    assert score is not None
    assert score.accuracy == pytest.approx(max(row.val_accuracy or 0 for row in rows))


@pytest.mark.parametrize("balance", ["sampling", "weights"])
def test_balancing_finds_more_of_a_rare_category(balance: Balance) -> None:
    def recall(how: Balance) -> float:
        recipe = replace(RECIPE, balance=how, head_epochs=12, sequence=1, head_batch=32, splice=0.0)
        frames = (400, 400, 8)
        best, _, _ = run(recipe, head="frame", noise=1.5, frames=frames)
        done = stage(recipe, head="frame", noise=1.5, frames=frames)
        done.module.load_state_dict(best)
        done.module.eval()
        return float((done.logits(done.module)[40:].argmax(-1) == 2).float().mean())

    assert recall(balance) > recall("none") + 0.1
