"""What every command shares: the global options, and the settings and logging they lead to."""

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from twitchcat.config import LoadedSettings, Settings, load_settings
from twitchcat.logs import set_up_logging


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    """Options given before the command."""

    config: Path | None = None
    data_dir: Path | None = None
    verbose: int = 0


def loaded_settings(context: typer.Context) -> LoadedSettings:
    """The settings in force for this call, logging set up by them. Raises ConfigError."""
    options: GlobalOptions = context.obj
    loaded = load_settings(options.config)
    settings = loaded.settings
    origins = dict(loaded.origins)
    if options.data_dir is not None:
        settings = settings.model_copy(update={"data_dir": options.data_dir.expanduser()})
        origins["data_dir"] = "--data-dir"
    level = {0: settings.log.level, 1: "info"}.get(options.verbose, "debug")
    set_up_logging(level=level, style=settings.log.format, terminal=sys.stderr.isatty())
    return LoadedSettings(settings=settings, origins=origins, file=loaded.file)


def settings_of(context: typer.Context) -> Settings:
    """The settings in force for this call. Raises ConfigError."""
    return loaded_settings(context).settings
