"""Rows of a query as text: a table, JSON Lines or CSV, written as they arrive."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Any, TextIO

from twitchcat.cli.console import json_text, printable

#: The widths of a table's columns are those of its first rows; later rows fit in as well as they can.
SAMPLE = 500

Row = tuple[Any, ...]


def write_json(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """One JSON object per row. A column's name that comes twice gets a number: "a", "a_2"."""
    names = distinct(columns)
    for row in rows:
        values = {name: json_value(value) for name, value in zip(names, row, strict=True)}
        out.write(json_text(values) + "\n")


def write_csv(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """RFC 4180 with a header, and plain line feeds; null is an empty field."""
    writer = csv.writer(out, lineterminator="\n")
    show = _shown if out.isatty() else cell  # data is left as it is, a terminal is not commanded
    writer.writerow([show(name) for name in columns])
    writer.writerows([show(value) for value in row] for row in rows)


def write_table(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """Aligned columns: styled and folded to the width of a terminal, plain and never cut elsewhere."""
    from rich.cells import cell_len

    several = iter(rows)
    first = list(islice(several, SAMPLE))
    columns = [printable(name) for name in columns]
    show = _shown if out.isatty() else _one_line
    texts = [[show(value) for value in row] for row in first]
    widths = [
        max(map(cell_len, [name, *(row[n] for row in texts)]), default=0) for n, name in enumerate(columns)
    ]
    right = [all(_is_number(row[n]) for row in first) and bool(first) for n in range(len(columns))]
    draw = _draw_on_terminal if out.isatty() else _draw_plain
    draw(columns, chain(texts, ([show(value) for value in row] for row in several)), widths, right, out)


def _draw_plain(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int],
    right: Sequence[bool],
    out: TextIO,
) -> None:
    from rich.cells import cell_len

    for row in chain([columns], rows):
        parts = []
        for text, width, to_right in zip(row, widths, right, strict=True):
            space = " " * (width - cell_len(text))
            parts.append(space + text if to_right else text + space)
        out.write("  ".join(parts).rstrip() + "\n")


def _draw_on_terminal(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int],
    right: Sequence[bool],
    out: TextIO,
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out)
    room = console.width - 2 * (len(widths) - 1)
    fits = sum(widths) <= room  # then later rows may be wider, else not
    given = widths if fits else folded(widths, room)
    heading = True
    for some in _batches(rows):
        table = Table(box=None, pad_edge=False, show_header=heading)
        for name, width, to_right in zip(columns, given, right, strict=True):
            table.add_column(
                Text(name),
                min_width=width if fits else None,
                width=None if fits else width,
                justify="right" if to_right else "left",
                overflow="fold",
            )
        for row in some:
            table.add_row(*map(Text, row))
        console.print(table)
        heading = False


def folded(widths: Sequence[int], room: int) -> list[int]:
    """Widths that fit into `room`: the widest columns give way, down to one width, the others stay.

    >>> folded([1, 60, 30], 61)
    [1, 30, 30]
    """
    most = max(widths, default=0)
    while most > 1 and sum(min(width, most) for width in widths) > room:
        most -= 1
    return [min(width, most) for width in widths]


def _batches(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    several = iter(rows)
    yield list(islice(several, SAMPLE))  # even if there are none: the heading is to be seen
    while some := list(islice(several, SAMPLE)):
        yield some


def distinct(names: Sequence[str]) -> list[str]:
    """The names, made different from each other.

    >>> distinct(["a", "b", "a"])
    ['a', 'b', 'a_2']
    """
    found: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in found:
            number += 1
            candidate = f"{name}_{number}"
        found.append(candidate)
    return found


def cell(value: Any) -> str:
    """A value as text; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(json_value(value), ensure_ascii=False)
    if isinstance(value, memoryview):
        return "\\x" + value.hex()
    return str(value)


def _shown(value: Any) -> str:
    return printable(cell(value), keep="\n")


def _one_line(value: Any) -> str:
    return printable(" ".join(re.split(r"\r?\n", cell(value))))


def json_value(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """A value as JSON knows it: times in ISO 8601, durations in seconds, bytes in hex, NaN as "nan"."""
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {name: json_value(item) for name, item in value.items()}
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, memoryview):
        return value.hex()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | None) and not isinstance(value, bool)
