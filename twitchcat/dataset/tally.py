"""How many frames the dataset holds, by category and channel."""

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import func, select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.plan import CategoryState


def tally(database: Database, category_ids: Iterable[str]) -> dict[str, Counter[str]]:
    """Frames by category id and channel id; a category without frames is empty. Raises StoreError."""
    counts: dict[str, Counter[str]] = {one: Counter() for one in category_ids}
    frame = schema.Frame
    with database.begin() as connection:
        rows = connection.execute(
            select(frame.category_id, frame.channel_id, func.count())
            .where(frame.category_id.in_(list(counts)))
            .group_by(frame.category_id, frame.channel_id)
        )
        for category_id, channel_id, count in rows:
            counts[category_id][channel_id] = count
    return counts


def refresh(database: Database, states: Iterable[CategoryState]) -> None:
    """Bring states up to date with what other processes have collected meanwhile. Raises StoreError."""
    states = list(states)
    counts = tally(database, [state.category.id for state in states])
    for state in states:
        state.by_channel = counts[state.category.id]
        state.kept = state.by_channel.total()
