"""What a check found, as a value."""

from dataclasses import dataclass, field
from enum import StrEnum

from twitchcat.errors import TwitchcatError


class Level(StrEnum):
    """How good or bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


class Area(StrEnum):
    """What can be looked at by itself."""

    SETTINGS = "settings"
    SOFTWARE = "software"
    STORAGE = "storage"
    DATABASE = "database"
    TWITCH = "twitch"
    STREAMS = "streams"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    name: str  #: what was looked at; stable, programs may rely on it
    level: Level
    message: str  #: what is the case
    advice: str | None = None  #: what to do about it; always there unless the level is ok
    error: TwitchcatError | None = field(default=None, compare=False, repr=False)
    """What a command would end with that needs this; None: something unexpected."""


def ok(name: str, message: str) -> Finding:
    """All is well."""
    return Finding(name=name, level=Level.OK, message=message)


def warning(name: str, message: str, advice: str) -> Finding:
    """twitchcat works, but not all of it, or not for long."""
    return Finding(name=name, level=Level.WARNING, message=message, advice=advice)


def failure(name: str, message: str, advice: str, error: TwitchcatError | None = None) -> Finding:
    """Something does not work."""
    return Finding(name=name, level=Level.FAILURE, message=message, advice=advice, error=error)


def failed_by(name: str, error: TwitchcatError, advice: str) -> Finding:
    """Turn an error into a failure that says what it says."""
    return failure(name, str(error), advice, error)
