"""Which Twitch category a name means: asked of the dataset, then of Twitch, else made up here.

A category that Twitch was not asked about, or does not know, has the id `local:<name>`. Once Twitch's id of
that name is known, everything moves to it.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from sqlalchemy import Connection, delete, func, select, update

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.importing.footage import slug
from twitchcat.dataset.recorder import save_categories
from twitchcat.errors import ConfigError, TwitchError
from twitchcat.twitch.entities import Category

log = logging.getLogger(__name__)

LOCAL = "local:"  #: begins the ids that are none of Twitch's


class KnowsCategories(Protocol):
    """Helix, as far as it is asked here."""

    def categories_named(self, names: Iterable[str]) -> dict[str, Category]:
        """The category of each name; raises ConfigError that tells the unknown ones, TwitchError."""


def resolve(
    database: Database, wanted: Mapping[str, str | None], twitch: KnowsCategories | None
) -> dict[str, Category]:
    """The category of each name; `wanted` gives Twitch's id where somebody has told it.

    `twitch` is None where there are no credentials. Names are compared whatever their case. What Twitch does
    not know, or cannot be asked, is a local category, with a warning in the log. Raises StoreError.
    """
    found = {name: Category(id=told, name=name) for name, told in wanted.items() if told}
    with database.begin(read_only=True) as connection:
        known = _stored(connection)
    for name in wanted.keys() - found.keys():
        if name.casefold() in known:
            found[name] = known[name.casefold()]
    missing = sorted(wanted.keys() - found.keys())
    if twitch is not None:
        found |= _ask(twitch, missing)
    for name in sorted(wanted.keys() - found.keys()):
        found[name] = Category(id=f"{LOCAL}{slug(name)}", name=name)
    with database.begin() as connection:
        adopt(connection, found.values())
    return found


def adopt(connection: Connection, categories: Iterable[Category]) -> int:
    """Give what was imported under a local id to the category of Twitch's with that name; frames moved."""
    moved = 0
    for category in categories:
        if category.id.startswith(LOCAL):
            continue
        table = schema.Category
        old = connection.execute(
            select(table.id).where(
                table.id.startswith(LOCAL, autoescape=True),
                func.lower(table.name) == category.name.lower(),
            )
        ).scalars()
        for local in list(old):
            save_categories(connection, [category])
            for column in (
                schema.Capture.category_id,
                schema.Capture.category_after_id,
                schema.Label.category_id,
                schema.Observation.category_id,
                schema.Observation.declared_category_id,
                schema.CategorySpan.category_id,
            ):
                values = {column.key: category.id}
                connection.execute(update(column.class_).where(column == local).values(values))
            frame = schema.Frame
            moved += connection.execute(
                update(frame).where(frame.category_id == local).values(category_id=category.id)
            ).rowcount
            connection.execute(delete(table).where(table.id == local))
    return moved


def _stored(connection: Connection) -> dict[str, Category]:
    """The categories that the dataset knows from Twitch, by name; of several the one seen last."""
    table = schema.Category
    rows = connection.execute(
        select(table.id, table.name, table.is_game)
        .where(~table.id.startswith(LOCAL, autoescape=True))
        .order_by(table.last_seen, table.id)
    )
    return {row.name.casefold(): Category(id=row.id, name=row.name, is_game=row.is_game) for row in rows}


def _ask(twitch: KnowsCategories, names: list[str]) -> dict[str, Category]:
    """What Twitch says to these names; those it does not know are asked about one by one, and logged."""
    if not names:
        return {}
    try:
        return twitch.categories_named(names)
    except ConfigError as error:
        if len(names) == 1:
            log.warning("category_unknown_to_twitch", extra={"category": names[0], "reason": str(error)})
            return {}
    except TwitchError as error:
        log.warning("categories_not_asked", extra={"reason": str(error)})
        return {}
    return {name: found for one in names for name, found in _ask(twitch, [one]).items()}
