"""A snapshot: which frames a training run saw, with their labels and splits, under one fingerprint."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, get_args

from sqlalchemy import func, select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.errors import ConfigError
from twitchcat.twitch.entities import Category

Split = Literal["train", "val", "test"]

_FORMAT = "twitchcat snapshot"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFrame:
    """One frame as it was when the snapshot was taken."""

    frame_id: int
    path: str  #: relative to the images folder of the data directory
    sha256: str  #: of the image file
    category_id: str
    category: str
    channel_id: str
    channel: str  #: login
    capture_id: int
    position: int  #: within the capture, in time order
    captured_at: datetime
    split: Split

    def __post_init__(self) -> None:
        if self.captured_at.tzinfo is None:
            raise ValueError("captured_at needs a time zone")
        if self.split not in get_args(Split):
            raise ValueError(f"there is no split {self.split!r}")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Frames of the three splits, ordered by channel and time; captures follow one another whole."""

    frames: tuple[SnapshotFrame, ...]

    def __post_init__(self) -> None:
        splits: dict[str, str] = {}
        for frame in self.frames:
            if splits.setdefault(frame.channel_id, frame.split) != frame.split:
                raise ValueError(f"channel {frame.channel} stands in two splits")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what can be learned from these frames: pictures, labels, splits and order.

        Numbers that a database gave out (frame and capture ids), logins and names are left out: the same
        pictures imported anywhere have the same fingerprint.
        """
        digest = hashlib.sha256(f"{_FORMAT} {_VERSION}\n".encode())
        begins: dict[int, str] = {}  # a capture is known by its channel and its first frame's time
        for frame in sorted(self.frames, key=_order):
            at = frame.captured_at.astimezone(UTC).isoformat(timespec="microseconds")
            capture = begins.setdefault(frame.capture_id, at)
            values = (
                frame.channel_id,
                capture,
                frame.position,
                at,
                frame.sha256,
                frame.category_id,
                frame.split,
            )
            digest.update(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        return digest.hexdigest()

    @cached_property
    def classes(self) -> tuple[Category, ...]:
        """The categories in the snapshot, sorted by name, then id: the order of a model's logits."""
        named = {frame.category_id: frame.category for frame in self.frames}
        ordered = sorted(named.items(), key=lambda one: (one[1], one[0]))
        return tuple(Category(id=category_id, name=name) for category_id, name in ordered)

    def of(self, split: Split) -> tuple[SnapshotFrame, ...]:
        """The frames of one split, in the snapshot's order."""
        return tuple(frame for frame in self.frames if frame.split == split)

    def save(self, path: Path) -> None:
        """Write gzipped JSON Lines: a header, then a line per frame; the same bytes each time."""
        header = {
            "format": _FORMAT,
            "version": _VERSION,
            "fingerprint": self.fingerprint,
            "frames": len(self.frames),
        }
        with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as file:
            file.write(_line(header))
            for frame in self.frames:
                file.write(_line(asdict(frame) | {"captured_at": frame.captured_at.isoformat()}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved snapshot. Raises ConfigError if it is none, damaged, altered or of another version."""
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                header = json.loads(next(file, "null"))
                if not isinstance(header, dict) or header.get("format") != _FORMAT:
                    raise ConfigError(f"{path}: is no snapshot of twitchcat's")
                if header.get("version") != _VERSION:
                    raise ConfigError(
                        f"{path}: is a snapshot of version {header.get('version')}, this twitchcat reads"
                        f" {_VERSION}"
                    )
                snapshot = cls(tuple(_read(line) for line in file))
        except OSError as error:  # gzip's own included
            raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError, EOFError, zlib.error) as error:
            raise ConfigError(f"{path}: is damaged: {error}") from error
        if snapshot.fingerprint != header.get("fingerprint") or len(snapshot.frames) != header.get("frames"):
            raise ConfigError(f"{path}: has been altered: its fingerprint does not fit its frames")
        return snapshot


def freeze(database: Database, *, categories: Sequence[str] | None = None) -> Snapshot:
    """Take a snapshot of every frame that has a split; `categories` keeps those of these names or ids only.

    Names are compared whatever their case. Raises ConfigError if nothing has a split, or for a category of
    which no frame has one; StoreError.
    """
    frame, category, channel = schema.Frame, schema.Category, schema.Channel
    query = (
        select(
            frame.id.label("frame_id"),
            frame.path,
            frame.sha256,
            frame.category_id,
            category.name.label("category"),
            frame.channel_id,
            channel.login.label("channel"),
            frame.capture_id,
            frame.position,
            frame.captured_at,
            frame.split,
        )
        .join(category, category.id == frame.category_id)
        .join(channel, channel.id == frame.channel_id)
        .where(frame.split.is_not(None))
    )
    if categories is not None:
        folded = [name.casefold() for name in categories]
        query = query.where(category.id.in_(list(categories)) | func.lower(category.name).in_(folded))
    with database.begin(read_only=True) as connection:
        rows = connection.execute(query).mappings().all()
    frames = sorted((SnapshotFrame(**row) for row in rows), key=_order)
    if categories is not None:
        known = {name.casefold() for one in frames for name in (one.category, one.category_id)}
        if missing := [name for name in categories if name.casefold() not in known]:
            raise ConfigError(f"no frame with a split is of {', '.join(missing)}; see twitchcat dataset info")
    if not frames:
        raise ConfigError("no frame has a split yet: run twitchcat dataset split")
    return Snapshot(tuple(_captures_whole(frames)))


def _order(frame: SnapshotFrame) -> tuple[str, datetime, str]:
    return frame.channel_id, frame.captured_at, frame.sha256


def _captures_whole(frames: Iterable[SnapshotFrame]) -> list[SnapshotFrame]:
    """Order frames by channel and time, those of a capture together where captures overlap in time."""
    ordered = sorted(frames, key=_order)
    places: dict[int, int] = {}
    for frame in ordered:
        places.setdefault(frame.capture_id, len(places))
    return sorted(ordered, key=lambda frame: (places[frame.capture_id], frame.position))


def _line(entry: object) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _read(line: str) -> SnapshotFrame:
    values = json.loads(line)
    expected = {field.name for field in fields(SnapshotFrame)}
    if not isinstance(values, dict) or values.keys() != expected:
        raise ValueError("a line does not describe a frame")
    return SnapshotFrame(**values | {"captured_at": datetime.fromisoformat(values["captured_at"])})
