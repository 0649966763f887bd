"""Rows of a query as text."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from twitchcat.cli.rows import SAMPLE, distinct, folded, write_csv, write_json, write_table
from twitchcat.dataset.query import point_at


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00", id="a time"),
        pytest.param(timedelta(minutes=1, milliseconds=500), 60.5, id="a duration in seconds"),
        pytest.param(Decimal(12), 12, id="a whole number"),
        pytest.param(Decimal("0.25"), 0.25, id="a fraction"),
        pytest.param(Decimal("NaN"), "nan", id="no number"),
        pytest.param(float("inf"), "inf", id="infinity"),
        pytest.param(memoryview(b"\x00\xff"), "00ff", id="bytes"),
        pytest.param([Decimal(1), None], [1, None], id="a list"),
        pytest.param({"a": [1]}, {"a": [1]}, id="an object"),
        pytest.param(None, None, id="null"),
        pytest.param(True, True, id="a truth"),
    ],
)
def test_json_has_a_form_for_every_value(value: Any, expected: Any) -> None:
    out = io.StringIO()
    write_json(["a"], [(value,)], out)
    line = out.getvalue()
    assert line.endswith("\n")
    assert json.loads(line, parse_constant=pytest.fail) == {"a": expected}


def test_columns_of_one_name_are_told_apart() -> None:
    assert distinct(["id", "id", "id_2", "id"]) == ["id", "id_2", "id_2_2", "id_3"]


def test_csv_quotes_what_needs_it() -> None:
    out = io.StringIO()
    write_csv(["a", "b"], [("x,y", 'say "hi"\n'), (None, True)], out)
    assert out.getvalue() == 'a,b\n"x,y","say ""hi""\n"\n,true\n'


def test_a_plain_table_aligns_by_what_is_seen() -> None:
    out = io.StringIO()
    write_table(["name", "n"], [("ギター", 5), ("two\nlines", 12), ("[red]", None)], out)
    assert out.getvalue().splitlines() == ["name        n", "ギター      5", "two lines  12", "[red]"]


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["a pipe", "a terminal"])
def test_a_table_shows_its_first_rows_before_it_has_the_last(out: io.StringIO) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield from ((n,) for n in range(SAMPLE))
        yield (SAMPLE,)
        shown.append(out.getvalue())
        yield from ((n,) for n in range(SAMPLE + 1, 3 * SAMPLE))

    shown: list[str] = []
    write_table(["n"], rows(), out)
    assert "0" in shown[0].split()
    assert str(3 * SAMPLE - 1) in out.getvalue().split()


@pytest.mark.parametrize(
    ("widths", "room", "given"),
    [
        pytest.param([1, 60, 30], 100, [1, 60, 30], id="enough for all"),
        pytest.param([1, 60, 30], 80, [1, 49, 30], id="the widest gives way"),
        pytest.param([1, 60, 30], 40, [1, 19, 19], id="the wide share"),
        pytest.param([5, 5, 5], 2, [1, 1, 1], id="no room at all"),
        pytest.param([], 80, [], id="no columns"),
    ],
)
def test_wide_columns_make_room_for_narrow_ones(widths: list[int], room: int, given: list[int]) -> None:
    assert folded(widths, room) == given


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["a pipe", "a terminal"])
def test_a_result_without_rows_is_its_heading(out: io.StringIO) -> None:
    write_table(["category", "frames"], [], out)
    assert "category" in out.getvalue()
    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "position", "lines"),
    [
        pytest.param("SELECT x", 8, ["SELECT x", "       ^"], id="in the only line"),
        pytest.param("SELECT\n\tx\nFROM y", 9, [" x", " ^"], id="in a later line, a tab being one column"),
        pytest.param("SELECT é, x", 11, ["SELECT é, x", "          ^"], id="counted in characters"),
        pytest.param("SELECT", 7, ["SELECT", "      ^"], id="at the end"),
        pytest.param(
            "a" * 500 + "b" + "c" * 500,
            501,
            ["… " + "a" * 100 + "b" + "c" * 99 + "…", " " * 102 + "^"],
            id="in a long line",
        ),
    ],
)
def test_a_mistake_is_pointed_at(text: str, position: int, lines: list[str]) -> None:
    assert point_at(text, position) == lines


#: Clears a terminal, sets its title, and the one-character form of the same introduction.
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b2J\u202eb"


@pytest.mark.parametrize("write", [write_table, write_csv, write_json])
def test_titles_of_strangers_do_not_command_a_terminal(write: Any) -> None:
    out = Terminal()
    write([HOSTILE], [(HOSTILE,)], out)
    assert not any(one in out.getvalue() for one in ("\x1b[2J", "\x1b]", "\x07", "\x9b"))


def test_a_plain_table_commands_no_terminal_either() -> None:
    out = io.StringIO()
    write_table(["title"], [(HOSTILE,)], out)
    assert out.getvalue() == "title\na\\x1b[2J\\x1b]0;owned\\x07\\x9b2J\\u202eb\n"


def test_csv_for_programs_is_the_data_itself() -> None:
    out = io.StringIO()
    write_csv(["title"], [(HOSTILE,)], out)
    assert out.getvalue() == f"title\n{HOSTILE}\n"
