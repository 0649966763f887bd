"""One way to the database, embedded or anywhere, with every error of the driver as one of ours."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from twitchcat.config import Settings
from twitchcat.dataset import revision
from twitchcat.dataset.address import Address
from twitchcat.dataset.embedded import DATABASE, EmbeddedServer
from twitchcat.errors import StoreError

log = logging.getLogger(__name__)

APPLICATION = "twitchcat"
MIN_POSTGRES = 15
MIN_PGVECTOR = (0, 7)  # the first with halfvec
_CONNECT_TIMEOUT_S = 10
#: A link that died without a word is noticed within a minute, not after the kernel's hours. Over TCP only.
_DEAD_LINK = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms
}


class Database:
    """An open database. Close it, or use it as a context manager; safe to share between threads."""

    def __init__(self, address: Address, *, pool: int, server: EmbeddedServer | None = None) -> None:
        """Connect to nothing yet. `server` is the embedded one behind the address, already started."""
        self.url = address  #: prints with its password masked
        self._server = server
        self._restarting = threading.Lock()
        self._closed = False
        self.engine: Engine = create_engine(
            address.sqlalchemy,
            # Removing waits for a lock and must then see what was committed meanwhile, whatever the server's
            # default is.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # a server that came back is noticed before it is used
            pool_size=pool,
            max_overflow=pool,
            connect_args=_connect_arguments(address),
            hide_parameters=True,
        )

    @property
    def embedded(self) -> bool:
        """Whether the server is the embedded one, which this handle keeps running."""
        return self._server is not None

    @contextmanager
    def begin(self, *, read_only: bool = False) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an exception.

        A connection that was lost is replaced first, an embedded server that died is started again, once.
        Raises StoreError for whatever the database refuses; other exceptions pass through.
        """
        with store_errors(), self.connect() as connection:
            if read_only:
                connection.execution_options(postgresql_readonly=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections; an embedded server that nobody else uses stops. Harmless twice."""
        with self._restarting:
            self._closed = True  # no thread that is still at work starts the server again
        self.engine.dispose()
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def connect(self) -> Connection:
        """A connection of the caller's own; an embedded server that died is started again, once.

        Raises SQLAlchemy's errors: `store_errors` translates them.
        """
        try:
            return self.engine.connect()
        except OperationalError:
            if self._server is None:
                raise
        with self._restarting:  # one thread starts it, the others find it running
            if self._closed:
                raise StoreError("the database was closed")
            if self._server.start():
                log.warning("embedded_database_restarted")
        return self.engine.connect()


def open_database(settings: Settings, *, require_current: bool = True) -> Database:
    """Open the database of the settings: the server of `database.url`, or the embedded one.

    The embedded server is started if it does not run, and set up or upgraded. A remote one is never changed.
    With `require_current` unset the revision is neither looked at nor changed, in both.

    Raises RevisionMismatch if it stands at another revision than this twitchcat's, StoreError if it cannot be
    reached or used, ConfigError if the URL is none.
    """
    if settings.database.url is not None:
        address = Address.parse(settings.database.url.get_secret_value())
        database = Database(address, pool=settings.database.pool)
        with _closing_on_error(database), database.begin() as connection:
            check_server(connection)
            if require_current:
                _check_revision(connection)
        return database
    return _open_embedded(settings, require_current=require_current)


def _open_embedded(settings: Settings, *, require_current: bool) -> Database:
    server = EmbeddedServer(settings.data_dir)
    database = Database(server.address(), pool=settings.database.pool, server=server)

    def prepare() -> None:  # while no other process starts
        _create_database(server.address("postgres"))
        if not require_current:
            return
        with database.begin() as connection:
            current = revision.current_revision(connection)
        if current != revision.head_revision():
            revision.upgrade(database)

    with _closing_on_error(database):
        server.start(prepare)
    return database


def _create_database(address: Address) -> None:
    maintenance = create_engine(
        address.sqlalchemy, isolation_level="AUTOCOMMIT", connect_args=_connect_arguments(address)
    )
    try:
        with store_errors(), maintenance.connect() as connection:
            wanted = {"name": DATABASE}
            if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), wanted):
                connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    finally:
        maintenance.dispose()


def check_server(connection: Connection) -> None:
    """Raise StoreError unless this is a PostgreSQL recent enough, with pgvector installed or at hand."""
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    extension = connection.scalar(
        text(
            "SELECT coalesce(installed_version, default_version)"
            " FROM pg_available_extensions WHERE name = 'vector'"
        )
    )
    problem = unsuitable(version=number // 10_000, pgvector=extension)
    if problem:
        raise StoreError(problem)


def unsuitable(*, version: int, pgvector: str | None) -> str | None:
    """Why a server of this major version, with this pgvector or none, cannot be used; None if it can."""
    wanted = ".".join(map(str, MIN_PGVECTOR))
    if version < MIN_POSTGRES:
        return f"the database is PostgreSQL {version}; twitchcat needs {MIN_POSTGRES} or later"
    if pgvector is None:
        return f"the database server has no pgvector: install its extension `vector`, {wanted} or later"
    if tuple(int(part) for part in pgvector.split(".")[:2]) < MIN_PGVECTOR:
        return (
            f"the database has pgvector {pgvector}; twitchcat needs {wanted} or later: install it and run"
            " `ALTER EXTENSION vector UPDATE`"
        )
    return None


def _check_revision(connection: Connection) -> None:
    found = revision.mismatch(revision.current_revision(connection))
    if found is not None:
        raise found


def _connect_arguments(address: Address) -> dict[str, str | int]:
    defaults: dict[str, str | int] = {
        "application_name": APPLICATION,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        **_DEAD_LINK,
    }
    return {name: value for name, value in defaults.items() if name not in address.options}


@contextmanager
def _closing_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what SQLAlchemy and psycopg2 raise into StoreError with one useful sentence."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(explain(error)) from error
    except psycopg2.Error as error:
        raise StoreError(f"the database was lost: {_first_line(error)}") from error


def explain(error: SQLAlchemyError) -> str:
    """One sentence for an error of SQLAlchemy, without statement, parameters or password."""
    if not isinstance(error, DBAPIError) or not isinstance(error.orig, psycopg2.Error):
        return f"the database: {_first_line(error)}"
    if isinstance(error.orig, psycopg2.OperationalError) and error.orig.pgcode is None:
        # libpq's own words; they name host, port and user, never the password.
        return f"the database cannot be reached: {_first_line(error.orig)}"
    hint = error.orig.diag.message_hint
    return f"the database refused: {_first_line(error.orig)}" + (f" ({hint})" if hint else "")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
