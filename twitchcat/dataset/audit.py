"""The leak audit: pictures of one split that another split has too, or nearly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, update

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.deal import SPLITS
from twitchcat.dataset.embeddings import read_vector, sent_vector
from twitchcat.dataset.locks import lock_images_for_removal
from twitchcat.dataset.snapshot import Split
from twitchcat.errors import ConfigError

#: Bits of 64 by which the hashes of one picture differ after scaling and another JPEG compression.
NEAR_BITS = 3
#: Cosine of the embeddings of one picture, likewise; not every encoder is as far apart on others.
NEAR_COSINE = 0.99

_BLOCK = 4_000_000  # comparisons at a time: 32 MB of differing bits


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedFrame:
    """One side of a leak."""

    frame_id: int
    path: str
    channel: str  #: login
    category: str
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A frame that resembles one of an earlier split; of several the one that resembles it most."""

    frame: AuditedFrame  #: of the later split: what would be dropped
    resembles: AuditedFrame
    bits: int | None  #: by which their perceptual hashes differ
    cosine: float | None  #: of their embeddings; None: found by the hash
    encoder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found. The splits' order is training, validation, test."""

    leaks: tuple[Leak, ...]  #: one for each frame of a later split, in the order of their ids
    compared: int  #: frames that have a split
    encoders: tuple[str, ...]  #: whose embeddings were compared too
    dropped: int = 0  #: frames taken out of their split


def audit(
    database: Database,
    *,
    bits: int = NEAR_BITS,
    cosine: float = NEAR_COSINE,
    drop: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Find frames that a split shares with an earlier one, by perceptual hash and by every encoder there is.

    Hashes that differ in at most `bits` of 64, or embeddings whose cosine is at least `cosine`, are the same
    picture. With `drop`, these frames of the later split are in no split any more; they stay in the dataset.
    Raises ConfigError if no frame has a split, StoreError.
    """
    with database.begin(read_only=True) as connection:
        encoders = tuple(
            connection.execute(
                select(schema.Embedding.encoder)
                .join(schema.Frame, schema.Frame.id == schema.Embedding.frame_id)
                .where(schema.Frame.split.is_not(None))
                .distinct()
                .order_by(schema.Embedding.encoder)
            ).scalars()
        )
    hashes = _read_hashes(database)
    compared = sum(len(group.ids) for group in hashes.values())
    if not compared:
        raise ConfigError("no frame has a split yet: run twitchcat dataset split")
    steps, done = 2 * (1 + len(encoders)), 0
    found: dict[int, tuple[int, int | None, float | None, str | None]] = {}
    for encoder in (None, *encoders):
        groups = hashes if encoder is None else _read_embeddings(database, encoder)
        for later in SPLITS[1:]:
            earlier = _together([groups[split] for split in SPLITS[: SPLITS.index(later)]])
            if encoder is None:
                for frame_id, other, differing in near_hashes(groups[later], earlier, bits=bits):
                    found[frame_id] = (other, differing, None, None)
            else:
                for frame_id, other, likeness in near_vectors(groups[later], earlier, cosine=cosine):
                    found.setdefault(frame_id, (other, None, likeness, encoder))
            done += 1
            if progress is not None:
                progress(done, steps)
    described = _describe(database, sorted({*found, *(one[0] for one in found.values())}))
    leaks = tuple(
        Leak(
            frame=described[frame_id],
            resembles=described[other],
            bits=differing,
            cosine=likeness,
            encoder=encoder,
        )
        for frame_id, (other, differing, likeness, encoder) in sorted(found.items())
        if frame_id in described and other in described
    )
    dropped = _drop(database, leaks) if drop and leaks else 0
    return AuditReport(leaks=leaks, compared=compared, encoders=encoders, dropped=dropped)


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """What frames are compared by."""

    ids: NDArray[np.int64]  #: (N,) frame ids
    #: (N,) int64 perceptual hashes, or (N, D) float32 embeddings of length 1
    values: NDArray[Any]


def near_hashes(later: Fingerprints, earlier: Fingerprints, *, bits: int) -> Iterator[tuple[int, int, int]]:
    """For each frame of `later` with a near one in `earlier`: its id, the nearest one's, bits that differ."""
    if not len(later.ids) or not len(earlier.ids):
        return
    # Each hash is looked at once however many frames share it.
    hashes, first = np.unique(earlier.values, return_index=True)
    wanted, place = np.unique(later.values, return_inverse=True)
    near = np.empty(len(wanted), np.int64)
    distance = np.empty(len(wanted), np.uint8)
    for rows in _blocks(len(wanted), len(hashes)):
        differing = np.bitwise_count(wanted[rows, None] ^ hashes[None, :].view(wanted.dtype))
        near[rows] = differing.argmin(axis=1)
        distance[rows] = differing.min(axis=1)
    for frame_id, at in zip(later.ids, place, strict=True):
        if distance[at] <= bits:
            yield int(frame_id), int(earlier.ids[first[near[at]]]), int(distance[at])


def near_vectors(
    later: Fingerprints, earlier: Fingerprints, *, cosine: float
) -> Iterator[tuple[int, int, float]]:
    """For each frame of `later` with a near one in `earlier`: its id, the nearest one's, their cosine."""
    if not len(later.ids) or not len(earlier.ids):
        return
    for rows in _blocks(len(later.ids), len(earlier.ids)):
        likeness = later.values[rows] @ earlier.values.T
        nearest = likeness.argmax(axis=1)
        best = likeness[np.arange(len(nearest)), nearest]
        for at in np.flatnonzero(best >= cosine):
            yield int(later.ids[rows][at]), int(earlier.ids[nearest[at]]), float(min(best[at], 1.0))


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, _BLOCK // columns)
    return (slice(start, start + size) for start in range(0, rows, size))


def _together(groups: Sequence[Fingerprints]) -> Fingerprints:
    filled = [group for group in groups if len(group.ids)] or groups[:1]
    return Fingerprints(
        np.concatenate([group.ids for group in filled]), np.concatenate([group.values for group in filled])
    )


def _read_hashes(database: Database) -> dict[Split, Fingerprints]:
    frame = schema.Frame
    groups: dict[Split, Fingerprints] = {}
    with database.begin(read_only=True) as connection:
        for split in SPLITS:
            rows = connection.execute(
                select(frame.id, frame.phash).where(frame.split == split).order_by(frame.id)
            ).all()
            table = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
            # As bits: the popcount of a negative number would be that of its absolute value.
            groups[split] = Fingerprints(table[:, 0], np.ascontiguousarray(table[:, 1]).view(np.uint64))
    return groups


def _read_embeddings(database: Database, encoder: str) -> dict[Split, Fingerprints]:
    frame, embedding = schema.Frame, schema.Embedding
    groups: dict[Split, Fingerprints] = {}
    with database.begin(read_only=True) as connection:
        for split in SPLITS:
            rows = connection.execute(
                select(frame.id, sent_vector().label("sent"))
                .join(embedding, embedding.frame_id == frame.id)
                .where(frame.split == split, embedding.encoder == encoder)
                .order_by(frame.id)
            ).all()
            ids = np.array([row.id for row in rows], np.int64)
            vectors = (
                np.stack([read_vector(row.sent) for row in rows]) if rows else np.empty((0, 0), np.float32)
            )
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            groups[split] = Fingerprints(ids, vectors / np.maximum(lengths, 1e-12))
    return groups


def _describe(database: Database, ids: Sequence[int]) -> dict[int, AuditedFrame]:
    frame, channel, category = schema.Frame, schema.Channel, schema.Category
    with database.begin(read_only=True) as connection:
        rows = connection.execute(
            select(
                frame.id.label("frame_id"),
                frame.path,
                channel.login.label("channel"),
                category.name.label("category"),
                frame.split,
            )
            .join(channel, channel.id == frame.channel_id)
            .join(category, category.id == frame.category_id)
            .where(frame.id == func.any(list(ids)), frame.split.is_not(None))
        ).mappings()
        return {row["frame_id"]: AuditedFrame(**row) for row in rows}


def _drop(database: Database, leaks: Sequence[Leak]) -> int:
    frame = schema.Frame
    ids = [leak.frame.frame_id for leak in leaks]
    with database.begin() as connection:
        lock_images_for_removal(connection)
        return connection.execute(update(frame).where(frame.id.in_(ids)).values(split=None)).rowcount
