"""The folder that is played: `Category name/channel.mp4`, and what `station.toml` says about its channels."""

import difflib
import hashlib
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count, zip_longest
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from twitchcat.config import Duration, parse_duration
from twitchcat.errors import ConfigError
from twitchcat.station.faults import parse_faults
from twitchcat.station.media import flaw

#: The clips that ship with twitchcat.
PACKAGED_CLIPS = Path(__file__).parent / "clips"

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".ts", ".mov", ".webm", ".flv", ".m4v", ".avi"})

#: Twitch's logins have no more letters.
LONGEST_LOGIN = 25

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
class LeftOut:
    """A file that looks like a video by its name and cannot be played."""

    file: Path
    why: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What there is to play."""

    channels: tuple[ChannelPlan, ...]
    non_games: frozenset[str]
    left_out: tuple[LeftOut, ...] = ()

    def is_game(self, category: str) -> bool:
        """Whether Twitch would name an IGDB entry for the category."""
        return category not in self.non_games


def read_folder(
    folder: Path, *, channels: int | None = None, flaw: Callable[[Path], str | None] = flaw
) -> Folder:
    """Find the channels of a folder, the categories taking turns.

    `channels` asks for so many: fewer than there are files, or more, where the files are played again under
    further logins (`supertux_s2_2`). `flaw` says why a file cannot be played, if so: then it is left out.

    Raises ConfigError where there is nothing to play or station.toml is wrong.
    """
    logins = _logins(_videos(folder))
    file = _read_station_file(folder / "station.toml")
    if not logins:
        raise ConfigError(
            f"{folder}: holds no videos; they are looked for as FOLDER/Category name/channel.mp4"
        )
    unknown = min(file.channels.keys() - set(logins.values()), default=None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, logins.values(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{folder / 'station.toml'}: channels.{unknown}: there is no such video{hint}")
    plans: list[ChannelPlan] = []
    left_out: list[LeftOut] = []
    for path, login in logins.items():
        if channels is not None and len(plans) == channels:
            break
        why = flaw(path)
        if why is None:
            plans.append(_plan(path, login, file))
        else:
            left_out.append(LeftOut(path, why))
    if not plans:
        first = left_out[0]
        raise ConfigError(f"{folder}: holds no video that can be played; {first.file}: {first.why}")
    files, taken = len(plans), set(logins.values())
    for n in range(files, channels or 0):
        again = _again(plans[n % files], n // files + 1, taken)
        plans.append(again)
        taken.add(again.login)
    return Folder(tuple(plans), NON_GAMES | frozenset(file.non_games), tuple(left_out))


def _videos(folder: Path) -> Iterator[Path]:
    """The files to play, one of each category, then the next of each."""
    try:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: is not a folder")
        by_category = [
            [path for path in sorted(category.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
            for category in sorted(folder.iterdir())
            if not category.name.startswith(".") and category.is_dir()
        ]
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return (path for turn in zip_longest(*by_category) for path in turn if path is not None)


def _logins(videos: Iterator[Path]) -> Mapping[Path, str]:
    """A login for each file: its name; where several have that, the category's name before it."""
    names = {path: _cut(_as_login(path.stem)) for path in videos}
    often = Counter(names.values())
    taken = {name for name, times in often.items() if times == 1}
    logins: dict[Path, str] = {}
    for path, name in names.items():
        logins[path] = name
        if often[name] > 1:
            room = max(0, LONGEST_LOGIN - len(f"_{name}"))
            category = _as_login(path.parent.name)[:room].strip("_")
            logins[path] = _free(f"{category}_{name}".strip("_"), taken)
            taken.add(logins[path])
    return logins


def _as_login(text: str) -> str:
    """A text in the letters that a login may have; "channel" if none of its own are left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "_", plain.lower()).strip("_") or "channel"


def _cut(login: str, ending: str = "") -> str:
    return login[: LONGEST_LOGIN - len(ending)].rstrip("_") + ending


def _free(login: str, taken: Collection[str]) -> str:
    """The login, numbered if need be."""
    return next(one for one in (_cut(login, f"_{n}" if n > 1 else "") for n in count(1)) if one not in taken)


def _plan(path: Path, login: str, file: StationFile) -> ChannelPlan:
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


def _again(plan: ChannelPlan, time: int, taken: Collection[str]) -> ChannelPlan:
    login = _free(_cut(plan.login, f"_{time}"), taken)
    return replace(plan, login=login, viewers=number_for(f"viewers {login}", digits=3))


def _read_station_file(path: Path) -> StationFile:
    try:
        return StationFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return StationFile()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}") from None
