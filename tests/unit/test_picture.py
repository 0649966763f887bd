"""Scaling, compressing and comparing pictures."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.videos import pictures
from twitchcat.errors import SegmentUnreadable
from twitchcat.frames.picture import (
    decode_image,
    encode_jpeg,
    hamming,
    luma_deviation,
    perceptual_hash,
    same_picture,
    scale_to_height,
    thumbprint,
)

Rgb = NDArray[np.uint8]
INT64 = st.integers(-(2**63), 2**63 - 1)


def scene(seed: int = 0) -> Rgb:
    """A picture of 640 by 360 with soft shapes."""
    blocks = np.random.default_rng(seed).integers(0, 255, (9, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(blocks, (640, 360), interpolation=cv2.INTER_CUBIC), np.uint8)


def flat(level: int) -> Rgb:
    return np.full((90, 160, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("shape", "height", "scaled"),
    [
        pytest.param((1080, 1920), 360, (360, 640), id="16:9"),
        pytest.param((1000, 1333), 360, (360, 480), id="4:3, rounded"),
        pytest.param((1920, 1080), 360, (360, 202), id="portrait"),
        pytest.param((360, 640), 360, (360, 640), id="as high: left alone"),
        pytest.param((160, 284), 360, (160, 284), id="lower: left alone"),
        pytest.param((4000, 3), 16, (16, 1), id="a thread: still a pixel wide"),
    ],
)
def test_pictures_are_scaled_down_with_their_aspect(
    shape: tuple[int, int], height: int, scaled: tuple[int, int]
) -> None:
    assert scale_to_height(np.zeros((*shape, 3), np.uint8), height).shape == (*scaled, 3)


def test_scaling_down_averages_and_keeps_its_argument() -> None:
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[::2] = 200
    before = stripes.copy()
    np.testing.assert_array_equal(scale_to_height(stripes, 360), np.full((360, 640, 3), 100, np.uint8))
    np.testing.assert_array_equal(stripes, before)


def test_a_jpeg_keeps_colours_and_size() -> None:
    rgb = scene()
    back = decode_image(encode_jpeg(rgb, quality=95))
    assert back.shape == rgb.shape
    assert np.abs(back.astype(int) - rgb).mean() < 2
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert decode_image(encode_jpeg(red, quality=95))[8, 8].tolist() == pytest.approx([254, 0, 0], abs=2)


def test_lower_quality_is_smaller() -> None:
    rgb = pictures(1, width=640, height=360)[0]
    assert len(encode_jpeg(rgb, quality=30)) < len(encode_jpeg(rgb, quality=90))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not a picture", id="text"),
        pytest.param(b"\xff\xd8\xff\xe0" + b"\0" * 200, id="the beginning of a JPEG alone"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(SegmentUnreadable, match="no picture"):
        decode_image(data)


def test_a_hash_survives_compression_and_scaling_and_tells_scenes_apart() -> None:
    rgb = scene()
    again = decode_image(encode_jpeg(rgb, quality=40))
    assert hamming(perceptual_hash(rgb), perceptual_hash(again)) <= 3
    assert hamming(perceptual_hash(rgb), perceptual_hash(scale_to_height(rgb, 160))) <= 3
    others = [hamming(perceptual_hash(rgb), perceptual_hash(scene(seed))) for seed in range(1, 50)]
    assert min(others) > 12
    assert 28 < np.mean(others) < 36  # half of 64 bits, as for unrelated numbers


def test_a_hash_fits_a_signed_bigint_and_uses_its_sign() -> None:
    hashes = [perceptual_hash(scene(seed)) for seed in range(50)]
    assert all(-(2**63) <= value < 2**63 for value in hashes)
    assert 10 < sum(value < 0 for value in hashes) < 40


@given(a=INT64, b=INT64)
def test_hamming_counts_differing_bits_of_signed_numbers(a: int, b: int) -> None:
    bits_a, bits_b = f"{a % 2**64:064b}", f"{b % 2**64:064b}"
    assert hamming(a, b) == sum(x != y for x, y in zip(bits_a, bits_b, strict=True))


@pytest.mark.parametrize(("a", "b", "distance"), [(0, 0, 0), (0, -1, 64), (-1, -2, 1), (-(2**63), 0, 1)])
def test_hamming(a: int, b: int, distance: int) -> None:
    assert hamming(a, b) == distance


def test_luma_deviation_is_zero_for_one_colour_and_largest_for_black_and_white() -> None:
    halves = flat(0)
    halves[:45] = 255
    assert luma_deviation(flat(16)) == 0
    assert luma_deviation(halves) == pytest.approx(127.5)
    assert luma_deviation(scene()) > 20


@pytest.mark.parametrize("shape", [(360, 640), (361, 853), (480, 853), (1080, 1920), (90, 160), (20, 7)])
def test_a_thumbprint_is_the_mean_of_each_area(shape: tuple[int, int]) -> None:
    rgb = np.asarray(cv2.resize(scene(), shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    small = thumbprint(rgb)
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    exact = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA)
    assert small.shape == (32, 32)
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - np.asarray(exact, int)).max() <= 3


def moved(rgb: Rgb) -> Rgb:
    """A cursor of 40 by 40 pixels elsewhere: less than one percent of the picture."""
    other = rgb.copy()
    other[160:200, 300:340] = 255 - other[160:200, 300:340]
    return other


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        pytest.param(scene(), scene(), True, id="itself"),
        pytest.param(scene(), decode_image(encode_jpeg(scene(), quality=70)), True, id="encoded again"),
        pytest.param(scene(), np.roll(scene(), 8, axis=1), False, id="panned by eight pixels"),
        pytest.param(scene(), moved(scene()), False, id="something small has changed"),
        pytest.param(scene(), scene(1), False, id="another scene"),
        pytest.param(flat(16), flat(22), False, id="a fade"),
    ],
)
def test_same_picture(a: Rgb, b: Rgb, same: bool) -> None:
    assert same_picture(thumbprint(a), thumbprint(b)) is same
