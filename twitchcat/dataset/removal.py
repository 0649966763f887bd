"""Removing frames: rows first, then the images that no row names any more."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore
from twitchcat.dataset.locks import lock_images_for_removal
from twitchcat.errors import ConfigError, NoSuchChannel

#: Frames removed in one transaction, so that collectors never wait for long.
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which frames: all that meet every condition that is set."""

    channel: str | None = None  #: login
    category: str | None = None  #: name, case-insensitive
    before: datetime | None = None
    frames: tuple[int, ...] = ()  #: ids

    def __post_init__(self) -> None:
        if not (self.channel or self.category or self.before or self.frames):
            raise ConfigError("say what to remove: --channel, --category, --before or --frame")

    @property
    def whole_channel(self) -> bool:
        """Whether everything known of a channel is meant, not only some of its frames."""
        return bool(self.channel) and not (self.category or self.before or self.frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed, or would be."""

    frames: int
    bytes: int
    captures: int = 0  #: visits, removed with a whole channel


def remove(database: Database, store: ImageStore, selection: Selection, *, dry_run: bool) -> Removed:
    """Remove the selected frames, and with a whole channel all that is known of it.

    A crash leaves at worst images without rows. Raises NoSuchChannel, ConfigError for an unknown category,
    StoreError.
    """
    frame = schema.Frame
    with database.begin() as connection:
        condition = _condition(connection, selection)
        count, size = connection.execute(
            select(func.count(), func.coalesce(func.sum(frame.bytes), 0)).where(*condition)
        ).one()
        captures = 0
        if selection.whole_channel:
            captures = connection.execute(
                select(func.count())
                .select_from(schema.Capture)
                .join(schema.Channel, schema.Channel.id == schema.Capture.channel_id)
                .where(schema.Channel.login == selection.channel)
            ).scalar_one()
    if not dry_run:
        remove_frames(database, store, condition)
        if selection.whole_channel:
            with database.begin() as connection:
                # A collector may have added frames meanwhile; from here on it waits.
                lock_images_for_removal(connection)
                late = (
                    connection.execute(delete(frame).where(*condition).returning(frame.path)).scalars().all()
                )
                connection.execute(
                    delete(schema.WatchedChannel).where(schema.WatchedChannel.login == selection.channel)
                )
                connection.execute(
                    delete(schema.Observation).where(schema.Observation.login == selection.channel)
                )
                # What else belongs to the channel goes with its row.
                connection.execute(delete(schema.Channel).where(schema.Channel.login == selection.channel))
            remove_unnamed(database, store, late)
    return Removed(frames=count, bytes=int(size), captures=captures)


def remove_frames(
    database: Database,
    store: ImageStore,
    condition: Sequence[ColumnElement[bool]],
    *,
    stop: threading.Event | None = None,
) -> int:
    """Remove the frames that meet every condition, in batches, until told to stop; how many.

    Raises StoreError.
    """
    frame = schema.Frame
    removed = 0
    while True:
        with database.begin() as connection:
            lock_images_for_removal(connection)
            batch = select(frame.id).where(*condition).order_by(frame.id).limit(BATCH)
            paths = connection.execute(
                delete(frame).where(frame.id.in_(batch.scalar_subquery())).returning(frame.path)
            ).scalars()
            gone = list(paths)
        remove_unnamed(database, store, gone)
        removed += len(gone)
        if len(gone) < BATCH or (stop is not None and stop.is_set()):
            return removed


def remove_unnamed(database: Database, store: ImageStore, paths: Iterable[str]) -> int:
    """Remove those of these images that no row names; how many. Raises StoreError."""
    wanted = set(paths)
    if not wanted:
        return 0
    frame = schema.Frame
    with database.begin() as connection:
        # Nobody writes an image while we hold this, so one without a row now stays without.
        lock_images_for_removal(connection)
        named = set(connection.execute(select(frame.path).where(frame.path.in_(wanted))).scalars())
        return sum(store.remove(path) for path in sorted(wanted - named))


def _condition(connection: Connection, selection: Selection) -> list[ColumnElement[bool]]:
    frame = schema.Frame
    conditions: list[ColumnElement[bool]] = []
    if selection.channel:
        ids = connection.execute(
            select(schema.Channel.id).where(schema.Channel.login == selection.channel)
        ).scalars()
        found = list(ids)
        if not found:
            raise NoSuchChannel(f"the dataset knows no channel {selection.channel}")
        conditions.append(frame.channel_id.in_(found))
    if selection.category:
        ids = connection.execute(
            select(schema.Category.id).where(func.lower(schema.Category.name) == selection.category.lower())
        ).scalars()
        found = list(ids)
        if not found:
            raise ConfigError(
                f"the dataset knows no category {selection.category!r}; see twitchcat dataset info"
            )
        conditions.append(frame.category_id.in_(found))
    if selection.before:
        conditions.append(frame.captured_at < selection.before)
    if selection.frames:
        conditions.append(frame.id.in_(selection.frames))
    return conditions
