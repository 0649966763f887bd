"""How `twitchcat dataset info` looks."""

from datetime import datetime
from typing import Any

from rich.filesize import decimal
from rich.progress_bar import ProgressBar
from rich.table import Table

from twitchcat.cli.console import counted, output, printable
from twitchcat.dataset.info import DatasetInfo


def info_as_dict(info: DatasetInfo) -> dict[str, Any]:
    """The info as JSON shows it; times in ISO 8601."""
    return {
        "frames": info.frames,
        "bytes": info.bytes,
        "channels": info.channels,
        "captures": info.captures,
        "outcomes": info.outcomes,
        "categories": [
            {
                "id": one.id,
                "name": one.name,
                "frames": one.frames,
                "channels": one.channels,
                "captures": one.captures,
                "bytes": one.bytes,
                "first": one.first.isoformat(),
                "last": one.last.isoformat(),
                "target": one.target,
                "progress": round(one.progress, 4),
            }
            for one in info.categories
        ],
    }


def print_info(info: DatasetInfo) -> None:
    """Print the info on stdout."""
    console = output()
    if not info.categories:
        console.print("The dataset is empty. Fill it with twitchcat collect.")
    else:
        table = Table(box=None, pad_edge=False)
        table.add_column("Category", overflow="fold")
        for name in ("Frames", "Channels", "Captures", "Size"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("First", "Last", "To target"):
            table.add_column(name, no_wrap=True)
        for one in info.categories:
            bar = ProgressBar(total=one.target, completed=min(one.frames, one.target), width=12)
            table.add_row(
                printable(one.name),
                str(one.frames),
                str(one.channels),
                str(one.captures),
                decimal(one.bytes),
                _time(one.first),
                _time(one.last),
                bar if console.is_terminal else f"{one.progress:.0%}",
            )
        console.print(table)
    visits = ", ".join(f"{count} {outcome}" for outcome, count in info.outcomes.items())
    console.print(
        f"{counted(info.frames, 'frame')} ({decimal(info.bytes)}) of {len(info.categories)} "
        f"{'category' if len(info.categories) == 1 else 'categories'} "
        f"from {counted(info.channels, 'channel')}; "
        f"{counted(info.captures, 'visit')}{f': {visits}' if visits else ''}."
    )


def _time(at: datetime) -> str:
    return at.astimezone().strftime("%b %d %H:%M")
