"""The queries of docs/sql.md, run as `db query` runs them on a small dataset whose answers are known."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from twitchcat.dataset.database import Database
from twitchcat.dataset.query import run_query
from twitchcat.dataset.schema import (
    Broadcast,
    Capture,
    Category,
    CategorySpan,
    Channel,
    Frame,
    Observation,
    WatchedChannel,
)

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMEOUT = timedelta(seconds=10)


def queries() -> dict[str, str]:
    """Each SQL block of the page by the question above it."""
    text = PAGE.read_text(encoding="utf-8")
    return {
        question: sql.strip()
        for question, sql in re.findall(r"^([^\n]+)\n\n```sql\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    }


def fill(connection: Connection) -> None:
    """Two categories, three channels, four captures with five frames, one watched channel in a mismatch."""
    put = connection.execute
    put(insert(Category), [{"id": "1", "name": "Chess"}, {"id": "2", "name": "Art"}])
    channels = {"10": "ana", "20": "ben", "30": "cem"}
    put(insert(Channel), [{"id": n, "login": c, "display_name": c.title()} for n, c in channels.items()])
    put(
        insert(Broadcast),
        [{"id": f"9{n}", "channel_id": n, "started_at": AT, "language": "en"} for n in channels],
    )
    visits: list[dict[str, Any]] = [
        {"channel_id": "10", "category_id": "1", "frames_kept": 3, "bytes_fetched": 300, "outcome": "kept"},
        {"channel_id": "20", "category_id": "1", "frames_kept": 1, "bytes_fetched": 100, "outcome": "kept"},
        {"channel_id": "30", "category_id": "2", "frames_kept": 1, "bytes_fetched": 80, "outcome": "kept"},
        {"channel_id": "30", "category_id": "2", "outcome": "changed", "category_after_id": "1"},
        {"channel_id": "20", "outcome": "error", "reason": "geoblocked"},
    ]
    ids = []
    for visit in visits:
        skipped = {"blank": 2, "ad": 1} if visit["channel_id"] == "10" else {}
        times = {"started_at": AT, "finished_at": AT + timedelta(seconds=2)}
        statement = insert(Capture).values(
            broadcast_id=f"9{visit['channel_id']}", skipped=skipped, **times, **visit
        )
        ids.append(connection.scalar(statement.returning(Capture.id)))
    shots = [(0, "10", "1", 0), (0, "10", "1", 1), (0, "10", "1", 2), (1, "20", "1", 0), (2, "30", "2", 0)]
    for number, (visit_number, channel, category, position) in enumerate(shots):
        sha256 = f"{max(number, 1):064x}"  # the first two are the same picture
        put(
            insert(Frame).values(
                capture_id=ids[visit_number],
                channel_id=channel,
                category_id=category,
                position=position,
                captured_at=AT + timedelta(days=number // 4, seconds=number),
                width=640,
                height=360,
                bytes=1000,
                sha256=sha256,
                phash=number,
                path=f"{sha256[:2]}/{sha256}.jpg",
            )
        )
    put(insert(WatchedChannel), [{"login": "ana", "channel_id": "10"}, {"login": "ben", "channel_id": "20"}])
    for minute, seen in enumerate(["1", "2", "2"]):
        put(
            insert(Observation).values(
                login="ana",
                channel_id="10",
                observed_at=AT + timedelta(minutes=minute),
                status="recognized",
                category_id=seen,
                declared_category_id="1",
                confidence=0.875,
            )
        )
    now = datetime.now(UTC)
    put(
        insert(CategorySpan).values(
            channel_id="10",
            kind="seen",
            category_id="2",
            started_at=now - timedelta(days=9),
            ended_at=now - timedelta(days=6),
        )
    )


@pytest.fixture
def dataset(database: Database) -> Database:
    """A database with the rows of `fill`."""
    with database.begin() as connection:
        fill(connection)
    return database


def ask(database: Database, sql: str) -> list[dict[str, Any]]:
    """The rows of a query, each with its columns' names."""
    result = run_query(database, sql, timeout=TIMEOUT)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


#: What the first rows say, for each question, in order; only the columns that matter.
ANSWERS: list[list[dict[str, Any]]] = [
    [{"category": "Chess", "frames": 4, "channels": 2, "size": "4000 bytes"}, {"category": "Art"}],
    [
        {"category": "Art", "channel": "cem", "percent": 100},
        {"category": "Chess", "channel": "ana", "percent": 75},
    ],
    [{"frames": 4, "channels": 2, "bytes": 4000}, {"frames": 1, "channels": 1, "bytes": 1000}],
    [{"outcome": "kept", "visits": 3, "frames": 5, "bytes_per_frame": 96, "seconds": 2}, {}, {}],
    [{"reason": "blank", "frames": 2, "visits": 1}, {"reason": "ad", "frames": 1, "visits": 1}],
    [{"channel": "cem", "declared_before": "Art", "declared_after": "Chess"}],
    [{"copies": 2, "channels": ["ana"]}],
    [{"category": "Art", "channel": "cem"}, {"category": "Chess"}, {"category": "Chess"}],
    [{"channel": "ana", "declared": "Chess", "seen": "Art"}],
    [{"channel": "ana", "category": "Art"}],
]


def test_the_page_asks_ten_questions() -> None:
    assert len(queries()) == len(ANSWERS) == 10


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(sql, answer, id=question)
        for (question, sql), answer in zip(queries().items(), ANSWERS, strict=True)
    ],
)
def test_each_query_of_the_page_answers_its_question(
    dataset: Database, sql: str, expected: list[dict[str, Any]]
) -> None:
    rows = ask(dataset, sql)
    assert [{name: row[name] for name in want} for row, want in zip(rows, expected, strict=True)] == expected


@pytest.mark.parametrize("view", ["frame_index", "channel_now"])
def test_the_page_lists_the_columns_of_the_views(dataset: Database, view: str) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"## `{view}`")[1].split("\n## ")[0]
    listed = [
        name
        for line in section.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    ]
    result = run_query(dataset, f"SELECT * FROM {view}", timeout=TIMEOUT)  # noqa: S608 - one of two words
    assert set(result.columns) == set(listed)
    result.close()


def test_channel_now_says_since_when(dataset: Database) -> None:
    ana, ben = ask(dataset, "SELECT * FROM channel_now ORDER BY channel")
    assert ana == {
        "channel": "ana",
        "state": "mismatch",
        "declared": "Chess",
        "seen": "Art",
        "confidence": 0.875,
        "since": AT + timedelta(minutes=1),
        "checked_at": AT + timedelta(minutes=2),
    }
    assert (ben["state"], ben["since"], ben["checked_at"]) == ("unknown", None, None)


def test_frame_index_has_a_row_for_each_frame(dataset: Database) -> None:
    rows = ask(dataset, "SELECT * FROM frame_index ORDER BY captured_at")
    assert [row["channel"] for row in rows] == ["ana", "ana", "ana", "ben", "cem"]
    assert rows[-1]["category"] == "Art"
    assert rows[-1]["broadcast_id"] == "930"
    assert rows[-1]["language"] == "en"


def test_the_page_begins_with_what_works_on_an_embedded_server() -> None:
    first = PAGE.read_text(encoding="utf-8").split("```")[1]
    assert "twitchcat db url --keep" in first
    assert "$(twitchcat db url)" not in first  # the server would stop before psql asks it
