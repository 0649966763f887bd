"""`twitchcat collect`: live frames into the dataset."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from twitchcat.cli.durations import duration
from twitchcat.cli.errors import cli_errors

if TYPE_CHECKING:
    from twitchcat.dataset.collector import Summary


def collect(
    context: typer.Context,
    category: Annotated[
        list[str] | None,
        typer.Option(help="Collect this category, by name; repeat for more. Else the current top ones."),
    ] = None,
    login: Annotated[
        list[str] | None, typer.Option(help="Collect exactly this channel; repeat for more.")
    ] = None,
    per_category: Annotated[
        int | None, typer.Option(min=1, help="Frames wanted of each category.", show_default=False)
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="How many of the top categories.", show_default=False)
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Visit each channel once at most, then stop.")] = False,
    run_for: Annotated[
        timedelta | None,
        typer.Option(
            "--for",
            parser=duration,
            metavar="TIME",
            help="Stop after this time: 30s, 5m, 2h.",
            show_default=False,
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="Channels visited at once.", show_default=False)
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, max=60, help="Frames of one visit.", show_default=False)
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Only streams in this language (en, de, …); repeat for more.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for each visit and one for the summary.")
    ] = False,
) -> None:
    """Collect frames of live streams into the dataset.

    Stops when every category has the frames wanted of it; Ctrl-C, SIGTERM or Enter stop earlier, and
    nothing is lost.

    Example: twitchcat collect --category Chess --category Tetris --per-category 200 --for 2h
    """
    from twitchcat.cli.collect_display import choose_display
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.overrides import override
    from twitchcat.cli.signals import stop_on_signals

    with cli_errors():
        settings = override(
            settings_of(context),
            {
                "collect.per_category": per_category,
                "collect.top": top,
                "collect.languages": tuple(language) if language else None,
                "capture.channels": channels,
                "capture.frames": frames,
            },
        )
        from twitchcat.dataset.collect import CollectRequest
        from twitchcat.dataset.collect import collect as run
        from twitchcat.errors import ConfigError

        if category and login:
            raise ConfigError("--category and --login exclude each other")
        if once and run_for is not None:
            raise ConfigError("--once and --for exclude each other")
        request = CollectRequest(
            categories=tuple(category or ()),
            logins=tuple(one.lower() for one in login or ()),
            once=once,
            duration=run_for,
        )
        with stop_on_signals(enter=True) as stop, choose_display(as_json=as_json, stop=stop) as display:
            summary = run(settings, request, observer=display, stop=stop)
        display.summarise(summary)
        if (login and once) or not summary.totals.frames:
            _exit_with_the_worst(summary)


def _exit_with_the_worst(summary: "Summary") -> None:
    """Leave with the worst exit code of the visits, if any is worse than 0."""
    from twitchcat.cli.errors import exit_code_of_reason, print_error

    if summary.unknown:
        print_error(f"no such channel: {', '.join(summary.unknown)}")
    reasons = [*summary.totals.reasons, *(["no such channel"] if summary.unknown else [])]
    codes = [exit_code_of_reason(reason) for reason in reasons]
    codes += [code for outcome, code in (("offline", 3), ("ad", 4)) if summary.totals.visits[outcome]]
    if worst := max(codes, default=0):
        raise typer.Exit(worst)
