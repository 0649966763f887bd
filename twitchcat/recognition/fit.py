"""Bringing a picture of any size to the input of a model, by the same code in training and in serving."""

import cv2
import numpy as np
from numpy.typing import NDArray

from twitchcat.recognition.metadata import Fit

Rgb = NDArray[np.uint8]  #: (H, W, 3) uint8 RGB


def fit_picture(rgb: Rgb, *, height: int, width: int, fit: Fit) -> Rgb:
    """Scale a picture to (height, width, 3) uint8 RGB, its aspect kept. Leaves its input alone.

    `letterbox` shows all of it between black bars; `crop` fills the input and cuts off what is over, equally
    at both ends. Raises ValueError if it is no (H, W, 3) uint8 array.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"a picture is (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    rows, columns = rgb.shape[:2]
    choose = min if fit == "letterbox" else max
    scale = choose(height / rows, width / columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    # Area averaging alone keeps small text and HUDs from aliasing when a picture shrinks.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = rgb if size == (columns, rows) else cv2.resize(rgb, size, interpolation=method)
    return _centred(np.asarray(scaled, np.uint8), height, width)


def _centred(rgb: Rgb, height: int, width: int) -> Rgb:
    """Cut or pad with black to (height, width, 3), the middle staying the middle."""
    rows, columns = rgb.shape[:2]
    top, left = max(0, rows - height) // 2, max(0, columns - width) // 2
    cut = rgb[top : top + height, left : left + width]
    if cut.shape[:2] == (height, width):
        return np.ascontiguousarray(cut)
    fitted = np.zeros((height, width, 3), np.uint8)
    top, left = (height - cut.shape[0]) // 2, (width - cut.shape[1]) // 2
    fitted[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return fitted
