"""`twitchcat doctor`: what is installed, reachable and configured."""

import json
import signal
from collections.abc import Sequence
from typing import Annotated

import typer

from twitchcat.cli.console import printable
from twitchcat.cli.errors import exit_code
from twitchcat.doctor.finding import Area, Finding, Level

#: Mark, colour.
_LOOKS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.FAILURE: ("✗", "red")}


def doctor(
    context: typer.Context,
    only: Annotated[
        list[Area] | None, typer.Option(help="Look at nothing but this; repeat for more.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is installed, reachable and configured, and what to do about what is not.

    Changes nothing: no setting, no database. Warnings leave the exit code at 0.

    Example: twitchcat doctor --only database --only storage
    """
    from twitchcat.cli.context import loaded_settings
    from twitchcat.cli.progress import progress_bar
    from twitchcat.config import LoadedSettings
    from twitchcat.doctor.examine import examine
    from twitchcat.errors import ConfigError

    # Ends as Ctrl-C does: what a trial of the database has started is stopped and removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    loaded: LoadedSettings | ConfigError
    try:
        loaded = loaded_settings(context)
    except ConfigError as error:  # is a finding, too
        loaded = error
    with progress_bar("Examining") as finished:
        findings = examine(loaded, areas=frozenset(only or Area), finished=finished)
    code = worst(findings)
    if as_json:
        entries = [
            {"name": one.name, "level": one.level, "message": one.message, "advice": one.advice}
            for one in findings
        ]
        typer.echo(json.dumps({"findings": entries, "ok": code == 0}, ensure_ascii=False))
    else:
        _print(findings)
    raise typer.Exit(code)


def worst(findings: Sequence[Finding]) -> int:
    """The exit code of a report: 0 without a failure, else the highest of its failures."""
    failures = [one.error for one in findings if one.level is Level.FAILURE]
    return max((exit_code(error) if error is not None else 1 for error in failures), default=0)


def _print(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from twitchcat.cli.console import output

    console = output()
    if not console.is_terminal or console.options.ascii_only:
        for line in plain_lines(findings):
            typer.echo(line)
        return
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        mark, colour = _LOOKS[one.level]
        told = Text(printable(one.message, keep="\n"))
        if one.advice:
            told.append("\n→ " + printable(one.advice, keep="\n"), style=colour)
        table.add_row(Text(mark, style=f"bold {colour}"), Text(one.name, style="bold"), told)
    console.print(table)
    console.print(Text(_verdict(findings)))


def plain_lines(findings: Sequence[Finding]) -> list[str]:
    """The report for pipes and files: a line for each finding, and one for all."""
    width = max((len(one.name) for one in findings), default=0)
    lines = []
    for one in findings:
        told = f"{one.message} -> {one.advice}" if one.advice else one.message
        lines.append(f"{one.level:<8} {one.name:<{width}}  {printable(' '.join(told.splitlines()))}")
    return [*lines, _verdict(findings)]


def _verdict(findings: Sequence[Finding]) -> str:
    counts = {level: sum(one.level is level for one in findings) for level in Level}
    failures, warnings = counts[Level.FAILURE], counts[Level.WARNING]
    if not failures and not warnings:
        return "All is well."
    return f"{_plural(failures, 'failure')}, {_plural(warnings, 'warning')}."


def _plural(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
