"""A log record is an event name and fields, as JSON or as text."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twitchcat.logs import JsonFormatter, TextFormatter, set_up_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("twitchcat")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def record(level: int = logging.INFO, *, failed: bool = False, **extra: object) -> logging.LogRecord:
    info = None
    if failed:
        try:
            int("no luck")
        except ValueError:
            info = sys.exc_info()
    return logging.getLogger("twitchcat.dataset").makeRecord(
        "twitchcat.dataset", level, __file__, 1, "category_%s", ("changed",), info, extra=extra
    )


def test_json_records_are_one_line_with_event_and_fields() -> None:
    line = JsonFormatter().format(record(channel="someone", category="Žižkov", confidence=0.93))
    assert "\n" not in line
    entry = json.loads(line)
    assert entry.pop("at").endswith("+00:00")
    assert entry == {
        "level": "info",
        "logger": "twitchcat.dataset",
        "event": "category_changed",
        "channel": "someone",
        "category": "Žižkov",
        "confidence": 0.93,
    }


def test_json_records_take_values_that_json_does_not_know() -> None:
    assert json.loads(JsonFormatter().format(record(file=Path("images"))))["file"] == "images"


def test_json_records_keep_the_traceback() -> None:
    entry = json.loads(JsonFormatter().format(record(logging.ERROR, failed=True)))
    assert "ValueError: invalid literal" in entry["traceback"]


def test_text_records_are_for_people() -> None:
    line = TextFormatter().format(record(logging.WARNING, channel="someone", seconds=3))
    clock, rest = line.split(" ", 1)
    assert len(clock.split(":")) == 3
    assert rest == "warning category_changed channel=someone seconds=3"


def test_text_records_end_with_the_traceback() -> None:
    lines = TextFormatter().format(record(logging.ERROR, failed=True)).splitlines()
    assert lines[0].endswith("error category_changed")
    assert lines[-1].startswith("ValueError: invalid literal")


@pytest.mark.parametrize(
    ("style", "terminal", "is_json"),
    [
        pytest.param("auto", True, False, id="auto on a terminal: text"),
        pytest.param("auto", False, True, id="auto elsewhere: JSON"),
        pytest.param("text", False, False, id="text wherever"),
        pytest.param("json", True, True, id="JSON wherever"),
    ],
)
def test_the_style_follows_the_output(
    monkeypatch: pytest.MonkeyPatch, style: str, terminal: bool, is_json: bool
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    set_up_logging(level="info", style=style, terminal=terminal)  # type: ignore[arg-type]  # a literal's values
    logging.getLogger("twitchcat.dataset").info("started")
    assert written.getvalue().startswith("{") is is_json


def test_ours_are_shown_from_the_level_set_and_libraries_from_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    set_up_logging(level="debug", style="text", terminal=False)
    logging.getLogger("twitchcat.twitch").debug("ours")
    logging.getLogger("httpx").info("theirs")
    logging.getLogger("httpx").warning("their_warning")
    assert [line.split(" ")[2] for line in written.getvalue().splitlines()] == ["ours", "their_warning"]
