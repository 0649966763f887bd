"""Bringing pictures to the input of a model."""

import numpy as np
import pytest

from twitchcat.recognition.fit import fit_picture
from twitchcat.recognition.metadata import Fit


def picture(height: int, width: int) -> np.ndarray:
    """White, with a red dot of a third of its sides in the middle."""
    rgb = np.full((height, width, 3), 255, np.uint8)
    rgb[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = (255, 0, 0)
    return rgb


@pytest.mark.parametrize(
    ("size", "fit", "black_rows", "black_columns"),
    [
        pytest.param((90, 160), "letterbox", 0, 0, id="the same aspect, smaller picture"),
        pytest.param((720, 1280), "letterbox", 0, 0, id="the same aspect, larger picture"),
        pytest.param((480, 640), "letterbox", 0, 64, id="narrower: bars at the sides"),
        pytest.param((180, 640), "letterbox", 72, 0, id="wider: bars above and below"),
        pytest.param((480, 640), "crop", 0, 0, id="narrower: cut"),
        pytest.param((180, 640), "crop", 0, 0, id="wider: cut"),
        pytest.param((1, 1), "crop", 0, 0, id="one pixel"),
    ],
)
def test_a_picture_comes_to_size_with_its_aspect_and_its_middle(
    size: tuple[int, int], fit: Fit, black_rows: int, black_columns: int
) -> None:
    rgb = picture(*size)
    before = rgb.copy()
    fitted = fit_picture(rgb, height=144, width=256, fit=fit)
    assert fitted.shape == (144, 256, 3)
    assert fitted.dtype == np.uint8
    assert fitted.flags.c_contiguous
    black = (fitted == 0).all(axis=2)
    assert black.all(axis=1).sum() == black_rows
    assert black.all(axis=0).sum() == black_columns
    red = np.argwhere((fitted[..., 0] > 200) & (fitted[..., 1] < 100))
    if len(red):
        assert np.abs(red.mean(axis=0) - (71.5, 127.5)).max() < 2
        rows, columns = np.ptp(red, axis=0) + 1
        assert rows / columns == pytest.approx(size[0] / size[1], rel=0.1)
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(np.zeros((4, 4), np.uint8), id="grey"),
        pytest.param(np.zeros((4, 4, 4), np.uint8), id="with alpha"),
        pytest.param(np.zeros((4, 4, 3), np.float32), id="floats"),
        pytest.param(np.zeros((0, 4, 3), np.uint8), id="empty"),
    ],
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        fit_picture(wrong, height=8, width=8, fit="crop")
