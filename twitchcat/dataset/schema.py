"""The tables. What each holds, and the views on them, is described in `docs/sql.md`.

Ids of categories, channels and broadcasts are Twitch's own, text. Times carry a zone. Migrations build these
tables; a test holds both equal.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    cast,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, JSONB, REAL, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

OUTCOMES = ("kept", "offline", "ad", "changed", "error")
SPLITS = ("train", "val", "test")
LABEL_SOURCES = ("declared", "human", "imported", "model")
STATUSES = ("recognized", "unknown", "offline", "unreadable", "error")
#: Embeddings of these lengths have an index; others are found by a scan.
INDEXED_DIMS = (384, 512, 768)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


class Base(DeclarativeBase):
    """What all tables share: constraint names by rule, and Postgres types behind Python's."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares and reads it as a plain attribute
        str: Text,
        float: REAL,
        datetime: TIMESTAMP(timezone=True),
        timedelta: INTERVAL,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }


class Dataset(Base):
    """The one row that says which dataset this is; the image store that belongs to it holds the same id."""

    __tablename__ = "dataset"
    __table_args__ = (CheckConstraint("single", name="one_row"),)

    single: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    id: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))


class Category(Base):
    """A Twitch category."""

    __tablename__ = "categories"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    is_game: Mapped[bool | None]  #: null: not asked
    first_seen: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_seen: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Channel(Base):
    """A Twitch user as a broadcaster. A login may pass to another user, so it is not unique."""

    __tablename__ = "channels"
    __table_args__ = (
        UniqueConstraint("id", "split"),  # what frames refer to
        _one_of("split", SPLITS),
        CheckConstraint("split IS NOT NULL OR split_until IS NULL", name="split_until_has_split"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(index=True)
    display_name: Mapped[str]
    language: Mapped[str | None]  #: of the latest broadcast
    split: Mapped[str | None]  #: of its frames; null: not dealt
    split_until: Mapped[datetime | None]  #: frames from then on are in no split; null: all are


class Broadcast(Base):
    """One live stream of a channel, from going live to going offline."""

    __tablename__ = "broadcasts"

    id: Mapped[str] = mapped_column(primary_key=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime]
    title: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    language: Mapped[str | None]


class Capture(Base):
    """One visit to one broadcast, or to a channel that turned out to be offline."""

    __tablename__ = "captures"
    __table_args__ = (
        UniqueConstraint("id", "channel_id"),  # what frames refer to
        _one_of("outcome", OUTCOMES),
        CheckConstraint("outcome <> 'error' OR reason IS NOT NULL", name="error_has_reason"),
        CheckConstraint("frames_kept >= 0 AND bytes_fetched >= 0", name="counts_positive"),
        Index(None, "channel_id", "started_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    broadcast_id: Mapped[str | None] = mapped_column(
        ForeignKey("broadcasts.id", ondelete="CASCADE"), index=True
    )
    channel_id: Mapped[str] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    category_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"), index=True)  #: before
    category_after_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))
    variant: Mapped[str | None]  #: "360p"; null: none was chosen
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    frames_kept: Mapped[int] = mapped_column(server_default=text("0"))
    bytes_fetched: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    outcome: Mapped[str]
    reason: Mapped[str | None]  #: "geoblocked", "network", "integrity", "no such channel", …
    skipped: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  #: reason to count


class Frame(Base):
    """One stored picture. Its channel is the capture's; one moment of a channel is stored once."""

    __tablename__ = "frames"
    __table_args__ = (
        ForeignKeyConstraint(
            ["capture_id", "channel_id"], ["captures.id", "captures.channel_id"], ondelete="CASCADE"
        ),
        # A frame is in its channel's split or in none: no channel can stand in two. Dealing the channel anew
        # moves its frames along.
        ForeignKeyConstraint(
            ["channel_id", "split"],
            ["channels.id", "channels.split"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        UniqueConstraint("capture_id", "position"),
        UniqueConstraint("channel_id", "captured_at"),  # also finds a channel's latest hashes
        _one_of("split", SPLITS),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_hex"),
        CheckConstraint("width > 0 AND height > 0 AND bytes > 0 AND position >= 0", name="sizes_positive"),
        Index(None, "category_id", "channel_id"),  # counts by category, and a channel's share of them
        # By path, and by the folder it begins with, whatever the database's collation.
        Index(None, "path", postgresql_ops={"path": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    capture_id: Mapped[int] = mapped_column(BigInteger)
    channel_id: Mapped[str]
    category_id: Mapped[str] = mapped_column(ForeignKey("categories.id"))
    position: Mapped[int] = mapped_column(SmallInteger)  #: within the capture, from 0, in time order
    captured_at: Mapped[datetime] = mapped_column(index=True)  #: the playlist's programme time
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]  #: of the image file
    sha256: Mapped[str]
    phash: Mapped[int] = mapped_column(BigInteger)  #: 64 bits of perceptual hash, read as signed
    path: Mapped[str]  #: relative to the images folder of the data directory
    split: Mapped[str | None]  #: the channel's; null: not dealt, or left out


class Embedding(Base):
    """What an encoder makes of a frame."""

    __tablename__ = "embeddings"
    __table_args__ = (CheckConstraint("vector_dims(vector) = dims", name="dims_match"),)

    frame_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True
    )
    encoder: Mapped[str] = mapped_column(primary_key=True)
    dims: Mapped[int]
    vector: Mapped[HalfVector] = mapped_column(HALFVEC())


for _dims in INDEXED_DIMS:
    Index(
        f"embeddings_vector_{_dims}_idx",
        cast(Embedding.vector, HALFVEC(_dims)).label("vector"),
        postgresql_using="hnsw",
        postgresql_ops={"vector": "halfvec_cosine_ops"},
        postgresql_where=Embedding.dims == _dims,
    )


class Model(Base):
    """A trained model that was registered."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_hex"),
        Index("models_current_idx", "current", unique=True, postgresql_where=text("current")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    path: Mapped[str]  #: of the .onnx file, relative to the models folder of the data directory
    sha256: Mapped[str] = mapped_column(unique=True)
    backbone: Mapped[str | None]
    classes: Mapped[list[Any]]  #: [{"id", "name"}, …] in the order of the logits
    fingerprint: Mapped[str | None]  #: of the dataset it was trained on
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    current: Mapped[bool] = mapped_column(server_default=text("false"))  #: at most one is in use
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Label(Base):
    """What somebody says a frame, or a stretch of a channel's time, shows."""

    __tablename__ = "labels"
    __table_args__ = (
        _one_of("source", LABEL_SOURCES),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_is_share"),
        CheckConstraint(
            "(frame_id IS NOT NULL AND num_nonnulls(channel_id, started_at, ended_at) = 0)"
            " OR (frame_id IS NULL AND num_nonnulls(channel_id, started_at, ended_at) = 3)",
            name="frame_or_span",
        ),
        CheckConstraint("ended_at > started_at", name="ended_after_start"),
        Index(
            "labels_frame_key",
            "frame_id",
            "source",
            "label",
            unique=True,
            postgresql_where=text("frame_id IS NOT NULL"),
        ),
        Index(None, "channel_id", "started_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    frame_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("frames.id", ondelete="CASCADE"))
    channel_id: Mapped[str | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    label: Mapped[str]  #: a category's name, or another word where it is no category
    category_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))
    source: Mapped[str]
    model_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("models.id", ondelete="CASCADE"))
    confidence: Mapped[float] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WatchedChannel(Base):
    """A channel that the daemon looks at."""

    __tablename__ = "watched_channels"
    __table_args__ = (
        CheckConstraint("login = lower(login)", name="login_is_lower"),
        CheckConstraint("interval > interval '0'", name="interval_positive"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    channel_id: Mapped[str | None] = mapped_column(ForeignKey("channels.id", ondelete="SET NULL"))
    interval: Mapped[timedelta | None]  #: null: the setting monitor.interval
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    rules: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))  #: alert rules
    added_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Observation(Base):
    """One recognition of one channel at one time."""

    __tablename__ = "observations"
    __table_args__ = (
        _one_of("status", STATUSES),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_is_share"),
        CheckConstraint("status <> 'recognized' OR category_id IS NOT NULL", name="recognized_has_category"),
        Index(None, "login", "observed_at"),
        Index(None, "channel_id", "observed_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    login: Mapped[str]
    channel_id: Mapped[str | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    observed_at: Mapped[datetime]
    status: Mapped[str]
    reason: Mapped[str | None]  #: why it is unknown, unreadable or an error
    category_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))  #: what was seen
    declared_category_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))
    confidence: Mapped[float | None]
    #: What the status comes to once seen and declared are compared; neither is claimed if one is missing.
    state: Mapped[str] = mapped_column(
        Computed(
            "CASE WHEN status = 'offline' THEN 'offline'"
            " WHEN status IN ('unreadable', 'error') THEN 'unreadable'"
            " WHEN status = 'unknown' OR declared_category_id IS NULL THEN 'unknown'"
            " WHEN category_id = declared_category_id THEN 'agrees'"
            " ELSE 'mismatch' END",
            persisted=True,
        )
    )
    candidates: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))  #: [{id, name, probability}]
    model_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("models.id", ondelete="SET NULL"), index=True
    )
    frames: Mapped[int] = mapped_column(server_default=text("0"))
    bytes_fetched: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    latency_s: Mapped[float | None] = mapped_column(Double)


class CategorySpan(Base):
    """What a channel showed, or declared, from when to when."""

    __tablename__ = "category_spans"
    __table_args__ = (
        _one_of("kind", ("seen", "declared")),
        CheckConstraint("ended_at >= started_at", name="ended_after_start"),
        UniqueConstraint("channel_id", "kind", "started_at"),
        Index(
            "category_spans_open_key",
            "channel_id",
            "kind",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    kind: Mapped[str]
    category_id: Mapped[str | None] = mapped_column(ForeignKey("categories.id"))  #: null: unknown or none
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  #: null: it still lasts
    confidence: Mapped[float | None]


class Alert(Base):
    """What was sent where, when, and whether it arrived."""

    __tablename__ = "alerts"
    __table_args__ = (
        _one_of("status", ("pending", "delivered", "failed")),
        UniqueConstraint("event_id", "destination"),
        Index(None, "channel_id", "created_at"),
        Index("alerts_pending_idx", "created_at", postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[UUID]  #: the same for every destination and every attempt
    channel_id: Mapped[str | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    rule: Mapped[str]
    destination: Mapped[str]  #: the destination's name, never its address or key
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    error: Mapped[str | None]  #: of the last attempt
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    delivered_at: Mapped[datetime | None]
