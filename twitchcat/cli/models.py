"""`twitchcat models`: which models there are, and which one recognizes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from twitchcat.cli.errors import cli_errors
from twitchcat.config import Settings

app = typer.Typer(no_args_is_help=True, help="See the models, and choose the one that recognizes.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines: one object per model.")] = False,
) -> None:
    """List the models, latest first; a star marks the one in use.

    Example: twitchcat models list
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.models_display import entry_as_dict, print_entries
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.registry import list_models

    with cli_errors():
        settings = settings_of(context)
        with open_database(settings) as database:
            entries = list_models(database, settings.data_dir)
        if as_json:
            for entry in entries:
                typer.echo(json.dumps(entry_as_dict(entry), ensure_ascii=False))
        else:
            print_entries(entries, settings)


@app.command()
def show(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model's name, or a model file; nothing: the model in use.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a model says of itself, and its card. A file, and the model in use, need no database.

    Example: twitchcat models show
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.models_display import model_as_dict, print_model
    from twitchcat.recognition.model import RecognitionModel

    with cli_errors():
        settings = settings_of(context)
        path = _file_of(settings, model)
        loaded = RecognitionModel.load(path)
        if as_json:
            typer.echo(json.dumps(model_as_dict(loaded), ensure_ascii=False))
        else:
            print_model(loaded)


@app.command()
def use(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(help="A model's name, a run folder, or a model file: that is registered first."),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="What to call a new model; else day, backbone and head.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it is worse than the one in use on the same test split.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let a model recognize from now on.

    One that names fewer windows of the same test split right than the one in use is refused.

    Example: twitchcat models use 2026-11-21-small-lstm
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.registry import promote, register
    from twitchcat.errors import ModelError

    with cli_errors():
        settings = settings_of(context)
        with open_database(settings) as database:
            if _is_path(model):
                model = register(database, settings.data_dir, Path(model), name=name).name
            elif name is not None:
                raise typer.BadParameter("--name is for a model that is not registered yet")
            done = promote(database, settings.data_dir, model, force=force)
        if not done.promoted:
            raise ModelError(f"{model} is worse: {done.reason}; --force takes it all the same")
        if as_json:
            typer.echo(json.dumps({"model": model, "before": done.before, "reason": done.reason}))
        else:
            typer.echo(f"{model} is in use ({done.reason}).")
        _say_what_wins(settings)


@app.command()
def rollback(context: typer.Context, as_json: Json = False) -> None:
    """Let the model recognize again that did before this one; again: the one before that.

    Example: twitchcat models rollback
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.registry import roll_back
    from twitchcat.recognition.current import current_name

    with cli_errors():
        settings = settings_of(context)
        before = current_name(settings.data_dir)
        with open_database(settings) as database:
            model = roll_back(database, settings.data_dir)
        if as_json:
            typer.echo(json.dumps({"model": model, "before": before}))
        else:
            typer.echo(f"{model or 'The packaged model'} is in use again, in place of {before}.")
        _say_what_wins(settings)


def _file_of(settings: Settings, model: str | None) -> Path:
    """The file that an argument means. Raises ModelError."""
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.registry import find_model
    from twitchcat.recognition.current import FILE, resolve_model_path

    if model is None:
        return resolve_model_path(settings)
    if _is_path(model):
        return Path(model) / FILE if Path(model).is_dir() else Path(model)
    with open_database(settings) as database:
        return find_model(database, settings.data_dir, model).file


def _is_path(model: str) -> bool:
    # A name has no separator and no such ending; a folder of that name in the working directory is not meant.
    return "/" in model or model.endswith(".onnx")


def _say_what_wins(settings: Settings) -> None:
    if settings.model.path is not None:
        typer.echo(
            f"twitchcat: the setting model.path names {settings.model.path}, which goes before it", err=True
        )
