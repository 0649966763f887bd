"""Many frames on one picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twitchcat.frames.contact_sheet import Tile, contact_sheet, encode_png
from twitchcat.frames.picture import decode_image

RED = (200, 30, 30)


def tile(
    caption: str = "", *, width: int = 320, height: int = 180, colour: tuple[int, int, int] = RED
) -> Tile:
    return Tile(np.full((height, width, 3), colour, np.uint8), caption)


def area(page: NDArray[np.uint8], colour: tuple[int, int, int] = RED) -> int:
    """Count the pixels of one colour."""
    return int((page == np.array(colour, np.uint8)).all(axis=2).sum())


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_every_tile_is_there_whole(count: int) -> None:
    page = contact_sheet([tile()] * count, columns=3, tile_width=160)
    assert area(page) == count * 160 * 90


def test_rows_fill_from_the_left_and_the_page_grows_downwards() -> None:
    one, two = (contact_sheet([tile()] * n, columns=3, tile_width=160) for n in (3, 4))
    assert one.shape[1] == two.shape[1] > 3 * 160
    assert two.shape[0] >= one.shape[0] + 90
    assert area(two[one.shape[0] :, : two.shape[1] // 3]) > 0
    assert area(two[one.shape[0] :, two.shape[1] // 3 :]) == 0


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [
        pytest.param(400, 300, 120 * 90, id="4:3 has bars at its sides"),
        pytest.param(90, 160, 51 * 90, id="portrait"),
        pytest.param(1000, 100, 160 * 16, id="wide has bars above and below"),
        pytest.param(16, 9, 160 * 90, id="smaller than its tile: enlarged"),
        pytest.param(5000, 1, 160 * 1, id="a line"),
    ],
)
def test_pictures_keep_their_aspect(width: int, height: int, shown: int) -> None:
    page = contact_sheet([tile(width=width, height=height)], columns=1, tile_width=160)
    assert area(page) == shown


@pytest.mark.parametrize(
    "caption",
    [
        pytest.param("somechannel 21:04:10", id="ASCII"),
        pytest.param("日本語の配信", id="Japanese"),
        pytest.param("канал", id="Cyrillic"),
    ],
)
def test_captions_are_written_in_their_own_script(caption: str) -> None:
    written, unknown, blank = (
        contact_sheet([tile(text)], columns=1) for text in (caption, "\N{PRIVATE USE ONE}" * 3, "")
    )
    assert (written != blank).any()
    assert (written != unknown).any()


def test_a_long_caption_stays_within_its_tile() -> None:
    alone = contact_sheet([tile("x" * 500), tile("")], columns=2)
    nothing = contact_sheet([tile(""), tile("")], columns=2)
    changed = np.flatnonzero((alone != nothing).any(axis=(0, 2)))
    assert 0 < changed.max() < alone.shape[1] // 2


def test_sections_have_headings_and_their_own_rows() -> None:
    sections = {"Chess": [tile()] * 2, "VALORANT": [tile(colour=(30, 200, 30))]}
    page = contact_sheet(sections, columns=2, tile_width=160)
    assert area(page) == 2 * 160 * 90
    assert area(page, (30, 200, 30)) == 160 * 90
    plain = contact_sheet([tile()] * 3, columns=2, tile_width=160)
    assert page.shape[0] > plain.shape[0]


def test_a_title_stands_on_top() -> None:
    titled = contact_sheet([tile()], columns=1, title="twitchcat")
    plain = contact_sheet([tile()], columns=1)
    assert titled.shape[0] > plain.shape[0]
    np.testing.assert_array_equal(titled[-200:], plain[-200:])


def test_a_sheet_of_nothing_is_a_page() -> None:
    assert contact_sheet([], columns=4).shape[1] > 4 * 240


def test_a_png_is_exact() -> None:
    page = contact_sheet([tile("one")], columns=1)
    data = encode_png(page)
    assert data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(decode_image(data), page)
