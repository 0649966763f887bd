"""The application: global options, and which command lives in which module."""

from pathlib import Path
from typing import Annotated

import typer

from twitchcat.cli import config as config_commands
from twitchcat.cli import dataset as dataset_commands
from twitchcat.cli import db as db_commands
from twitchcat.cli import models as models_commands
from twitchcat.cli.collect import collect
from twitchcat.cli.demo import demo
from twitchcat.cli.doctor import doctor
from twitchcat.cli.evaluate import evaluate
from twitchcat.cli.station import station
from twitchcat.cli.train import embed, train

app = typer.Typer(
    name="twitchcat",
    help="Says what a live Twitch channel is really showing.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("collect")(collect)
dataset_commands.app.command("embed")(embed)
app.add_typer(dataset_commands.app, name="dataset")
app.command("train")(train)
app.add_typer(models_commands.app, name="models")
app.add_typer(db_commands.app, name="db")
app.command("evaluate")(evaluate)
app.command("station")(station)
app.command("demo")(demo)
app.command("doctor")(doctor)
app.add_typer(config_commands.app, name="config")


def _print_version(value: bool) -> None:
    if value:
        from twitchcat import __version__

        typer.echo(f"twitchcat {__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", envvar="TWITCHCAT_CONFIG", help="Settings file (TOML).", show_default=False
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where images and the embedded database live.", show_default=False),
    ] = None,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log more (-vv: everything).")
    ] = 0,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    from twitchcat.cli.context import GlobalOptions

    context.obj = GlobalOptions(config=config, data_dir=data_dir, verbose=verbose)
