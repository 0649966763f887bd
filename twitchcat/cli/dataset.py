"""`twitchcat dataset`: what is stored, and keeping it in order."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from twitchcat.cli.dataset_import import import_
from twitchcat.cli.dataset_split import split
from twitchcat.cli.errors import cli_errors

app = typer.Typer(no_args_is_help=True, help="See the dataset and keep it in order.")
app.command("import")(import_)
app.command("split")(split)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]


@app.command()
def info(context: typer.Context, as_json: Json = False) -> None:
    """Show what the dataset holds of each category.

    Example: twitchcat dataset info
    """
    from twitchcat.cli.console import json_text
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.dataset_display import info_as_dict, print_info
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.info import dataset_info

    with cli_errors():
        settings = settings_of(context)
        with open_database(settings) as database:
            found = dataset_info(database, target=settings.collect.per_category)
        if as_json:
            typer.echo(json_text(info_as_dict(found)))
        else:
            print_info(found)


@app.command()
def sync(
    context: typer.Context,
    dry_run: DryRun = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read every image and verify its checksum.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take the images folder for this database's, whatever it says.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove rows without image and images without row, and what the retention setting says is too old.

    Safe beside running collectors.

    Example: twitchcat dataset sync --dry-run
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.progress import progress_bar
    from twitchcat.cli.signals import stop_on_signals
    from twitchcat.dataset.collect import image_store
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.identity import bind
    from twitchcat.dataset.sync import sync as run

    with cli_errors(), stop_on_signals() as stop:
        settings = settings_of(context)
        with open_database(settings) as database, progress_bar("Comparing images and rows") as progress:
            store = image_store(settings)
            bind(database, store, adopt=adopt)
            report = run(
                database,
                store,
                settings.retention,
                deep=deep,
                dry_run=dry_run,
                progress=progress,
                stop=stop,
            )
        counts = report.as_dict()
        if as_json:
            typer.echo(json.dumps(counts))
        else:
            for name, count in counts.items():
                typer.echo(f"{name.replace('_', ' '):<20} {count}")
    if stop.is_set():
        typer.echo("twitchcat: stopped before the end", err=True)
        raise typer.Exit(1)


@app.command()
def remove(
    context: typer.Context,
    channel: Annotated[
        str | None, typer.Option(help="Everything of this channel, by login.", show_default=False)
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Frames of this category, by name.", show_default=False)
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
            help="Frames captured before this time (UTC unless it says otherwise).",
            show_default=False,
        ),
    ] = None,
    frame: Annotated[list[int] | None, typer.Option(help="This frame, by id; repeat for more.")] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove frames that meet every condition given; a channel alone: all that is known of it.

    Example: twitchcat dataset remove --channel some_login
    """
    from rich.filesize import decimal

    from twitchcat.cli.console import counted
    from twitchcat.cli.context import settings_of
    from twitchcat.dataset.collect import image_store
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.identity import bind
    from twitchcat.dataset.removal import Selection
    from twitchcat.dataset.removal import remove as run
    from twitchcat.errors import ConfigError

    with cli_errors():
        settings = settings_of(context)
        if before is not None and before.tzinfo is None:
            before = before.replace(tzinfo=UTC)
        selection = Selection(
            channel=channel.lower() if channel else None,
            category=category,
            before=before,
            frames=tuple(frame or ()),
        )
        if not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
            raise ConfigError(
                "nobody can be asked here whether to remove: use --yes, or --dry-run to see what"
            )
        with open_database(settings) as database:
            store = image_store(settings)
            bind(database, store)
            found = run(database, store, selection, dry_run=True)
            if frame and not (found.frames or channel or category or before):
                raise ConfigError(f"the dataset has no such frame: {', '.join(map(str, selection.frames))}")
            told = f"{counted(found.frames, 'frame')} ({decimal(found.bytes)})"
            if found.captures:
                told += f" and the record of {counted(found.captures, 'visit')}"
            if not dry_run:
                if not yes and (found.frames or found.captures):
                    typer.confirm(f"Remove {told}?", abort=True, err=True)
                found = run(database, store, selection, dry_run=False)
        if as_json:
            entry = {
                "frames": found.frames,
                "bytes": found.bytes,
                "captures": found.captures,
                "dry_run": dry_run,
            }
            typer.echo(json.dumps(entry))
        else:
            typer.echo(f"{'Would remove' if dry_run else 'Removed'} {told}.")
        if selection.whole_channel and not dry_run and not as_json:
            typer.echo(
                f"Add {selection.channel} to collect.deny if it shall not be collected again.", err=True
            )
