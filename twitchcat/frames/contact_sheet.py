"""Many frames on one picture: a page of captioned tiles under headings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  #: (H, W, 3) uint8 RGB
Colour = tuple[int, int, int]

_PAGE: Colour = (18, 18, 24)
_MAT: Colour = (6, 6, 10)  # behind a picture that is not 16:9
_BRIGHT: Colour = (240, 240, 245)
_DIM: Colour = (168, 168, 180)
_RULE: Colour = (52, 52, 64)
_ACCENT: Colour = (145, 92, 255)
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One frame, and what is written under it."""

    rgb: Rgb
    caption: str  #: one line; cut where the tile ends


@dataclass(frozen=True, slots=True)
class _Ink:
    size: int  # pixels
    colour: Colour
    weight: int = 400  # as in CSS


@dataclass(frozen=True, slots=True)
class _Layout:
    """Distances in pixels, all in proportion to the tile."""

    columns: int
    tile_width: int

    @property
    def tile_height(self) -> int:
        return self.tile_width * 9 // 16

    @property
    def gap(self) -> int:
        return max(4, self.tile_width // 20)

    @property
    def caption(self) -> int:
        """Size of captions."""
        return max(9, round(self.tile_width / 18))

    @property
    def heading(self) -> int:
        """Size of headings."""
        return max(11, round(self.tile_width / 11))

    @property
    def row(self) -> int:
        return self.tile_height + round(2.2 * self.caption) + self.gap

    @property
    def width(self) -> int:
        return self.columns * (self.tile_width + self.gap) + self.gap

    @property
    def inner(self) -> int:
        """Width between the margins."""
        return self.width - 2 * self.gap

    def section(self, heading: str, tiles: int) -> int:
        """Height of a section."""
        return (self.heading_height if heading else 0) + math.ceil(tiles / self.columns) * self.row

    @property
    def heading_height(self) -> int:
        return round(2.4 * self.heading)


def contact_sheet(
    tiles: Sequence[Tile] | Mapping[str, Sequence[Tile]],
    *,
    columns: int,
    tile_width: int = 240,
    title: str = "",
) -> Rgb:
    """Lay tiles out in rows of `columns`: (H, W, 3) uint8 RGB.

    A mapping gives sections, each under its key as a heading. Pictures keep their aspect ratio within a 16:9
    tile `tile_width` pixels wide. Text may be in any script that OpenCV's own fonts know.
    """
    layout = _Layout(columns=max(1, columns), tile_width=tile_width)
    groups = list(tiles.items()) if isinstance(tiles, Mapping) else [("", tiles)]
    title_height = 3 * layout.heading if title else 0
    height = 2 * layout.gap + title_height + sum(layout.section(name, len(group)) for name, group in groups)
    page = np.full((height, layout.width, 3), _PAGE, np.uint8)
    y = layout.gap
    if title:
        ink = _Ink(round(1.35 * layout.heading), _BRIGHT, 700)
        _write(page, _fit(title, layout.inner, ink), layout.gap, y + round(1.6 * layout.heading), ink)
        y += title_height
    for heading, group in groups:
        if heading:
            _draw_heading(page, layout, y, heading)
        first_row = y + (layout.heading_height if heading else 0)
        for i, tile in enumerate(group):
            x = layout.gap + i % layout.columns * (layout.tile_width + layout.gap)
            _draw_tile(page, layout, x, first_row + i // layout.columns * layout.row, tile)
        y += layout.section(heading, len(group))
    return page


def encode_png(rgb: Rgb) -> bytes:
    """Compress a picture without loss."""
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"a picture of shape {rgb.shape} cannot be a PNG")
    return bytes(data)


def _draw_heading(page: Rgb, layout: _Layout, y: int, heading: str) -> None:
    size, left = layout.heading, layout.gap
    base = y + round(1.5 * size)
    page[base - round(0.8 * size) : base + round(0.1 * size), left : left + max(3, size // 6)] = _ACCENT
    ink = _Ink(size, _BRIGHT, 600)
    _write(page, _fit(heading, layout.inner - size // 2, ink), left + size // 2, base, ink)
    rule = base + round(0.45 * size)
    page[rule : rule + 1, left : left + layout.inner] = _RULE


def _draw_tile(page: Rgb, layout: _Layout, x: int, y: int, tile: Tile) -> None:
    width, height = layout.tile_width, layout.tile_height
    rows, columns = tile.rgb.shape[:2]
    scale = min(width / columns, height / rows)
    size = (min(width, max(1, round(columns * scale))), min(height, max(1, round(rows * scale))))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    left, top = x + (width - size[0]) // 2, y + (height - size[1]) // 2
    page[y : y + height, x : x + width] = _MAT
    page[top : top + size[1], left : left + size[0]] = cv2.resize(tile.rgb, size, interpolation=method)
    # A long caption is written smaller before it is cut.
    inks = [_Ink(points, _DIM) for points in range(layout.caption, layout.caption * 3 // 4 - 1, -1)]
    ink = next((ink for ink in inks if _width(tile.caption, ink) <= width), inks[-1])
    _write(page, _fit(tile.caption, width, ink), x, y + height + round(1.4 * layout.caption), ink)


def _write(page: Rgb, text: str, x: int, baseline: int, ink: _Ink) -> None:
    cv2.putText(page, text, (x, baseline), ink.colour, cv2.FontFace("sans"), ink.size, ink.weight)


def _width(text: str, ink: _Ink) -> int:
    """Return how many pixels a line of text takes."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), ink.size, ink.weight)[2])


def _fit(text: str, width: int, ink: _Ink) -> str:
    """Shorten one line of text to `width` pixels."""
    line = " ".join(text.split())
    if _width(line, ink) <= width:
        return line
    while line and _width(line + _ELLIPSIS, ink) > width:
        line = line[:-1].rstrip()
    return line + _ELLIPSIS
