"""How Alembic reaches the database: twitchcat hands it a connection, `alembic` on its own opens one."""

from alembic import context
from sqlalchemy import Connection

from twitchcat.dataset.schema import Base


def migrate(connection: Connection) -> None:
    """Run the migrations that were asked for, in the transaction of this connection."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Use the connection given, or that of the settings in force: `alembic revision`, `alembic history`."""
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    from twitchcat.config import load_settings  # noqa: PLC0415 - only when run by hand
    from twitchcat.dataset.database import open_database  # noqa: PLC0415 - only when run by hand

    with (
        open_database(load_settings().settings, require_current=False) as database,
        database.begin() as connection,
    ):
        migrate(connection)


main()
