"""Typed settings: a TOML file, then `TWITCHCAT_*` environment variables, then defaults.

The file is the one named by `--config` or `TWITCHCAT_CONFIG`, else `./twitchcat.toml`, else `twitchcat.toml`
in the user's configuration directory. A variable's name is the key in capitals with `__` for each dot:
`database.url` is `TWITCHCAT_DATABASE__URL`. Lists and tables are given as JSON there.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
)

from twitchcat.errors import ConfigError

ENV_PREFIX = "TWITCHCAT_"
ENV_FILE = "TWITCHCAT_CONFIG"

#: What clocks and calendars can still be asked for.
_LONGEST = timedelta(days=36_525)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(value: Any) -> Any:
    """Read "90s", "5m", "2h", "1h30m", "14d" or a number of seconds; leave the rest to pydantic.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        with suppress(OverflowError):  # longer than a timedelta can be: no duration either
            return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    return value


def _variant(value: str) -> str:
    if not re.fullmatch(r"best|worst|\d+p?", value):
        raise ValueError("must be a height such as 360p, or best, or worst")
    return value


def _lower(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value.lower() for value in values)


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than zero")
    if value > _LONGEST:
        raise ValueError("must be at most 100 years")
    return value


def _address(value: str) -> str:
    """Refuse what no client could ask; the message is all that a user sees of it."""
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # no port, or a bracket too few
        sound = False
    if not sound or not re.fullmatch(r"[!-~]+", value) or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://example.org/path")
    return value


def _postgres(value: SecretStr) -> SecretStr:
    scheme, separator, _ = value.get_secret_value().partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg2"}:
        raise ValueError("must start with postgresql:// or postgres://")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_positive)]
Address = Annotated[str, AfterValidator(_address)]
Logins = Annotated[tuple[str, ...], AfterValidator(_lower)]
Share = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DatabaseSettings(_Section):
    """Where the rows are."""

    url: Annotated[SecretStr, AfterValidator(_postgres)] | None = (
        None  #: unset: the embedded server under data_dir
    )
    pool: Annotated[int, Field(ge=1)] = 8  #: connections kept open by one process
    statement_timeout: Duration = timedelta(seconds=30)  #: of `db query`


class TwitchSettings(_Section):
    """How Twitch is reached."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    helix_url: Address = "https://api.twitch.tv/helix"
    auth_url: Address = "https://id.twitch.tv/oauth2"
    rewrite: Address | None = None  #: a station's address: every stream request goes there instead
    timeout: Duration = timedelta(seconds=10)  #: of one request
    requests_per_second: Annotated[float, Field(gt=0)] = 10.0  #: to Helix at most
    resolves_per_second: Annotated[float, Field(gt=0)] = 5.0  #: streams opened at most


class CaptureSettings(_Section):
    """How one visit to one stream takes its frames."""

    variant: Annotated[str, AfterValidator(_variant)] = "360p"  #: smallest with at least these lines
    channels: Annotated[int, Field(ge=1, le=256)] | None = None  #: at once; unset: from the machine
    frames: Annotated[int, Field(ge=1, le=60)] = 6  #: of one visit, spread over the playlist window
    timeout: Duration = timedelta(seconds=60)  #: of one visit
    first_range: ByteSize = ByteSize(65_536)  #: bytes asked for before the size of keyframes is known


class ImageSettings(_Section):
    """How a picture is stored."""

    height: Annotated[int, Field(ge=16)] = 360  #: larger pictures are scaled down, smaller ones left alone
    quality: Annotated[int, Field(ge=1, le=100)] = 90  #: of the JPEG


class CollectSettings(_Section):
    """What is collected, and what is left out."""

    categories: tuple[str, ...] = ()  #: names; empty: the current top ones
    top: Annotated[int, Field(ge=1, le=1000)] = 20  #: how many of the current top ones
    games_only: bool = True  #: leave out categories that are no games, among the top ones
    per_category: Annotated[int, Field(ge=1)] = 500  #: frames wanted of each category
    languages: tuple[str, ...] = ()  #: ISO 639-1; empty: any
    channel_share: Share = 0.2  #: of a category's target that may come from one channel
    allow: Logins = ()  #: when set, no other channel is visited
    deny: Logins = ()  #: never visited
    revisit: Duration = timedelta(minutes=1)  #: the same channel not again before this
    set_aside: Duration = timedelta(minutes=2)  #: a category with nobody to visit rests this long
    blank: Annotated[float, Field(ge=0)] = 6.0  #: luma standard deviation below which a frame is blank
    near_identical: Annotated[int, Field(ge=-1, le=64)] = 3  #: hash bits that may differ; -1: keep all
    remember: Annotated[int, Field(ge=1)] = 512  #: hashes of a channel compared with


class RetentionSettings(_Section):
    """How long frames are kept. See the README on Twitch's terms: the operator decides."""

    max_age: Duration | None = None  #: unset: until removed by hand


class ModelSettings(_Section):
    """Which model recognizes."""

    path: Path | None = None  #: unset: the default model


class WebSettings(_Section):
    """Where the dashboard listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765


class MonitorSettings(_Section):
    """How channels are watched."""

    interval: Duration = timedelta(minutes=5)  #: between visits to one channel


class AlertSettings(_Section):
    """Where alerts go."""

    urls: tuple[SecretStr, ...] = ()


class LogSettings(_Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    format: Literal["auto", "text", "json"] = "auto"  #: auto: text on a terminal, JSON elsewhere


class Settings(_Section):
    """Everything that can be set."""

    data_dir: Path = Field(default_factory=lambda: platformdirs.user_data_path("twitchcat"))
    database: DatabaseSettings = DatabaseSettings()
    twitch: TwitchSettings = TwitchSettings()
    capture: CaptureSettings = CaptureSettings()
    images: ImageSettings = ImageSettings()
    collect: CollectSettings = CollectSettings()
    retention: RetentionSettings = RetentionSettings()
    model: ModelSettings = ModelSettings()
    web: WebSettings = WebSettings()
    monitor: MonitorSettings = MonitorSettings()
    alerts: AlertSettings = AlertSettings()
    log: LogSettings = LogSettings()


class _EnvironmentSettings(Settings, BaseSettings):
    """Tells pydantic-settings how the variables are named; never made."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", env_ignore_empty=True)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings in force, and where each key's value comes from."""

    settings: Settings
    origins: Mapping[str, str]  #: key ("database.url") to the file or variable that set it; absent: default
    file: Path | None  #: the file that was read


def default_files() -> tuple[Path, ...]:
    """The places looked at for a settings file when none is named, first match wins."""
    return Path("twitchcat.toml"), platformdirs.user_config_path("twitchcat") / "twitchcat.toml"


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None) -> LoadedSettings:
    """Read the settings in force.

    `file` must exist if given. Raises ConfigError that names the source, the key and the nearest known key.
    """
    env = os.environ if environ is None else environ
    named = file or (Path(env[ENV_FILE]) if env.get(ENV_FILE) else None)
    found = named or next((path for path in default_files() if path.is_file()), None)
    from_file = _read_toml(found) if found else {}
    from_env, variables = _read_environment(env)
    origins = dict.fromkeys(_keys(from_file), str(found))
    origins |= {key: variables[key] for key in _keys(from_env) if key in variables}
    try:
        settings = Settings.model_validate(_merge(from_file, from_env))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(one, origins, found) for one in error.errors())) from None
    return LoadedSettings(settings=settings, origins=origins, file=found)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _read_environment(env: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the environment sets, nested, and the variable behind each known key."""
    known = {ENV_PREFIX + key.replace(".", "__").upper(): key for key in known_keys()}
    mine = {name.upper(): name for name in env if name.upper().startswith(ENV_PREFIX) and env[name]}
    for name in mine.keys() - known.keys() - {ENV_FILE}:
        raise ConfigError(f"environment: unknown variable {mine[name]}{_nearest(name, known)}")
    for name in mine.keys() & known.keys():
        if _is_list(known[name]) and not _is_json_list(env[mine[name]]):
            raise ConfigError(f"{mine[name]}: {known[name]}: must be a list in JSON, such as '[\"Chess\"]'")
    source = EnvSettingsSource(_EnvironmentSettings)
    source.env_vars = {name.lower(): env[mine[name]] for name in mine if name in known}
    return source(), {known[name]: mine[name] for name in mine if name in known}


def _is_list(key: str) -> bool:
    section, _, name = key.rpartition(".")
    model: Any = Settings.model_fields[section].annotation if section else Settings
    return get_origin(model.model_fields[name].annotation) is tuple


def _is_json_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def known_keys() -> tuple[str, ...]:
    """Every key that can be set, in the order of the sections."""
    return tuple(_model_keys(Settings, ""))


def _model_keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _model_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def _keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = _merge(below, value) if both and isinstance(below, Mapping) else value
    return merged


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _explain(error: ErrorDetails, origins: Mapping[str, str], file: Path | None) -> str:
    # The location ends with list positions and such, which are no part of the key.
    location = [str(part) for part in error["loc"]]
    keys = [".".join(location[:n]) for n in range(len(location), 0, -1)]
    key = next((key for key in keys if key in origins), keys[0])
    where = origins.get(key, str(file) if file else "environment")
    if error["type"] == "extra_forbidden":
        sections = {known.rsplit(".", 1)[0] for known in known_keys() if "." in known}
        return f"{where}: unknown key {key}{_nearest(key, [*known_keys(), *sections])}"
    return f"{where}: {key}: {error_in_words(error)}"


def error_in_words(error: ErrorDetails) -> str:
    """What is wrong with a value, in the words of a settings file."""
    if error["type"] in _WORDS:
        return _WORDS[error["type"]].format(**error.get("ctx", {}))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}"


_DURATION = "must be a duration such as 30s, 5m, 2h, 14d"
_WHOLE, _NUMBER, _FLAG = "must be a whole number", "must be a number", "must be true or false"
_SIZE = "must be a size such as 64KiB"
#: Kinds of errors, as pydantic lists them, in our words.
_WORDS = {
    "tuple_type": "must be a list",
    "model_type": "must be a table",
    "string_type": "must be a text",
    "path_type": "must be a path",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "byte_size": _SIZE,
    "byte_size_unit": _SIZE,
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
}
