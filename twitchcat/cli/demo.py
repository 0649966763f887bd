"""`twitchcat demo`: the whole loop on this machine, offline."""

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twitchcat.cli.durations import duration
from twitchcat.cli.errors import cli_errors

if TYPE_CHECKING:
    from rich.console import Console

    from twitchcat.config import Settings

#: Shown and run at the end; docs/sql.md has more.
QUERIES = (
    """SELECT category, count(*) AS frames, count(DISTINCT channel) AS channels,
       pg_size_pretty(sum(bytes)) AS size
FROM frame_index GROUP BY category ORDER BY frames DESC""",
    """SELECT channel, category, min(captured_at)::time(0) AS first, max(captured_at)::time(0) AS last,
       round(avg(bytes) / 1024, 1) AS kib_per_frame
FROM frame_index GROUP BY channel, category ORDER BY channel LIMIT 6""",
)


def demo(
    context: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the dataset here. Else it is temporary.", show_default=False)
    ] = None,
    seconds: Annotated[
        timedelta, typer.Option("--for", parser=duration, metavar="TIME", help="How long to collect.")
    ] = timedelta(seconds=30),
    output: Annotated[Path, typer.Option(help="Where the contact sheet goes.")] = Path("twitchcat-demo.png"),
) -> None:
    """Show the whole loop offline: a Twitch on this machine, collecting from it, asking the dataset.

    Twelve short recordings of free games play the part of live channels.

    Example: twitchcat demo
    """
    import tempfile

    from rich.console import Console

    from twitchcat.cli.context import loaded_settings
    from twitchcat.config import Settings

    console = Console(highlight=False, stderr=False)
    with cli_errors(), ExitStack() as stack:
        _check_writable(output)
        loaded_settings(context)  # for its logging; the demo's own settings are the same for everybody
        folder = data_dir or context.obj.data_dir
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twitchcat-demo-")))
        from twitchcat.station.folder import PACKAGED_CLIPS
        from twitchcat.station.server import Station

        _title(console, "A Twitch on this machine")
        station = stack.enter_context(Station(PACKAGED_CLIPS))
        settings = Settings.model_validate(
            {
                "data_dir": folder,
                "twitch": {**station.settings()["twitch"], "resolves_per_second": 20},
                # Twelve channels and no others: each may give much, and is visited often.
                "collect": {"games_only": False, "channel_share": 0.5, "revisit": "6s", "per_category": 30},
            }
        )
        console.print(
            f"{len(station.channels)} channels are live at {station.url}: recordings of free games."
        )
        _title(console, f"twitchcat collect --for {seconds.total_seconds():.0f}s")
        if not _collect(settings, seconds):
            console.print("Stopped.")
            return
        _title(console, "twitchcat dataset info")
        _ask(console, settings, output)


def _check_writable(output: Path) -> None:
    """Find out before half a minute of work whether its result can be written. Raises ConfigError."""
    import tempfile

    from twitchcat.errors import ConfigError

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists():
            with output.open("ab"):
                pass
        else:
            with tempfile.TemporaryFile(dir=output.parent):
                pass
    except OSError as error:
        raise ConfigError(
            f"the contact sheet cannot be written to {output}: {error.strerror}; --output takes another place"
        ) from error


def _title(console: "Console", text: str) -> None:
    console.print()
    console.print(f"[bold]▶ {text}[/bold]")


def _collect(settings: "Settings", seconds: timedelta) -> bool:
    """Collect, and say how it went; whether the rest of the demo shall follow."""
    from twitchcat.cli.collect_display import choose_display
    from twitchcat.cli.signals import stop_on_signals
    from twitchcat.dataset.collect import CollectRequest, collect

    with stop_on_signals(enter=True) as stop, choose_display(as_json=False, stop=stop) as display:
        summary = collect(settings, CollectRequest(duration=seconds), observer=display, stop=stop)
    display.summarise(summary)
    return bool(summary.totals.frames)


def _ask(console: "Console", settings: "Settings", output: Path) -> None:
    import sys

    from twitchcat.cli.dataset_display import print_info
    from twitchcat.cli.rows import write_table
    from twitchcat.dataset.collect import image_store
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.info import dataset_info
    from twitchcat.dataset.query import run_query
    from twitchcat.dataset.sheet import dataset_sheet

    with open_database(settings) as database:
        print_info(dataset_info(database, target=settings.collect.per_category))
        for sql in QUERIES:
            _title(console, "twitchcat db query")
            console.print(sql, style="cyan", markup=False, soft_wrap=True)
            with run_query(database, sql, timeout=settings.database.statement_timeout) as result:
                write_table(result.columns, result.rows, sys.stdout)
        sheet = dataset_sheet(database, image_store(settings))
    if sheet is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(sheet)
        _title(console, "What was collected")
        console.print(f"Contact sheet: {output.resolve()}", soft_wrap=True)
