"""`twitchcat config`: what is in force, and from where."""

import json
from typing import Annotated, Any

import typer

from twitchcat.cli.errors import cli_errors

app = typer.Typer(no_args_is_help=True, help="See the settings in force.")

MASK = "********"


@app.command()
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print every setting in force and where it comes from; secrets are masked.

    Example: twitchcat config show
    """
    from rich.console import Console
    from rich.table import Table

    from twitchcat.cli.context import loaded_settings
    from twitchcat.config import known_keys

    with cli_errors():
        loaded = loaded_settings(context)
        values = {key: _plain(_value(loaded.settings, key)) for key in known_keys()}
        origins = {key: loaded.origins.get(key, "default") for key in values}
        if as_json:
            typer.echo(json.dumps({key: {"value": values[key], "from": origins[key]} for key in values}))
            return
        table = Table("Key", "Value", "From", box=None, pad_edge=False)
        for key, value in values.items():
            shown = "unset" if value is None else json.dumps(value, ensure_ascii=False)
            table.add_row(key, shown, origins[key], style="dim" if origins[key] == "default" else None)
        Console().print(table)


def _value(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = getattr(settings, part)
    return settings


def _plain(value: Any) -> Any:
    """A setting as JSON shows it, a secret masked."""
    from datetime import timedelta
    from pathlib import Path

    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
