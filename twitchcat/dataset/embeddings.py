"""Embeddings of frames, kept by encoder: what is there, what is missing, and writing more."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database

_AT_ONCE = 5000  # frames asked for in one query


def sent_vector() -> ColumnElement[bytes]:
    """The vector of an embedding as a column of a query, for `read_vector`.

    As the server sends it: lists of Python's floats, which the column itself gives, would be twenty times as
    large, and are not what every version of pgvector gives.
    """
    return func.halfvec_send(schema.Embedding.vector)


def read_vector(sent: bytes) -> NDArray[np.float32]:
    """The vector (D,) of what `sent_vector` selected: a header of four bytes, then big-endian halves."""
    return np.frombuffer(sent, ">f2", offset=4).astype(np.float32)


def stored_frames(database: Database, encoder: str) -> set[int]:
    """The ids of all frames that have an embedding of this encoder. Raises StoreError."""
    row = schema.Embedding
    with database.begin(read_only=True) as connection:
        return set(connection.execute(select(row.frame_id).where(row.encoder == encoder)).scalars())


def load_embeddings(database: Database, encoder: str, frame_ids: Sequence[int]) -> NDArray[np.float32]:
    """Read the embeddings of frames, in their order: (N, D) float32.

    Raises KeyError for a frame that has none, StoreError.
    """
    row = schema.Embedding
    found: dict[int, NDArray[np.float32]] = {}
    with database.begin(read_only=True) as connection:
        for begin in range(0, len(frame_ids), _AT_ONCE):
            part = list(frame_ids[begin : begin + _AT_ONCE])
            query = select(row.frame_id, sent_vector()).where(row.encoder == encoder, row.frame_id.in_(part))
            for frame_id, sent in connection.execute(query):
                found[frame_id] = read_vector(sent)
    return np.stack([found[frame_id] for frame_id in frame_ids])


def save_embeddings(
    database: Database, encoder: str, frame_ids: Sequence[int], vectors: NDArray[np.float32]
) -> int:
    """Write embeddings (N, D) as 16-bit floats and return how many were new; those that are there stay.

    A frame that was removed meanwhile is passed over. Raises StoreError.
    """
    row, frame = schema.Embedding, schema.Frame
    with database.begin() as connection:
        # The rows are held until the commit, so that none goes between the look and the insert.
        alive = set(
            connection.execute(
                select(frame.id).where(frame.id.in_(list(frame_ids))).with_for_update(key_share=True)
            ).scalars()
        )
        values = [
            {"frame_id": frame_id, "encoder": encoder, "dims": len(vector), "vector": HalfVector(vector)}
            for frame_id, vector in zip(frame_ids, vectors, strict=True)
            if frame_id in alive
        ]
        if not values:
            return 0
        statement = insert(row).values(values).on_conflict_do_nothing().returning(row.frame_id)
        return len(connection.execute(statement).all())
