"""Where a Postgres is, as a value that shows its password to nobody who merely prints it."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from twitchcat.errors import ConfigError

_NAMES = ("postgres", "postgresql", "postgresql+psycopg2")


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A database's URL. `str()` and `repr()` mask the password."""

    _url: URL

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "postgresql://user:password@host:port/database?sslmode=…", or the same with "postgres://".

        What is left out is libpq's to fill in: PGHOST, PGUSER, ~/.pgpass and so on. Raises ConfigError, whose
        message does not repeat the URL.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise ConfigError(
                "database.url: is no URL; it looks like postgresql://user:password@host:5432/database"
            ) from None
        if url.drivername not in _NAMES:
            raise ConfigError(
                f"database.url: {url.drivername} is not Postgres; it starts with postgresql:// or postgres://"
            )
        # The bare scheme means psycopg 3 to SQLAlchemy 2.1.
        return cls(url.set(drivername="postgresql+psycopg2"))

    @classmethod
    def of_socket(cls, *, folder: str, user: str, database: str) -> Self:
        """A server on this machine that listens on a socket in `folder` (absolute)."""
        url = URL.create("postgresql+psycopg2", username=user, database=database, query={"host": folder})
        return cls(url)

    @property
    def sqlalchemy(self) -> URL:
        """As SQLAlchemy takes it, driver named, password included."""
        return self._url

    @property
    def password(self) -> str | None:
        """The password, if the URL holds one."""
        return self._url.password

    @property
    def options(self) -> frozenset[str]:
        """Names of the connection options that the URL sets itself."""
        return frozenset(self._url.query)

    def libpq(self, *, password: bool = True) -> str:
        """As psql, pandas and every other client of libpq take it."""
        url = self._url.set(drivername="postgresql")
        if not password:
            # `set` cannot unset: it takes None for "leave it".
            url = url._replace(password=None)
        return url.render_as_string(hide_password=False)

    def __str__(self) -> str:
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"
