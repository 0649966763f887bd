"""What the dataset holds, by category."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryInfo:
    """What the dataset holds of one category."""

    id: str
    name: str
    frames: int
    channels: int
    captures: int  #: visits that kept frames
    bytes: int  #: of the images, each counted as often as frames share it
    first: datetime
    last: datetime
    target: int  #: frames wanted

    @property
    def progress(self) -> float:
        """Share of the target that is reached, 1.0 at most."""
        return min(self.frames / self.target, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What the dataset holds."""

    categories: tuple[CategoryInfo, ...]  #: most frames first
    channels: int
    captures: int  #: every visit, with or without frames
    outcomes: dict[str, int]  #: visits by outcome

    @property
    def frames(self) -> int:
        """Frames of all categories."""
        return sum(category.frames for category in self.categories)

    @property
    def bytes(self) -> int:
        """Bytes of the images of all categories."""
        return sum(category.bytes for category in self.categories)


def dataset_info(database: Database, *, target: int) -> DatasetInfo:
    """Count what the dataset holds; `target` frames are wanted of each category. Raises StoreError."""
    frame, category, capture = schema.Frame, schema.Category, schema.Capture
    with database.begin() as connection:
        rows = connection.execute(
            select(
                category.id,
                category.name,
                func.count().label("frames"),
                func.count(frame.channel_id.distinct()).label("channels"),
                func.count(frame.capture_id.distinct()).label("captures"),
                func.sum(frame.bytes).label("bytes"),
                func.min(frame.captured_at).label("first"),
                func.max(frame.captured_at).label("last"),
            )
            .join(frame, frame.category_id == category.id)
            .group_by(category.id, category.name)
            .order_by(func.count().desc(), category.name)
        ).all()
        channels = connection.execute(select(func.count(frame.channel_id.distinct()))).scalar_one()
        outcomes: Sequence[tuple[str, int]] = [
            (outcome, count)
            for outcome, count in connection.execute(
                select(capture.outcome, func.count()).group_by(capture.outcome).order_by(func.count().desc())
            )
        ]
    return DatasetInfo(
        categories=tuple(
            CategoryInfo(
                id=row.id,
                name=row.name,
                frames=row.frames,
                channels=row.channels,
                captures=row.captures,
                bytes=int(row.bytes),
                first=row.first,
                last=row.last,
                target=target,
            )
            for row in rows
        ),
        channels=channels,
        captures=sum(count for _, count in outcomes),
        outcomes=dict(outcomes),
    )
