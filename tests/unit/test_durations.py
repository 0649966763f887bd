"""Durations on the command line, and options that stand over settings."""

from datetime import timedelta
from typing import Any

import pytest
import typer

from twitchcat.cli.durations import duration
from twitchcat.cli.overrides import override
from twitchcat.config import Settings
from twitchcat.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("0.5s", 0.5), (" 2H ", 7200), ("1d", 86_400)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "-5m", "5 minutes", "0s", "1h30", "m5", "99999999999d"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30s, 5m, 2h"):
        duration(text)


def test_options_stand_over_settings() -> None:
    settings = Settings.model_validate({"collect": {"top": 5, "deny": ["Someone"]}})
    changed = override(settings, {"collect.top": 7, "capture.channels": 3, "collect.per_category": None})
    assert changed.collect.top == 7
    assert changed.capture.channels == 3
    assert changed.collect.per_category == settings.collect.per_category
    assert changed.collect.deny == ("someone",)
    assert settings.collect.top == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [("capture.channels", 0), ("collect.top", "many"), ("capture.frames", 61)],
)
def test_an_option_that_its_setting_does_not_take_names_the_setting(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: "):
        override(Settings(), {key: value})
