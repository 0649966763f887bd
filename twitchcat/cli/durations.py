"""Durations on the command line."""

from datetime import timedelta

import typer


def duration(text: str) -> timedelta:
    """Read "30s", "5m", "2h" or "1h30m"; says what is expected otherwise."""
    from twitchcat.config import parse_duration

    parsed = parse_duration(text)
    if not isinstance(parsed, timedelta) or parsed <= timedelta(0):
        raise typer.BadParameter(f"{text!r} is no duration; write 30s, 5m, 2h or 1h30m")
    return parsed
