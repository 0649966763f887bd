"""The sieve keeps what is worth keeping: not blank, not frozen, not seen before on the channel."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twitchcat.dataset.sift import Sieve
from twitchcat.frames.picture import hamming, perceptual_hash

Rgb = NDArray[np.uint8]


def scene(seed: int) -> Rgb:
    """A picture of large blocks, another for each seed: (90, 160, 3)."""
    blocks: Rgb = np.random.default_rng(seed).integers(0, 255, (9, 16, 3), dtype=np.uint8)
    return blocks.repeat(10, axis=0).repeat(10, axis=1)


def plain(level: int) -> Rgb:
    return np.full((90, 160, 3), level, np.uint8)


def noisy(picture: Rgb, *, levels: int) -> Rgb:
    noise = np.random.default_rng(99).integers(-levels, levels + 1, picture.shape)
    changed: Rgb = np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return changed


def moved(picture: Rgb) -> Rgb:
    """The same scene a little brighter and shifted by two pixels: no frozen picture, but the same sight."""
    return np.clip(np.roll(picture, 2, axis=1).astype(np.int16) + 8, 0, 255).astype(np.uint8)


def faults(*pictures: Rgb, earlier: tuple[int, ...] = (), near_identical: int = 6) -> list[str | None]:
    sieve = Sieve(earlier, blank=6.0, near_identical=near_identical)
    return [sieve.sift(picture).fault for picture in pictures]


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        pytest.param([scene(1), scene(2), scene(3)], [None, None, None], id="different scenes: kept"),
        pytest.param([plain(0), plain(255), noisy(plain(128), levels=2)], ["blank"] * 3, id="plain: blank"),
        pytest.param([scene(1), noisy(scene(1), levels=3)], [None, "frozen"], id="a still picture: frozen"),
        pytest.param([scene(1), moved(scene(1))], [None, "near_identical"], id="hardly moved: identical"),
        pytest.param(
            [scene(1), scene(2), scene(1)],
            [None, None, "near_identical"],
            id="seen earlier in the visit: near identical",
        ),
        pytest.param(
            [scene(1), plain(0), scene(1)],
            [None, "blank", "near_identical"],
            id="a blank in between: not forgotten",
        ),
    ],
)
def test_what_is_left_out_and_why(pictures: list[Rgb], expected: list[str | None]) -> None:
    assert faults(*pictures) == expected


def test_the_channels_earlier_frames_are_remembered() -> None:
    assert faults(scene(1), scene(2), earlier=(perceptual_hash(scene(2)),)) == [None, "near_identical"]


def test_hashes_with_the_sign_bit_are_compared_like_all_others() -> None:
    negative = next(n for n in range(100) if perceptual_hash(scene(n)) < 0)
    assert faults(scene(negative), earlier=(perceptual_hash(scene(negative)),)) == ["near_identical"]


def test_the_bits_that_may_differ_are_a_setting() -> None:
    first, second = scene(1), scene(2)
    apart = hamming(perceptual_hash(first), perceptual_hash(second))
    assert faults(first, second, near_identical=apart - 1) == [None, None]
    assert faults(first, second, near_identical=apart) == [None, "near_identical"]


def test_minus_one_keeps_all_but_the_blank() -> None:
    assert faults(scene(1), scene(1), plain(9), near_identical=-1) == [None, None, "blank"]


def test_what_was_left_out_is_no_measure_for_what_follows() -> None:
    """Only kept pictures are remembered: a slow drift must not be dropped for ever."""
    sieve = Sieve((), blank=6.0, near_identical=0)
    blank = sieve.sift(plain(3))
    assert sieve.sift(scene(5)).fault is None
    assert blank.fault == "blank"


def test_the_sieve_tells_the_hash_that_is_stored() -> None:
    sifted = Sieve((), blank=6.0, near_identical=3).sift(scene(4))
    assert sifted.phash == perceptual_hash(scene(4))
