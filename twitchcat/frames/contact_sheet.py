"""Many frames on one picture, with captions."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One frame and what is written under it."""

    rgb: NDArray[np.uint8]  #: (H, W, 3) uint8 RGB
    caption: str


def contact_sheet(tiles: Sequence[Tile], *, columns: int, tile_width: int = 240) -> NDArray[np.uint8]:
    """Lay tiles out in rows of `columns`: (H, W, 3) uint8 RGB."""
    height = tile_width * 9 // 16
    rows = max(1, -(-len(tiles) // columns))
    sheet = np.full((rows * (height + 24), columns * tile_width, 3), 24, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // columns * (height + 24), i % columns * tile_width
        sheet[y : y + height, x : x + tile_width] = cv2.resize(
            tile.rgb, (tile_width, height), interpolation=cv2.INTER_AREA
        )
        cv2.putText(sheet, tile.caption, (x + 4, y + height + 16), (230, 230, 230), cv2.FontFace("sans"), 13)
    return sheet


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """Compress a picture without loss."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1])
