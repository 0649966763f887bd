"""Run somebody's SQL without letting it change anything or run for ever."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import psycopg2
from psycopg2 import errorcodes
from psycopg2.errors import QueryCanceled
from psycopg2.extensions import connection as DriverConnection  # noqa: N812 - a class, in lower case there
from psycopg2.extensions import cursor as DriverCursor  # noqa: N812 - likewise
from psycopg2.extensions import set_wait_callback
from psycopg2.extras import wait_select

from twitchcat.dataset.database import Database
from twitchcat.errors import QueryError

#: Rows fetched from the server at a time.
BATCH = 2_000

_CURSOR = "twitchcat_query"
#: Opens a cursor for the text in a setting. EXECUTE takes one statement that returns rows, and none that ends
#: the transaction: no text whatever gets out of the read-only one.
_OPEN = f"""
DO $$
DECLARE query refcursor := '{_CURSOR}';
BEGIN
    OPEN query FOR EXECUTE current_setting('twitchcat.query');
END
$$
"""
_ONE_QUERY = "give one statement that returns rows; `twitchcat db shell` runs any"
_SEVERAL = "one statement only; `twitchcat db shell` runs several"
_ONLY_READS = "`twitchcat db query` only reads; `twitchcat db shell` may write"
#: What is nothing to Postgres; /* comments */ may hold others, which only an empty query would notice.
_NOTHING = re.compile(r"(?:\s|;|--[^\n]*+|(?>/\*.*?\*/))*+", re.DOTALL)
#: How much of a long line of SQL is shown around an error.
_SHOWN = 100


@dataclass(frozen=True, slots=True, eq=False)
class QueryResult:
    """A result whose rows are read as they are asked for, once; memory holds one batch of them.

    Its transaction ends with the last row, or when it is closed.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]  #: values as psycopg2 gives them; raises QueryError and StoreError
    _open: ExitStack

    def close(self) -> None:
        """Give up the rows that were not read."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def run_query(database: Database, sql: str, *, timeout: timedelta) -> QueryResult:
    """Run one SQL statement that returns rows, in a read-only transaction.

    `timeout` bounds each fetch of BATCH rows: a reader may take its time, the server may not. Raises
    QueryError with Postgres's own message and the place in the text, StoreError if the database is lost.
    """
    if _NOTHING.fullmatch(sql):
        raise QueryError("the query is empty")
    with ExitStack() as stack:
        link = stack.enter_context(database.begin(read_only=True)).connection.driver_connection
        stack.enter_context(_query_errors(sql, timeout))
        assert isinstance(link, DriverConnection)  # noqa: S101 - the engine is made for psycopg2
        with link.cursor() as cursor:
            # All rows will be read: plan for that and not for a quick first row.
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('twitchcat.query', %s, true),"
                " set_config('cursor_tuple_fraction', '1', true)",
                (f"{max(1, round(timeout.total_seconds() * 1000))}ms", sql),
            )
            cursor.execute(_OPEN)
        cursor = stack.enter_context(link.cursor(_CURSOR))
        first = cursor.fetchmany(BATCH)
        columns = tuple(column.name for column in cursor.description or ())
        opened = stack.pop_all()
    return QueryResult(columns, _read(first, cursor, opened), opened)


def _read(batch: list[tuple[Any, ...]], cursor: DriverCursor, opened: ExitStack) -> Iterator[tuple[Any, ...]]:
    with opened:
        while batch:
            yield from batch
            batch = cursor.fetchmany(BATCH)


def answer_interrupts() -> None:
    """From now on Ctrl-C cancels the statement that the process waits for, as KeyboardInterrupt.

    psycopg2 alone answers it when the statement is done. For a process that has nothing else to do.
    """
    set_wait_callback(wait_select)


@contextmanager
def _query_errors(sql: str, timeout: timedelta) -> Iterator[None]:
    try:
        yield
    except QueryCanceled as error:
        if "user request" in str(error):  # and not its time is up
            raise KeyboardInterrupt from error
        raise QueryError(
            f"the query took longer than the setting database.statement_timeout allows,"
            f" {timeout.total_seconds():g}s"
        ) from error
    except psycopg2.Error as error:
        if error.pgcode is None or error.pgcode.startswith(("08", "57P")):  # connection lost, server stopping
            raise
        raise QueryError(refusal(error, sql)) from error


def refusal(error: psycopg2.Error, sql: str) -> str:
    """Postgres's message, the line of the text with a caret below the place, and Postgres's advice."""
    diagnosis = error.diag
    if error.pgcode == errorcodes.READ_ONLY_SQL_TRANSACTION:
        return _ONLY_READS
    if error.pgcode == errorcodes.INVALID_CURSOR_DEFINITION:
        return _no_cursor(diagnosis.message_primary or "")
    lines = [diagnosis.message_primary or str(error).strip()]
    place = diagnosis.internal_position or diagnosis.statement_position
    if place and diagnosis.internal_query in {sql, None}:  # not inside a function that the text calls
        lines += point_at(sql, int(place))
    lines += [diagnosis.message_detail] if diagnosis.message_detail else []
    lines += [f"hint: {diagnosis.message_hint}"] if diagnosis.message_hint else []
    return "\n".join(lines)


def _no_cursor(message: str) -> str:
    """Why no cursor could be opened, without a word of cursors, which nobody asked for."""
    if "multi-query" in message:
        return _SEVERAL
    # "cannot open INSERT query as cursor"; a server may speak another language, and then both are meant.
    return _ONLY_READS if "query as cursor" in message else _ONE_QUERY


def point_at(text: str, position: int) -> list[str]:
    """The line of `text` that holds the character at `position`, counted from 1, and a caret below it."""
    before, after = text[: position - 1], text[position - 1 :]
    start = before.rpartition("\n")[2].replace("\t", " ")
    rest = after.partition("\n")[0].replace("\t", " ")
    start, lead = (start[-_SHOWN:], "… ") if len(start) > _SHOWN else (start, "")
    tail = "…" if len(rest) > _SHOWN else ""
    return [f"{lead}{start}{rest[:_SHOWN]}{tail}", " " * len(lead + start) + "^"]
