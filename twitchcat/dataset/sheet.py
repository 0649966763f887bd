"""A contact sheet of the dataset: a few frames of each category, as a picture."""

from collections import defaultdict

from sqlalchemy import func, select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore
from twitchcat.frames.contact_sheet import Tile, contact_sheet, encode_png
from twitchcat.frames.picture import decode_image


def dataset_sheet(database: Database, store: ImageStore, *, per_category: int = 6) -> bytes | None:
    """A PNG with `per_category` frames of each category, or None if there are no frames.

    Raises StoreError, SegmentUnreadable if an image is damaged.
    """
    frame, channel, category = schema.Frame, schema.Channel, schema.Category
    # Spread over channels and time: the first of each of as many equal parts.
    order = (channel.login, frame.captured_at)
    part = func.ntile(per_category).over(partition_by=category.id, order_by=order).label("part")
    parts = (
        select(category.name, frame.path, channel.login, frame.captured_at, part)
        .join(category, category.id == frame.category_id)
        .join(channel, channel.id == frame.channel_id)
        .subquery()
    )
    first = select(parts).distinct(parts.c.name, parts.c.part)
    found: dict[str, list[Tile]] = defaultdict(list)
    with database.begin() as connection:
        rows = connection.execute(
            first.order_by(parts.c.name, parts.c.part, parts.c.login, parts.c.captured_at)
        ).all()
    for row in rows:
        caption = f"{row.login}  {row.captured_at.astimezone():%H:%M:%S}"
        found[row.name].append(Tile(rgb=decode_image(store.read(row.path)), caption=caption))
    return encode_png(contact_sheet(found, columns=per_category)) if found else None
