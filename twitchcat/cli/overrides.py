"""Options of a command that stand over the settings for one call."""

from collections.abc import Mapping
from typing import Any

from twitchcat.config import Settings, error_in_words
from twitchcat.errors import ConfigError


def override(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with the given keys ("collect.top") replaced; None leaves one alone.

    Raises ConfigError for a value that the setting does not take.
    """
    from pydantic import ValidationError

    for key, value in values.items():
        if value is None:
            continue
        section, name = key.split(".")
        old = getattr(settings, section)
        try:
            # Only what is set by hand is validated again: defaults need not survive a round trip.
            new = type(old).model_validate(
                {**{field: getattr(old, field) for field in old.model_fields_set}, name: value}
            )
        except ValidationError as error:
            raise ConfigError(f"{key}: {error_in_words(error.errors()[0])}") from None
        settings = settings.model_copy(update={section: new})
    return settings
