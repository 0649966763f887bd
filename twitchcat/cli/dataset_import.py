"""`twitchcat dataset import`: videos and images of this machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twitchcat.cli.errors import cli_errors

if TYPE_CHECKING:
    from twitchcat.dataset.importing.importer import ImportReport

_SHOWN = 20  # problems; --json has them all
_EXIT_UNREADABLE = 4  # as where a stream cannot be read


def import_(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Videos, images, folders, or lists (.json, .csv, .tsv)."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="What the files are: a list in JSON, CSV or Scalabel. Of PATH, only what it names.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Take frames so far apart; 2 unless --frames is given.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(metavar="N", help="Take N of each video, evenly over its length.", show_default=False),
    ] = None,
    sieve: Annotated[
        bool, typer.Option("--sieve", help="Leave out blank and repeated pictures, as collecting does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import local videos and images, with their categories, into the dataset.

    A folder holds a folder per category, or a manifest.json. A file is a channel of its own unless a list
    says otherwise. What is in the dataset already is left alone; what cannot be read is named and skipped.

    Example: twitchcat dataset import recordings/ --every 2
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.errors import print_error
    from twitchcat.cli.progress import progress_bar
    from twitchcat.cli.signals import stop_on_signals
    from twitchcat.dataset.importing.importer import open_and_import
    from twitchcat.dataset.importing.take import Sampling
    from twitchcat.errors import ConfigError

    with cli_errors(), stop_on_signals() as stop:
        if not paths and manifest is None:
            raise ConfigError("name what to import: videos, images, folders, or a --manifest")
        if every is not None and frames is not None:
            raise ConfigError("--every and --frames exclude each other")
        sampling = Sampling(frames=frames) if every is None else Sampling(every_s=every)
        settings = settings_of(context)
        with progress_bar("Importing") as progress:
            report = open_and_import(
                settings,
                paths or (),
                manifest=manifest,
                sampling=sampling,
                sieve=sieve,
                progress=progress,
                stop=stop,
            )
        if as_json:
            typer.echo(json.dumps(_as_dict(report), ensure_ascii=False))
        else:
            _print(report)
        for problem in report.problems[:_SHOWN]:
            print_error(f"{problem.file}: {problem.why}")
        if len(report.problems) > _SHOWN:
            print_error(f"and {len(report.problems) - _SHOWN} more; --json names all")
    if report.stopped:
        typer.echo("twitchcat: stopped before the end; run it again to go on", err=True)
        raise typer.Exit(1)
    if report.problems:
        raise typer.Exit(_EXIT_UNREADABLE)


def _as_dict(report: "ImportReport") -> dict[str, Any]:
    return {
        "imported": report.imported,
        "known": report.known,
        "frames": report.frames,
        "image_bytes": report.image_bytes,
        "left_out": report.left_out,
        "local_categories": list(report.local_categories),
        "problems": [{"file": problem.file, "why": problem.why} for problem in report.problems],
        "stopped": report.stopped,
    }


def _print(report: "ImportReport") -> None:
    from rich.filesize import decimal

    told = f"{report.frames} frames ({decimal(report.image_bytes)}) added of {report.imported} recordings"
    if report.known:
        told += f"; {report.known} were in the dataset already"
    if report.left_out:
        told += f"; {report.left_out} frames left out"
    typer.echo(f"{told}.")
    if report.local_categories:
        typer.echo(
            "Without an id of Twitch's, known by name alone: " + ", ".join(report.local_categories) + "."
        )
