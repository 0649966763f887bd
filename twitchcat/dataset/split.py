"""`twitchcat dataset split`: deals channels into splits, and says how they stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, update

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.deal import FULL, SPLITS, Member, Shares, deal
from twitchcat.dataset.locks import lock_images_for_removal
from twitchcat.dataset.snapshot import Split
from twitchcat.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCount:
    """What one split has of one category."""

    channels: int = 0
    frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySplit:
    """How the frames of one category are split."""

    id: str
    name: str
    train: SplitCount
    val: SplitCount
    test: SplitCount
    unassigned: SplitCount  #: in no split: not dealt yet, left out by time or by the audit

    @property
    def channels(self) -> int:
        """Channels that are in a split with frames of this category."""
        return self.train.channels + self.val.channels + self.test.channels

    @property
    def warning(self) -> str | None:
        """What this category cannot be used for; None if it is in every split."""
        if not self.channels:
            return "in no split"
        missing = [split for split in SPLITS if not getattr(self, split).channels]
        if not missing:
            return None
        told = f"no channel in {' and '.join(missing)}"
        if self.channels < FULL:
            channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
            return f"{told}: it has {channels}, collect from {FULL} or more"
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """How the dataset is split."""

    categories: tuple[CategorySplit, ...]  #: by name
    channels: Mapping[str, tuple[str, ...]]  #: logins by split, in order
    dealt: int = 0  #: channels dealt now; the others kept the split they had

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each category that is not in every split, or one for all."""
        if not any(self.channels.values()):
            return ("no channel is in a split yet: run twitchcat dataset split",) if self.categories else ()
        return tuple(f"{one.name}: {one.warning}" for one in self.categories if one.warning)

    @property
    def frames(self) -> dict[str, int]:
        """Frames by split."""
        return {split: sum(getattr(one, split).frames for one in self.categories) for split in SPLITS}


def split_dataset(
    database: Database, *, shares: Shares | None = None, seed: int | None = None
) -> SplitReport:
    """Deal the channels that have frames into splits, stratified by category, and store it.

    With a `seed` every channel is dealt anew. Without, those that have a split keep it, so that no channel a
    model was trained on gets into a later test, and only new ones are dealt, with seed 0. Channels that had
    the same login at different times count as one. Collectors wait meanwhile.

    Raises ConfigError if there are no frames, StoreError.
    """
    with database.begin() as connection:
        lock_images_for_removal(connection)
        shown = _channels(connection)
        kept: dict[str, Split] = {}
        if seed is None:
            kept = {one.login: one.split for one in shown if one.split is not None}
        splits = deal(_members(shown), shares or Shares(), seed=seed or 0, dealt=kept)
        if seed is not None:
            _forget(connection)
        undealt = {one.id: splits[one.login] for one in shown if seed is not None or one.split is None}
        _store(connection, undealt, until=None)
        return _report(connection, dealt=len(undealt))


def split_by_time(
    database: Database, boundary: datetime, *, shares: Shares | None = None, seed: int = 0
) -> SplitReport:
    """Test on channels first seen from `boundary` on; train and validate on what was captured before it.

    Frames that a channel of training or validation shows later are left out, those it will show included: no
    channel stands in two splits here either. Every channel is dealt anew.

    Raises ConfigError if no channel is on one of the sides, StoreError.
    """
    with database.begin() as connection:
        lock_images_for_removal(connection)
        shown = _channels(connection)
        earlier = [one for one in shown if one.first < boundary]
        known = {one.login for one in earlier}
        later = [one for one in shown if one.login not in known]
        if not earlier or not later:
            side = "earlier" if earlier else "later"
            raise ConfigError(f"every channel was first seen {side} than {boundary:%Y-%m-%d}")
        val = (shares or Shares()).val
        splits = deal(_members(earlier), Shares(val=val, test=0.0), seed=seed)
        _forget(connection)
        ids = {one.id: splits[one.login] for one in shown if one.login in known}
        _store(connection, ids, until=boundary)
        tested: dict[str, Split] = {one.id: "test" for one in later}
        _store(connection, tested, until=None)
        return _report(connection, dealt=len(ids) + len(tested))


def split_report(database: Database) -> SplitReport:
    """How the dataset is split now. Raises StoreError."""
    with database.begin(read_only=True) as connection:
        return _report(connection, dealt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A channel, and one category that it has frames of."""

    id: str
    login: str
    split: Split | None
    category_id: str
    first: datetime  #: the earliest of these frames


def _channels(connection: Connection) -> list[_Shown]:
    frame, channel = schema.Frame, schema.Channel
    rows = connection.execute(
        select(
            channel.id,
            func.lower(channel.login).label("login"),
            channel.split,
            frame.category_id,
            func.min(frame.captured_at).label("first"),
        )
        .join(frame, frame.channel_id == channel.id)
        .group_by(channel.id, frame.category_id)
        .order_by(channel.id, frame.category_id)
    ).mappings()
    shown = [_Shown(**row) for row in rows]
    if not shown:
        raise ConfigError("the dataset holds no frames: fill it with twitchcat collect or dataset import")
    return shown


def _members(shown: Iterable[_Shown]) -> list[Member]:
    categories: dict[str, set[str]] = {}
    for one in shown:
        categories.setdefault(one.login, set()).add(one.category_id)
    return [Member(login=login, categories=frozenset(found)) for login, found in categories.items()]


def _forget(connection: Connection) -> None:
    channel = schema.Channel
    dealt = channel.split.is_not(None)
    connection.execute(update(channel).where(dealt).values(split=None, split_until=None))


def _store(connection: Connection, splits: Mapping[str, Split], *, until: datetime | None) -> None:
    """Set the split of channels, by id, and of their frames."""
    channel, frame = schema.Channel, schema.Frame
    for split in SPLITS:
        ids = [channel_id for channel_id, one in splits.items() if one == split]
        connection.execute(update(channel).where(channel.id.in_(ids)).values(split=split, split_until=until))
        chosen = frame.channel_id.in_(ids)
        connection.execute(
            update(frame)
            .where(chosen if until is None else and_(chosen, frame.captured_at < until))
            .values(split=split)
        )


def _report(connection: Connection, *, dealt: int) -> SplitReport:
    frame, category, channel = schema.Frame, schema.Category, schema.Channel
    rows = connection.execute(
        select(
            category.id,
            category.name,
            frame.split,
            func.count().label("frames"),
            func.count(frame.channel_id.distinct()).label("channels"),
        )
        .join(frame, frame.category_id == category.id)
        .group_by(category.id, frame.split)
        .order_by(category.name, category.id)
    ).all()
    names = {row.id: row.name for row in rows}
    found = {(row.id, row.split): SplitCount(channels=row.channels, frames=row.frames) for row in rows}
    logins = connection.execute(
        select(channel.split, channel.login)
        .where(channel.split.is_not(None))
        .order_by(channel.split, channel.login)
    ).all()
    return SplitReport(
        categories=tuple(
            CategorySplit(
                id=category_id,
                name=name,
                train=found.get((category_id, "train"), SplitCount()),
                val=found.get((category_id, "val"), SplitCount()),
                test=found.get((category_id, "test"), SplitCount()),
                unassigned=found.get((category_id, None), SplitCount()),
            )
            for category_id, name in names.items()
        ),
        channels={split: tuple(row.login for row in logins if row.split == split) for split in SPLITS},
        dealt=dealt,
    )
