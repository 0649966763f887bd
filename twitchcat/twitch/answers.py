"""The parts of Helix's answers that twitchcat reads, checked, as the values of `entities`.

Source: dev.twitch.tv/docs/api/reference. What is not listed here is ignored.
"""

import json
import re
from datetime import UTC
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, StringConstraints, ValidationError

from twitchcat.errors import TwitchError
from twitchcat.twitch.entities import Category, Channel, LiveStream

# NUL, and half of a character outside the basic plane: JSON can name both, a database can hold neither.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def _storable(value: Any) -> Any:
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_storable)]
Text = Annotated[str, BeforeValidator(_storable), StringConstraints(min_length=1)]
Model = TypeVar("Model", bound=BaseModel)


class Pagination(BaseModel):
    """Where the next page begins; no cursor on the last one."""

    cursor: str | None = None


class Page(BaseModel):
    """What every Helix answer looks like."""

    data: list[dict[str, Any]]
    pagination: Pagination = Pagination()


class Game(BaseModel):
    """An item of /games, /games/top and, without `igdb_id`, of /search/categories."""

    id: Text
    name: Text
    igdb_id: str | None = None

    def entity(self) -> Category:
        """Return it as a category; only games have an entry at IGDB."""
        return Category(
            id=self.id, name=self.name, is_game=None if self.igdb_id is None else self.igdb_id != ""
        )


class User(BaseModel):
    """An item of /users."""

    id: Text
    login: Text
    display_name: Words

    def entity(self) -> Channel:
        """Return it as a channel."""
        return Channel(id=self.id, login=self.login.lower(), display_name=self.display_name or self.login)


class Stream(BaseModel):
    """An item of /streams."""

    id: Text
    user_id: Text
    user_login: Text
    user_name: Words
    game_id: Words
    game_name: Words
    title: Words
    tags: list[Words] | None = None
    language: Words
    viewer_count: int
    started_at: AwareDatetime

    def entity(self) -> LiveStream:
        """Return it as a live stream."""
        return LiveStream(
            id=self.id,
            channel=Channel(
                id=self.user_id,
                login=self.user_login.lower(),
                display_name=self.user_name or self.user_login,
            ),
            category=Category(id=self.game_id, name=self.game_name or self.game_id) if self.game_id else None,
            title=self.title,
            tags=tuple(self.tags or ()),
            language=self.language,
            viewers=self.viewer_count,
            started_at=self.started_at.astimezone(UTC),
        )


class Validation(BaseModel):
    """The answer of /validate."""

    client_id: Text
    expires_in: int


def page(content: bytes) -> Page:
    """Read a Helix answer. Raises TwitchError if it is not one."""
    try:
        # Not pydantic's own reader: it refuses a whole page for half a character in one title.
        return Page.model_validate(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise TwitchError("Helix answered with something that is not its JSON") from error


def items(kind: type[Model], raw: list[dict[str, Any]]) -> list[Model]:
    """Read the items of a page, leaving out malformed ones. Raises TwitchError if none of them is sound."""
    sound = []
    failure: ValidationError | None = None
    for one in raw:
        try:
            sound.append(kind.model_validate(one))
        except ValidationError as error:
            failure = error
    if failure is not None and not sound:
        raise TwitchError("Helix answered with items that are not what it documents") from failure
    return sound
