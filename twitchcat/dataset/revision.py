"""At which revision a database stands, and how it gets to another: Alembic, driven from here."""

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

import twitchcat
from twitchcat.errors import RevisionMismatch

if TYPE_CHECKING:
    from twitchcat.dataset.database import Database

#: Two upgrades of one database wait for each other on this advisory lock. Any number will do if it stays.
_UPGRADE_LOCK = 0x74_77_69_74_63_68  # "twitch"


def migrations_folder() -> Path:
    """The migrations: inside the package when installed from a wheel, beside it in a source tree."""
    package = Path(twitchcat.__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _config() -> Config:
    config = Config()
    # ConfigParser, which is behind it, takes a % for the start of an interpolation.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head_revision() -> str:
    """The revision that this twitchcat works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RevisionMismatch(f"{migrations_folder()} holds no migrations: install twitchcat anew")
    return head


def known_revisions() -> frozenset[str]:
    """Every revision that this twitchcat can upgrade from, the head included."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def current_revision(connection: Connection) -> str | None:
    """The revision that the database stands at; None: it has never been set up."""
    return MigrationContext.configure(connection).get_current_revision()


def mismatch(current: str | None) -> RevisionMismatch | None:
    """What to say to a database at this revision; None if it is the right one."""
    head = head_revision()
    if current == head:
        return None
    if current is None:
        return RevisionMismatch(
            f"the database is not set up yet (expected revision {head}): run `twitchcat db upgrade`"
        )
    if current not in known_revisions():
        return RevisionMismatch(
            f"the database stands at revision {current}, which this twitchcat does not know (it expects"
            f" {head}): a newer twitchcat has upgraded it, so use that one"
        )
    return RevisionMismatch(
        f"the database stands at revision {current}, this twitchcat expects {head}:"
        " run `twitchcat db upgrade`"
    )


def upgrade(database: "Database") -> tuple[str | None, str]:
    """Bring the database to the head revision, in one transaction; concurrent calls wait for each other.

    Returns the revisions before and after; None before: it was never set up.
    Raises RevisionMismatch where the database stands at a revision that is not known here, StoreError where
    Postgres refuses.
    """
    return _run(database, command.upgrade, "head"), head_revision()


def downgrade(database: "Database", revision: str) -> None:
    """Bring the database back to an earlier revision, "base" being none, in one transaction.

    Raises RevisionMismatch for a revision that is not known here, StoreError where Postgres refuses.
    """
    _run(database, command.downgrade, revision)


def _run(database: "Database", step: "_Step", revision: str) -> str | None:
    config = _config()
    with database.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        before = current_revision(connection)
        config.attributes["connection"] = connection
        try:
            step(config, revision)
        except CommandError as error:
            raise mismatch(before) or RevisionMismatch(str(error)) from error
    return before


if TYPE_CHECKING:
    from collections.abc import Callable

    _Step = Callable[[Config, str], None]
