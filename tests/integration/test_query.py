"""Queries of the user: rows stream, nothing changes, mistakes are pointed at."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from twitchcat.dataset.database import Database
from twitchcat.dataset.query import BATCH, run_query
from twitchcat.errors import QueryError, StoreError

TIMEOUT = timedelta(seconds=10)


def rows_of(database: Database, sql: str, timeout: timedelta = TIMEOUT) -> list[tuple[Any, ...]]:
    return list(run_query(database, sql, timeout=timeout).rows)


@pytest.mark.parametrize(
    ("sql", "columns", "rows"),
    [
        pytest.param("SELECT 1 AS a, 'x' AS b", ("a", "b"), [(1, "x")], id="a select"),
        pytest.param("SELECT 1 AS a;", ("a",), [(1,)], id="with its semicolon"),
        pytest.param("SELECT 1 AS a WHERE false", ("a",), [], id="no rows"),
        pytest.param("VALUES (1), (2)", ("column1",), [(1,), (2,)], id="values"),
        pytest.param("SHOW transaction_read_only", ("transaction_read_only",), [("on",)], id="a setting"),
        pytest.param("SELECT '%s' || '%' AS a", ("a",), [("%s%",)], id="percent signs are just that"),
    ],
)
def test_a_query_gives_columns_and_rows(
    database: Database, sql: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> None:
    with run_query(database, sql, timeout=TIMEOUT) as result:
        assert result.columns == columns
        assert list(result.rows) == rows


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO categories (id, name) VALUES ('1', 'Chess')",
        "INSERT INTO categories (id, name) VALUES ('1', 'Chess') RETURNING id",
        "WITH x AS (INSERT INTO categories (id, name) VALUES ('1', 'Chess') RETURNING id) SELECT * FROM x",
        "SELECT 1; COMMIT; INSERT INTO categories (id, name) VALUES ('1', 'Chess')",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "DO $$ BEGIN INSERT INTO categories (id, name) VALUES ('1', 'Chess'); END $$",
        "CREATE TABLE t (x int)",
        "SELECT nextval('captures_id_seq')",
        "",
    ],
)
def test_what_would_change_something_is_refused(database: Database, sql: str) -> None:
    with pytest.raises(QueryError):
        rows_of(database, sql)
    with database.begin() as connection:  # nor is the next transaction read-only
        connection.execute(text("CREATE TABLE t (x int)"))
        assert connection.scalar(text("SELECT count(*) FROM categories")) == 0


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        pytest.param("", "the query is empty", id="nothing"),
        pytest.param(" ; -- nothing\n/* at all */", "the query is empty", id="less than nothing"),
        pytest.param("SELECT 1; SELECT 2", "one statement only", id="several"),
        pytest.param("DELETE FROM frames", "only reads; `twitchcat db shell`", id="delete"),
        pytest.param("INSERT INTO categories (id, name) VALUES ('1', 'x')", "only reads", id="insert"),
        pytest.param(
            "WITH gone AS (DELETE FROM frames RETURNING *) SELECT * FROM gone", "only reads", id="in a with"
        ),
        pytest.param("CREATE TABLE t (x int)", "only reads", id="create"),
    ],
)
def test_what_is_no_query_is_told_in_words_of_the_user(database: Database, sql: str, told: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows_of(database, sql)
    assert told in str(caught.value)
    assert "cursor" not in str(caught.value)


def test_a_query_that_takes_too_long_is_stopped(database: Database) -> None:
    with pytest.raises(QueryError, match=r"database\.statement_timeout allows, 0\.05s"):
        rows_of(database, "SELECT pg_sleep(60)", timeout=timedelta(milliseconds=50))


def test_a_mistake_is_shown_where_it_is(database: Database) -> None:
    with pytest.raises(QueryError) as caught:
        rows_of(database, "SELECT frame_id,\n       categry\nFROM frame_index")
    assert str(caught.value).splitlines() == [
        'column "categry" does not exist',
        "       categry",
        "       ^",
        'hint: Perhaps you meant to reference the column "frame_index.category".',
    ]


def test_an_error_among_later_rows_is_a_query_error_too(database: Database) -> None:
    late = BATCH + 10
    with pytest.raises(QueryError, match="division by zero"):
        rows_of(database, f"SELECT 1 / ({late} - n) FROM generate_series(1, {late}) AS n")  # noqa: S608 - ours


def test_rows_come_before_the_query_is_done(database: Database) -> None:
    # The last row of these would take a thousand years.
    sql = (
        "SELECT CASE WHEN n < 10000 THEN n ELSE (SELECT 1 FROM pg_sleep(3e10)) END"
        " FROM generate_series(1, 10000) AS n"
    )
    with run_query(database, sql, timeout=TIMEOUT) as result:
        assert next(result.rows) == (1,)


def test_a_result_given_up_frees_its_connection(database: Database) -> None:
    for _ in range(3 * database.engine.pool.size()):  # type: ignore[attr-defined]  # a QueuePool
        run_query(database, "SELECT * FROM generate_series(1, 10000)", timeout=TIMEOUT).close()
    assert rows_of(database, "SELECT 1") == [(1,)]


def test_a_lost_connection_is_no_mistake_of_the_query(database: Database) -> None:
    with pytest.raises(StoreError) as caught:
        rows_of(database, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert not isinstance(caught.value, QueryError)
