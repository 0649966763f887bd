"""Advisory locks of the database: what processes that share a dataset agree on.

Postgres releases them when a connection ends, so a killed process leaves none behind.
"""

import threading
from contextlib import suppress
from typing import Self

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from twitchcat.dataset.database import Database, store_errors
from twitchcat.errors import StoreError

# Two-key advisory locks: the first says what is locked. The numbers are arbitrary and must never change,
# since processes of different versions may share a database.
_IMAGES = 7_401
_CHANNEL = 7_402


def lock_images_for_writing(connection: Connection) -> None:
    """Hold off removal until this transaction ends; many may write at once."""
    connection.execute(text("SELECT pg_advisory_xact_lock_shared(:what, 0)"), {"what": _IMAGES})


def lock_images_for_removal(connection: Connection) -> None:
    """Wait for the transactions that are writing images, and hold off others until this one ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:what, 0)"), {"what": _IMAGES})


class ChannelClaims:
    """Which channels this process is visiting, so that no other visits them at the same time.

    Thread-safe. One connection holds all claims; if it is lost, so are they, and at worst two processes visit
    one channel at once: the unique moments of a channel's frames keep the dataset right even then.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._connection: Connection | None = None

    def claim(self, channel_id: str) -> bool:
        """Try to claim a channel; False if another process has it. Raises StoreError."""
        return self._ask("SELECT pg_try_advisory_lock(:what, hashtext(:channel))", channel_id)

    def release(self, channel_id: str) -> None:
        """Let go of a channel. A claim whose connection was lost is gone already."""
        with suppress(StoreError):
            self._ask("SELECT pg_advisory_unlock(:what, hashtext(:channel))", channel_id)

    def _ask(self, statement: str, channel_id: str) -> bool:
        with self._mutex, store_errors():
            if self._connection is None:
                self._connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                answer = self._connection.execute(text(statement), {"what": _CHANNEL, "channel": channel_id})
                return bool(answer.scalar_one())
            except SQLAlchemyError:
                self._connection.invalidate()
                self._connection = None
                raise

    def close(self) -> None:
        """Let go of every channel."""
        with self._mutex:
            if self._connection is not None:
                # Closing alone would give the connection, locks and all, back to the pool.
                self._connection.invalidate()
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
