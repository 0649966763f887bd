"""Augmentation: the same over a sequence, different between sequences, and always a picture."""

import numpy as np
import pytest
import torch
from torch import Tensor

from twitchcat.training.augment import Augmentation
from twitchcat.training.clutter import draw_clutter

HEIGHT, WIDTH = 36, 64


@pytest.fixture(scope="module")
def stills() -> Tensor:
    """Eight sequences of five equal frames: (8, 5, 3, H, W)."""
    pictures = torch.rand(8, 1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(pictures[:, 0], 5, 1, 2)[:, None]
    return smooth.expand(-1, 5, -1, -1, -1).contiguous()


def augmented(images: Tensor, *, strength: float = 1.0, clutter: float = 0.0, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    augment = Augmentation(HEIGHT, WIDTH, strength=strength, clutter=clutter)
    return augment(images, np.random.default_rng(seed))


def test_a_still_sequence_stays_still_but_for_noise(stills: Tensor) -> None:
    changed = augmented(stills)
    assert (changed - changed[:, :1]).abs().mean() < 0.01


def test_sequences_are_changed_each_in_its_own_way(stills: Tensor) -> None:
    same = stills[:1].expand(8, -1, -1, -1, -1).contiguous()
    changed = augmented(same)[:, 0]
    for i in range(1, 8):
        assert (changed[i] - changed[0]).abs().mean() > 0.01


def test_what_comes_out_is_a_picture_of_the_same_size(stills: Tensor) -> None:
    changed = augmented(stills, clutter=1.0)
    assert changed.shape == stills.shape
    assert changed.dtype == torch.float32
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1


def test_without_strength_and_clutter_nothing_changes(stills: Tensor) -> None:
    assert torch.equal(augmented(stills, strength=0.0), stills)


def test_the_input_is_left_alone(stills: Tensor) -> None:
    before = stills.clone()
    augmented(stills, clutter=1.0)
    assert torch.equal(stills, before)


def test_the_same_seed_gives_the_same_pictures(stills: Tensor) -> None:
    assert torch.equal(augmented(stills, clutter=0.5, seed=3), augmented(stills, clutter=0.5, seed=3))
    assert not torch.equal(augmented(stills, clutter=0.5, seed=3), augmented(stills, clutter=0.5, seed=4))


def test_a_share_of_sequences_gets_clutter_and_the_others_stay_as_they_are() -> None:
    images = torch.full((400, 1, 3, HEIGHT, WIDTH), 0.5)
    touched = (draw_clutter(images, np.random.default_rng(0), share=0.25) != images).flatten(1).any(dim=1)
    assert float(touched.float().mean()) == pytest.approx(0.25, abs=0.06)


def test_clutter_leaves_most_of_the_game_to_be_seen() -> None:
    images = torch.rand(200, 1, 3, 144, 256, generator=torch.Generator().manual_seed(0))
    drawn = draw_clutter(images, np.random.default_rng(0), share=1.0)
    borders = (drawn - images).abs().flatten(2).mean()
    assert 0.02 < float(borders) < 0.25


@pytest.mark.parametrize("size", [(32, 32), (36, 64), (144, 256), (240, 240)], ids=str)
def test_clutter_fits_into_any_input(size: tuple[int, int]) -> None:
    images = torch.full((60, 3, 3, *size), 0.5)
    drawn = draw_clutter(images, np.random.default_rng(1), share=1.0)
    assert drawn.shape == images.shape
    assert bool(drawn.isfinite().all())
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) <= 1
