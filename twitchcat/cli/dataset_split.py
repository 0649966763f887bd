"""`twitchcat dataset split`: which channels are for training, validation and test."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from twitchcat.cli.errors import cli_errors


def split(
    context: typer.Context,
    val: Annotated[float, typer.Option(help="Share of a category's channels for validation.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share of a category's channels for the test.")] = 0.15,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Deal every channel anew. Unset: channels keep their split, new ones are dealt with seed 0.",
            show_default=False,
        ),
    ] = None,
    time_forward: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
            help="Test on channels first seen from then on, learn from what was before (UTC).",
            show_default=False,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show how the dataset is split now.")] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Find frames that a split shares with an earlier one.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --audit: take them out of the later split.")
    ] = False,
    bits: Annotated[
        int, typer.Option(min=0, max=64, help="With --audit: hash bits by which the same picture may differ.")
    ] = 3,
    cosine: Annotated[
        float, typer.Option(help="With --audit: cosine from which embeddings are of the same picture.")
    ] = 0.99,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Deal the channels into train, val and test: never one channel into two, every category into all three.

    A category needs three channels for that. Of two, one is for training and one for the test; a single one
    is for training.

    Example: twitchcat dataset split --seed 0
    """
    from twitchcat.cli import dataset_split_display as display
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.progress import progress_bar
    from twitchcat.dataset.audit import audit as run_audit
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.deal import Shares
    from twitchcat.dataset.split import split_by_time, split_dataset, split_report
    from twitchcat.errors import ConfigError

    with cli_errors():
        if drop and not audit:
            raise ConfigError("--drop takes out what --audit finds: give both")
        if (show or audit) and (seed is not None or time_forward is not None or (show and audit)):
            raise ConfigError("deal first; --show and --audit are about the splits there are")
        shares = Shares(val=val, test=test)
        settings = settings_of(context)
        with open_database(settings) as database:
            if audit:
                with progress_bar("Comparing frames") as progress:
                    found = run_audit(database, bits=bits, cosine=cosine, drop=drop, progress=progress)
                if as_json:
                    typer.echo(json.dumps(display.audit_as_dict(found), ensure_ascii=False))
                else:
                    display.print_audit(found)
                return
            if show:
                report = split_report(database)
            elif time_forward is not None:
                if time_forward.tzinfo is None:
                    time_forward = time_forward.replace(tzinfo=UTC)
                report = split_by_time(database, time_forward, shares=shares, seed=seed or 0)
            else:
                report = split_dataset(database, shares=shares, seed=seed)
        if as_json:
            typer.echo(json.dumps(display.split_as_dict(report), ensure_ascii=False))
        else:
            display.print_split(report)
