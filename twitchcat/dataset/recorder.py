"""Writes visits into the dataset: images first, rows second, both under the writers' lock."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore
from twitchcat.dataset.locks import lock_images_for_writing
from twitchcat.dataset.visit import TakenFrame, VisitReport
from twitchcat.twitch.entities import Category, Channel, LiveStream

#: Why a frame is skipped whose moment another process has stored.
STORED_ALREADY = "stored already"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMemory:
    """What the dataset holds of a channel."""

    last_visit_at: datetime | None
    last_frame_at: datetime | None
    #: Since when it has declared this category, as far as visits saw; None: it was never seen with another.
    category_since: datetime | None
    hashes: tuple[int, ...]  #: perceptual hashes of its latest frames, signed 64 bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recording a visit added."""

    frames: int
    image_bytes: int


class Recorder:
    """Writes visits. Thread-safe."""

    def __init__(self, database: Database, store: ImageStore) -> None:
        self._database = database
        self._store = store

    def memory(
        self, channel_id: str, *, category_id: str | None, hashes: int, now: datetime
    ) -> ChannelMemory:
        """What the dataset holds of a channel that declares a category `now`.

        Its latest `hashes` hashes are among it. Raises StoreError.
        """
        frame, capture = schema.Frame, schema.Capture
        with self._database.begin() as connection:
            since = _category_since(connection, channel_id, category_id, now)
            visit = connection.execute(
                select(func.max(capture.started_at)).where(capture.channel_id == channel_id)
            ).scalar_one()
            latest = connection.execute(
                select(frame.captured_at, frame.phash)
                .where(frame.channel_id == channel_id)
                .order_by(frame.captured_at.desc())
                .limit(hashes)
            ).all()
        return ChannelMemory(
            last_visit_at=visit,
            category_since=since,
            last_frame_at=latest[0].captured_at if latest else None,
            hashes=tuple(row.phash for row in latest),
        )

    def record(
        self,
        report: VisitReport,
        frames: Sequence[TakenFrame],
        *,
        variant: str | None,
        after: Category | None,
        imported: bool = False,
    ) -> Recorded:
        """Store a visit, its frames and its images, or nothing of it.

        A moment of the channel that is stored already is left out. `imported` says that the category is
        somebody's word about a file and no declaration: it is noted in `labels`. Raises StoreError, DiskFull.
        """
        order, stream = report.order, report.order.stream
        before = report.category
        with self._database.begin() as connection:
            lock_images_for_writing(connection)
            images = self._store.put([frame.jpeg for frame in frames] if before else [])
            save_categories(connection, [category for category in (before, after) if category])
            _save_channel(connection, order.channel, stream.language if stream else None)
            if stream is not None:
                _save_broadcast(connection, stream)
            capture_id = connection.execute(
                insert(schema.Capture)
                .values(
                    broadcast_id=stream.id if stream else None,
                    channel_id=order.channel.id,
                    category_id=before.id if before else None,
                    category_after_id=after.id if after else None,
                    variant=variant,
                    started_at=report.started_at,
                    finished_at=report.finished_at,
                    frames_kept=0,
                    bytes_fetched=report.bytes_fetched,
                    outcome=report.outcome.value,
                    reason=report.reason,
                    skipped=dict(report.skipped),
                )
                .returning(schema.Capture.id)
            ).scalar_one()
            if not frames or before is None:
                return Recorded(frames=0, image_bytes=0)
            if imported:
                _save_label(connection, order.channel, before, report)
            split_of = _split_of(connection, order.channel.id)
            rows = [
                {
                    "capture_id": capture_id,
                    "channel_id": order.channel.id,
                    "category_id": before.id,
                    "position": position,
                    "captured_at": frame.captured_at,
                    "width": frame.width,
                    "height": frame.height,
                    "bytes": image.bytes,
                    "sha256": image.sha256,
                    "phash": frame.phash,
                    "path": image.path,
                    "split": split_of(frame.captured_at),
                }
                for position, (frame, image) in enumerate(zip(frames, images, strict=True))
            ]
            added = connection.execute(
                insert(schema.Frame).values(rows).on_conflict_do_nothing().returning(schema.Frame.bytes)
            ).scalars()
            sizes = list(added)
            connection.execute(
                update(schema.Capture)
                .where(schema.Capture.id == capture_id)
                .values(
                    frames_kept=len(sizes),
                    skipped=_with_conflicts(report.skipped, len(rows) - len(sizes)),
                )
            )
        return Recorded(frames=len(sizes), image_bytes=sum(sizes))


def _category_since(
    connection: Connection, channel_id: str, category_id: str | None, now: datetime
) -> datetime | None:
    capture = schema.Capture
    of_channel = capture.channel_id == channel_id
    another = (capture.category_id != category_id) | (capture.category_after_id != category_id)
    last_other = select(func.max(capture.finished_at)).where(of_channel, another).scalar_subquery()
    if connection.execute(select(last_other)).scalar_one() is None:
        return None
    first = select(func.min(capture.started_at)).where(
        of_channel, capture.category_id == category_id, capture.started_at >= last_other
    )
    since: datetime | None = connection.execute(first).scalar_one()
    return now if since is None else since


def _with_conflicts(skipped: Mapping[str, int], conflicts: int) -> dict[str, int]:
    """What was skipped, moments of the channel that were there already among it."""
    return {**skipped, STORED_ALREADY: conflicts} if conflicts else dict(skipped)


def save_categories(connection: Connection, categories: Iterable[Category]) -> None:
    """Add categories, or update what is known of them."""
    stored = schema.Category
    # In the order of their ids, so that two transactions never wait for each other in a circle.
    for category in sorted({one.id: one for one in categories}.values(), key=lambda one: one.id):
        values = {"id": category.id, "name": category.name, "is_game": category.is_game}
        connection.execute(insert(stored).values(values).on_conflict_do_nothing())
        # Apart from the insert, which would lock the row whether it changes or not. Once a minute is enough
        # for "last seen".
        connection.execute(
            update(stored)
            .where(
                stored.id == category.id,
                (stored.last_seen < func.now() - timedelta(minutes=1))
                | (stored.name != category.name)
                | stored.is_game.is_distinct_from(func.coalesce(category.is_game, stored.is_game)),
            )
            .values(
                name=category.name,
                is_game=func.coalesce(category.is_game, stored.is_game),
                last_seen=func.now(),
            )
        )


def _save_label(connection: Connection, channel: Channel, category: Category, report: VisitReport) -> None:
    connection.execute(
        insert(schema.Label).values(
            channel_id=channel.id,
            started_at=report.started_at,
            ended_at=report.finished_at,
            label=category.name,
            category_id=category.id,
            source="imported",
        )
    )


def _split_of(connection: Connection, channel_id: str) -> Callable[[datetime], str | None]:
    """The split of a new frame of the channel, by its time; the writers' lock holds splits still."""
    channel = schema.Channel
    split, until = connection.execute(
        select(channel.split, channel.split_until).where(channel.id == channel_id)
    ).one()
    return lambda captured_at: split if until is None or captured_at < until else None


def _save_channel(connection: Connection, channel: Channel, language: str | None) -> None:
    stored = schema.Channel
    known = {"login": channel.login, "display_name": channel.display_name}
    connection.execute(
        insert(stored).values(id=channel.id, language=language, **known).on_conflict_do_nothing()
    )
    if language is not None:
        known["language"] = language
    _update_if_different(connection, stored, channel.id, known)


def _save_broadcast(connection: Connection, stream: LiveStream) -> None:
    stored = schema.Broadcast
    known = {"title": stream.title, "tags": list(stream.tags), "language": stream.language}
    connection.execute(
        insert(stored)
        .values(id=stream.id, channel_id=stream.channel.id, started_at=stream.started_at, **known)
        .on_conflict_do_nothing()
    )
    _update_if_different(connection, stored, stream.id, known)


def _update_if_different(
    connection: Connection,
    stored: type[schema.Channel] | type[schema.Broadcast],
    key: str,
    known: Mapping[str, Any],
) -> None:
    # A row that is right already is not locked by this.
    changed = or_(*(getattr(stored, name).is_distinct_from(value) for name, value in known.items()))
    connection.execute(update(stored).where(stored.id == key, changed).values(**known))
