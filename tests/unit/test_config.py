"""Settings come from a file, then from the environment, and every mistake is named."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from twitchcat.config import Settings, known_keys, load_settings, parse_duration
from twitchcat.errors import ConfigError

WriteFile = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    def write_file(text: str) -> Path:
        path = tmp_path / "twitchcat.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("90s", 90, id="seconds"),
        pytest.param("1h30m", 5400, id="units add up"),
        pytest.param("0.5h", 1800, id="fractions"),
        pytest.param("14d", 14 * 86400, id="days"),
        pytest.param("250ms", 0.25, id="milliseconds"),
    ],
)
def test_durations_are_written_as_people_say_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5x", "soon", "5m later", "h", "99999999999d", "9" * 400 + "d"])
def test_what_is_no_duration_is_left_for_validation_to_refuse(text: str) -> None:
    assert parse_duration(text) == text


def test_the_environment_wins_over_the_file_and_each_origin_is_told(write: WriteFile) -> None:
    file = write('data_dir = "/a"\n[collect]\ntop = 3\nper_category = 7\n')
    loaded = load_settings(file, {"TWITCHCAT_COLLECT__TOP": "9"})
    assert loaded.settings.collect.top == 9
    assert loaded.settings.collect.per_category == 7
    assert loaded.origins == {
        "data_dir": str(file),
        "collect.top": "TWITCHCAT_COLLECT__TOP",
        "collect.per_category": str(file),
    }


def test_a_file_named_by_the_environment_is_read(write: WriteFile) -> None:
    file = write("[web]\nport = 1234\n")
    assert load_settings(None, {"TWITCHCAT_CONFIG": str(file)}).settings.web.port == 1234


def test_lists_in_the_environment_are_json() -> None:
    loaded = load_settings(None, {"TWITCHCAT_COLLECT__DENY": '["SomeOne", "other"]'})
    assert loaded.settings.collect.deny == ("someone", "other")


def test_an_empty_variable_is_no_variable() -> None:
    assert load_settings(None, {"TWITCHCAT_DATABASE__URL": ""}).settings.database.url is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("[collect]\ntpo = 3", ["collect.tpo", "did you mean collect.top?"], id="a misspelt key"),
        pytest.param("[databas]\nurl = 'x'", ["databas", "did you mean database?"], id="a misspelt section"),
        pytest.param("[collect]\ntop = 'many'", ["collect.top", "must be a whole number"], id="a wrong type"),
        pytest.param(
            "[collect]\nrevisit = '5x'",
            ["collect.revisit: must be a duration such as 30s, 5m, 2h, 14d"],
            id="a wrong duration",
        ),
        pytest.param("[collect]\ncategories = 'Chess'", ["collect.categories: must be a list"], id="no list"),
        pytest.param("capture = 3", ["capture: must be a table"], id="no table"),
        pytest.param("[collect]\ntop = 0", ["collect.top: must be 1 or more"], id="too small"),
        pytest.param("[collect]\ngames_only = 'y?'", ["collect.games_only: must be true or"], id="no flag"),
        pytest.param("[log]\nlevel = 'loud'", ["log.level: must be 'debug', 'info'"], id="no choice"),
        pytest.param(
            "[database]\nurl = 'mysql://me:hidden@localhost/x'",
            ["database.url: must start with postgresql:// or postgres://"],
            id="another database",
        ),
        pytest.param("[collect]\nrevisit = '0s'", ["collect.revisit", "longer than zero"], id="no duration"),
        pytest.param("[collect]\nrevisit = '99999999999d'", ["collect.revisit"], id="longer than time"),
        pytest.param("[retention]\nmax_age = '40000d'", ["retention.max_age", "100 years"], id="too long"),
        pytest.param("[capture]\nvariant = 'hd'", ["capture.variant", "360p"], id="a wrong variant"),
        pytest.param("[collect]\ndeny = [1]", ["collect.deny"], id="a wrong item of a list"),
        pytest.param(
            "[collect]\ntop = 0\nchannel_share = 2", ["collect.top", "collect.channel_share"], id="two"
        ),
        pytest.param("[collect", ["is not TOML"], id="no TOML at all"),
    ],
)
def test_a_mistake_in_the_file_names_the_file_the_key_and_the_nearest_known(
    write: WriteFile, text: str, named: list[str]
) -> None:
    file = write(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {})
    for part in [str(file), *named]:
        assert part in str(caught.value)


@pytest.mark.parametrize("key", ["helix_url", "auth_url", "rewrite"])
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("localhost:8080", id="no scheme"),
        pytest.param("ftp://localhost", id="another scheme"),
        pytest.param("http://", id="no host"),
        pytest.param("http://:8080/helix", id="a port and no host"),
        pytest.param("http://localhost:port", id="no port"),
        pytest.param("http://localhost:99999", id="too high a port"),
        pytest.param("http://[::1", id="half a bracket"),
        pytest.param("http://local host/", id="a space"),
        pytest.param("http://localhost/?a=b", id="a query"),
        pytest.param("", id="nothing"),
    ],
)
def test_an_address_that_nobody_could_ask_is_refused(write: WriteFile, key: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"twitch.{key}: must be an address such as https://"):
        load_settings(write(f"[twitch]\n{key} = '{url}'"), {})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/helix", "https://api.twitch.tv/helix/", "http://[::1]:80", "HTTP://LOCAL"]
)
def test_addresses_are_taken_as_they_are_written(write: WriteFile, url: str) -> None:
    assert load_settings(write(f"[twitch]\nhelix_url = '{url}'"), {}).settings.twitch.helix_url == url


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        pytest.param("TWITCHCAT_DATABSE__URL", "x", "did you mean TWITCHCAT_DATABASE__URL?", id="misspelt"),
        pytest.param(
            "TWITCHCAT_COLLECT__TOP", "many", "TWITCHCAT_COLLECT__TOP: collect.top", id="wrong type"
        ),
        pytest.param(
            "TWITCHCAT_COLLECT__CATEGORIES",
            "Chess",
            """CATEGORIES: collect.categories: must be a list in JSON, such as '["Chess"]'""",
            id="a list that is no JSON",
        ),
        pytest.param(
            "TWITCHCAT_COLLECT__DENY", "5", "collect.deny: must be a list", id="JSON that is no list"
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(variable: str, value: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {variable: value})
    assert named in str(caught.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", {})


def test_secrets_do_not_show_in_a_repr() -> None:
    environ = {
        "TWITCHCAT_TWITCH__CLIENT_SECRET": "hush",
        "TWITCHCAT_DATABASE__URL": "postgresql://u:hush@h/d",
        "TWITCHCAT_ALERTS__URLS": '["https://hooks.example/hush"]',
    }
    settings = load_settings(None, environ).settings
    assert "hush" not in repr(settings)
    assert settings.twitch.client_secret is not None
    assert settings.twitch.client_secret.get_secret_value() == "hush"


def test_the_example_file_shows_every_key_with_its_default(write: WriteFile) -> None:
    example = Path(__file__).parents[2] / "config.example.toml"
    text = example.read_text(encoding="utf-8")
    uncommented = "\n".join(
        line.removeprefix("# ") if _is_setting(line) else line for line in text.splitlines()
    )
    loaded = load_settings(write(uncommented), {})
    assert set(known_keys()) - set(loaded.origins) == set()
    defaults = Settings(data_dir=loaded.settings.data_dir)
    shown = loaded.settings.model_dump(
        exclude={"data_dir": True, "database": {"url"}, "twitch": _NO_DEFAULT_TWITCH}
    )
    expected = defaults.model_dump(
        exclude={"data_dir": True, "database": {"url"}, "twitch": _NO_DEFAULT_TWITCH}
    )
    for settings in (shown, expected):
        del settings["capture"]["channels"]
        for section in ("retention", "model", "alerts"):
            del settings[section]
    assert shown == expected


_NO_DEFAULT_TWITCH: Any = {"client_id", "client_secret", "rewrite"}


def _is_setting(line: str) -> bool:
    return line.startswith("# ") and " = " in line and line[2:].partition(" = ")[0].isidentifier()
