"""A contact sheet of the dataset: a few frames of each category, as a picture."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.images import ImageStore
from twitchcat.frames.contact_sheet import Tile, contact_sheet, encode_png
from twitchcat.frames.picture import decode_image
from twitchcat.frames.spread import spread


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    path: str
    channel: str
    captured_at: datetime


def dataset_sheet(database: Database, store: ImageStore, *, per_category: int = 6) -> bytes | None:
    """A PNG with `per_category` frames of each category, or None if there are no frames.

    Raises StoreError, SegmentUnreadable if an image is damaged.
    """
    frame, channel, category = schema.Frame, schema.Channel, schema.Category
    found: dict[str, list[_Shown]] = defaultdict(list)
    with database.begin() as connection:
        rows = connection.execute(
            select(category.name, frame.path, channel.login, frame.captured_at)
            .join(category, category.id == frame.category_id)
            .join(channel, channel.id == frame.channel_id)
            .order_by(category.name, channel.login, frame.captured_at)
        )
        for name, path, login, captured_at in rows:
            found[name].append(_Shown(path=path, channel=login, captured_at=captured_at))
    if not found:
        return None
    sections = {
        name: [
            Tile(
                rgb=decode_image(store.read(frames[index].path)),
                caption=f"{frames[index].channel}  {frames[index].captured_at.astimezone():%H:%M:%S}",
            )
            for index in spread(per_category, len(frames))
        ]
        for name, frames in found.items()
    }
    return encode_png(contact_sheet(sections, columns=per_category))
