"""Migrations build what the models say, take it down again, and may be run by many at once."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.schema import SchemaItem

from twitchcat.config import DatabaseSettings, Settings
from twitchcat.dataset.database import Database, open_database
from twitchcat.dataset.revision import current_revision, downgrade, head_revision, upgrade
from twitchcat.dataset.schema import Base
from twitchcat.errors import RevisionMismatch

#: Everything of the tables that Alembic does not compare too: checks, generated columns, types in full.
CATALOGUE = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, is_identity,
               generation_expression
        FROM information_schema.columns WHERE table_schema = 'public'
            AND table_name IN (SELECT tablename FROM pg_tables) AND table_name <> 'alembic_version'
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
    """,
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    """,
}


def catalogue(connection: Connection, what: str) -> set[tuple[object, ...]]:
    return {tuple(row) for row in connection.execute(text(CATALOGUE[what]))}


def relations(connection: Connection) -> set[str]:
    rows = connection.execute(
        text(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        )
    )
    return {row.relname for row in rows} - {"alembic_version"}


@pytest.fixture
def empty(empty_database_settings: DatabaseSettings) -> Database:
    """An opened database without tables."""
    return open_database(Settings(database=empty_database_settings), require_current=False)


def test_migrations_build_the_models_as_alembic_compares_them(database: Database) -> None:
    def comparable(item: SchemaItem, _name: str | None, kind: str, *_: object) -> bool:
        return kind != "column" or getattr(item, "computed", None) is None  # warns of those instead

    with database.begin() as connection:
        options = {"compare_server_default": True, "include_object": comparable}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("what", CATALOGUE)
def test_migrations_build_the_models_to_the_letter(database: Database, empty: Database, what: str) -> None:
    with empty, empty.begin() as connection:
        connection.execute(text("CREATE EXTENSION vector"))
        Base.metadata.create_all(connection)
        expected = catalogue(connection, what)
    with database.begin() as connection:
        assert catalogue(connection, what) == expected


def test_a_database_goes_down_to_nothing_and_up_again(empty: Database) -> None:
    with empty:
        assert upgrade(empty) == (None, head_revision())
        with empty.begin() as connection:
            built = relations(connection)
            assert current_revision(connection) == head_revision()
        assert built == {*Base.metadata.tables, "frame_index", "channel_now"}
        downgrade(empty, "base")
        with empty.begin() as connection:
            assert relations(connection) == set()
            assert current_revision(connection) is None
        upgrade(empty)
        with empty.begin() as connection:
            assert relations(connection) == built
        assert upgrade(empty) == (head_revision(), head_revision())


def test_upgrades_at_once_wait_for_each_other(empty: Database) -> None:
    results: list[tuple[str | None, str]] = []
    together = threading.Barrier(4)

    def run() -> None:
        together.wait()
        results.append(upgrade(empty))

    threads = [threading.Thread(target=run) for _ in range(4)]
    with empty:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    head = head_revision()
    assert sorted(results, key=str) == sorted([(None, head), *[(head, head)] * 3], key=str)


def test_a_database_from_a_newer_twitchcat_is_not_upgraded(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RevisionMismatch, match="revision 9999, which this twitchcat does not know"):
        upgrade(database)
