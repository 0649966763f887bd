"""`twitchcat station`: a Twitch on loopback from local videos."""

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twitchcat.cli.durations import duration
from twitchcat.cli.errors import cli_errors
from twitchcat.station.faults import FAULTS

if TYPE_CHECKING:
    from twitchcat.station.server import Station


def station(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Videos as DIR/Category name/channel.mp4; the clips that ship with twitchcat if left out.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any free port.")] = 8789,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOGIN=KIND",
            help="Something that goes wrong with a channel, or with all (*). May be repeated. "
            f"There are {', '.join(FAULTS)}; some take seconds (slow:2).",
            show_default=False,
        ),
    ] = None,
    window: Annotated[int, typer.Option(min=1, max=300, help="Segments that a playlist shows.")] = 15,
    channels: Annotated[
        int | None,
        typer.Option(min=1, help="Play so many, files under several logins if need be.", show_default=False),
    ] = None,
    latency: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Wait so long before each answer, such as 25ms.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play a folder of videos as live channels, on this machine alone, the way Twitch does.

    Set what it prints, and twitchcat talks to it instead of Twitch. Stop it with Ctrl-C.

    Example: twitchcat station --fault doom_s2=slow:2
    """
    import signal
    import threading

    from twitchcat.station.context import StationOptions
    from twitchcat.station.faults import parse_assignments
    from twitchcat.station.folder import PACKAGED_CLIPS
    from twitchcat.station.server import Station

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with cli_errors():
        options = StationOptions(
            window=window,
            channels=channels,
            latency_s=latency.total_seconds() if latency else 0.0,
            faults=parse_assignments(fault or []),
        )
        with Station(folder or PACKAGED_CLIPS, port=port, options=options) as running:
            _announce(running, as_json=as_json)
            stop.wait()


def _announce(running: "Station", *, as_json: bool) -> None:
    """Print the address, the channels, and the settings that lead here."""
    import sys

    from twitchcat.config import ENV_PREFIX
    from twitchcat.station.control import describe

    channels = [describe(running.lineup, channel) for channel in running.channels]
    settings = running.settings()["twitch"]
    for left_out in running.lineup.folder.left_out:
        typer.echo(f"twitchcat: {left_out.file} is left out, it cannot be played: {left_out.why}", err=True)
    if as_json:
        typer.echo(json.dumps({"url": running.url, "settings": {"twitch": settings}, "channels": channels}))
    else:
        _print_channels(channels)
        typer.echo(f"\nOn the air at {running.url}. In twitchcat.toml:\n\n[twitch]")
        for key, value in settings.items():
            typer.echo(f'{key} = "{value}"')
        typer.echo("\nor in the environment:\n")
        for key, value in settings.items():
            typer.echo(f"export {ENV_PREFIX}TWITCH__{key.upper()}={value}")
        typer.echo("\nCtrl-C stops it.", err=True)
    sys.stdout.flush()  # whoever started it through a pipe waits for these lines


def _print_channels(channels: "list[dict[str, Any]]") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    # A name that cannot be a login, or that several files have, is not what its channel is called.
    files = {channel["login"]: Path(channel["file"]) for channel in channels}
    others = {login for login, file in files.items() if file.stem != login}
    table = Table(Column("Channel", no_wrap=True), "Category", "Viewers", "State", box=None, pad_edge=False)
    if others:
        table.add_column("File", overflow="fold")
    for channel in channels:
        state = ["live" if channel["live"] else "offline", *channel["faults"]]
        if channel["declares"] != channel["shows"]:
            state.insert(1, f"declares {channel['declares'] or 'nothing'}")
        login = channel["login"]
        named = [files[login].name if login in others else ""] if others else []
        table.add_row(login, channel["shows"], str(channel["viewers"]), ", ".join(state), *named)
    Console().print(table)
