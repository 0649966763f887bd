"""The folder that is played: `Category name/channel.mp4`, and what `station.toml` says about its channels."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from twitchcat.config import Duration, parse_duration
from twitchcat.errors import ConfigError
from twitchcat.station.faults import parse_faults

#: The clips that ship with twitchcat.
PACKAGED_CLIPS = Path(__file__).parent / "clips"

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".ts", ".mov", ".webm", ".flv", ".m4v", ".avi"})

#: Categories of Twitch that are no games; station.toml adds others under `non_games`.
NON_GAMES = frozenset({"Software and Game Development", "Just Chatting", "Music", "Art", "IRL"})


def number_for(text: str, *, digits: int = 9) -> int:
    """A number of so many digits that is always the same for a text."""
    value: int = int.from_bytes(hashlib.sha256(text.casefold().encode()).digest()[:8])
    least: int = 10 ** (digits - 1)
    return least + value % (9 * least)


def _since(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("-"):
        before = parse_duration(value[1:])
        return -before if isinstance(before, timedelta) else value
    return parse_duration(value)


def _fault_names(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            parse_faults(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    return values


#: Since the station started; "-20s" is before that, and so already in the first window.
Since = Annotated[timedelta, BeforeValidator(_since)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CategoryChange(_Section):
    """A channel declares another category."""

    after: Since
    category: str


class PlannedAds(_Section):
    """An ad break."""

    after: Since
    span: Annotated[Duration, Field(alias="for")]


class ChannelSection(_Section):
    """What station.toml says about one channel; what it leaves out has a plausible default."""

    category: str | None = None  #: declared; it may differ from what the folder says is shown
    language: str = "en"
    title: str | None = None
    viewers: Annotated[int, Field(ge=0)] | None = None
    live: bool = True
    faults: Annotated[tuple[str, ...], AfterValidator(_fault_names)] = ()
    timetable: tuple[CategoryChange, ...] = ()
    ads: tuple[PlannedAds, ...] = ()


class StationFile(_Section):
    """The whole of station.toml."""

    non_games: tuple[str, ...] = ()
    channels: dict[str, ChannelSection] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """One channel before the station starts."""

    login: str
    file: Path
    shows: str  #: the folder's name: what is to be seen
    declares: str  #: the category that Helix names at first; "": none
    language: str
    title: str
    viewers: int
    live: bool
    faults: str  #: as `parse_faults` reads them
    timetable: tuple[tuple[float, str], ...]  #: (seconds since the start, category)
    ads: tuple[tuple[float, float], ...]  #: (seconds since the start, seconds of the break)

    @property
    def user_id(self) -> str:
        """Twitch's id of the channel."""
        return str(number_for(f"user {self.login}"))


@dataclass(frozen=True, slots=True)
class Folder:
    """What there is to play."""

    channels: tuple[ChannelPlan, ...]
    non_games: frozenset[str]

    def is_game(self, category: str) -> bool:
        """Whether Twitch would name an IGDB entry for the category."""
        return category not in self.non_games


def read_folder(folder: Path, *, channels: int | None = None) -> Folder:
    """Find the channels of a folder, the categories taking turns.

    `channels` asks for so many: fewer than there are files, or more, where the files are played again under
    further logins (`supertux_s2_2`).

    Raises ConfigError where there is nothing to play or station.toml is wrong.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder")
    file = _read_station_file(folder / "station.toml")
    by_category = [
        [_plan(path, file) for path in sorted(category.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
        for category in sorted(folder.iterdir())
        if category.is_dir() and not category.name.startswith(".")
    ]
    plans = [plan for turn in zip_longest(*by_category) for plan in turn if plan is not None]
    if not plans:
        raise ConfigError(
            f"{folder}: holds no videos; they are looked for as FOLDER/Category name/channel.mp4"
        )
    _refuse_doubles(plans)
    unknown = file.channels.keys() - {plan.login for plan in plans}
    if unknown:
        raise ConfigError(f"{folder / 'station.toml'}: channels.{min(unknown)}: there is no such video")
    if channels is not None:
        plans = [_again(plans[n % len(plans)], n // len(plans) + 1) for n in range(channels)]
    return Folder(tuple(plans), NON_GAMES | frozenset(file.non_games))


def _plan(path: Path, file: StationFile) -> ChannelPlan:
    login = re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()).strip("_") or "channel"
    section = file.channels.get(login, ChannelSection())
    shows = path.parent.name
    return ChannelPlan(
        login=login,
        file=path,
        shows=shows,
        declares=shows if section.category is None else section.category,
        language=section.language,
        title=section.title or f"{shows} with {login}",
        viewers=number_for(f"viewers {login}", digits=3) if section.viewers is None else section.viewers,
        live=section.live,
        faults=",".join(section.faults),
        timetable=tuple((change.after.total_seconds(), change.category) for change in section.timetable),
        ads=tuple((ads.after.total_seconds(), ads.span.total_seconds()) for ads in section.ads),
    )


def _again(plan: ChannelPlan, time: int) -> ChannelPlan:
    if time == 1:
        return plan
    login = f"{plan.login}_{time}"
    return replace(plan, login=login, viewers=number_for(f"viewers {login}", digits=3))


def _refuse_doubles(plans: Iterable[ChannelPlan]) -> None:
    seen: dict[str, Path] = {}
    for plan in plans:
        if plan.login in seen:
            raise ConfigError(f"{plan.file} and {seen[plan.login]} would both be the channel {plan.login}")
        seen[plan.login] = plan.file


def _read_station_file(path: Path) -> StationFile:
    try:
        return StationFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return StationFile()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}") from None
