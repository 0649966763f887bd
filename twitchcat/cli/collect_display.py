"""What `twitchcat collect` shows while it runs: a live table, plain lines, or JSON lines."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

import typer
from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from twitchcat.cli.console import OutputLost, counted, json_text, output, printable
from twitchcat.dataset.collector import Observer, Summary, Totals
from twitchcat.dataset.plan import CategoryState
from twitchcat.dataset.visit import VisitReport

#: Columns that a terminal must have for the bar, for the bytes fetched and for the reasons of skips to be
#: shown: the numbers come first.
_BAR, _FETCHED, _WHY = 72, 84, 110


class Display(Observer, Protocol):
    """Shows a collect and its summary."""

    def summarise(self, summary: Summary) -> None:
        """Say how the collect ended."""


@contextmanager
def choose_display(*, as_json: bool, stop: threading.Event) -> Iterator[Display]:
    """The display for this output: JSON lines if asked for, a live table on a terminal, else plain lines.

    Output that can no longer be written sets `stop`.
    """
    console = Console(stderr=True)
    if as_json:
        yield Stopping(JsonDisplay(), stop)
    elif console.is_terminal:
        with LiveDisplay(console) as display:
            yield Stopping(display, stop)
    else:
        yield Stopping(PlainDisplay(), stop)


class Stopping:
    """A display whose output may get lost: the collect then ends in good order, and unseen."""

    def __init__(self, display: Display, stop: threading.Event) -> None:
        self._display, self._stop = display, stop
        self._lost: OutputLost | None = None

    def visited(self, report: VisitReport, totals: Totals) -> None:
        """Show the visit."""
        self._try(lambda: self._display.visited(report, totals))

    def waiting(self, why: str, seconds: float) -> None:
        """Show why nothing is sent out."""
        self._try(lambda: self._display.waiting(why, seconds))

    def tick(self, states: Iterable[CategoryState], totals: Totals, in_hand: int) -> None:
        """Show how far everything is."""
        self._try(lambda: self._display.tick(states, totals, in_hand))

    def summarise(self, summary: Summary) -> None:
        """Show how the collect ended. Raises OutputLost if the output was lost before."""
        if self._lost is not None:
            raise self._lost
        self._display.summarise(summary)

    def _try(self, show: Callable[[], None]) -> None:
        if self._lost is not None:
            return
        try:
            show()
        except OutputLost as error:
            self._lost = error
            self._stop.set()


class JsonDisplay:
    """One JSON object per visit, and one for the summary, on stdout."""

    def visited(self, report: VisitReport, totals: Totals) -> None:
        """Print the visit."""
        del totals
        category = report.category
        self._print(
            event="visit",
            at=report.finished_at.isoformat(),
            channel=report.order.channel.login,
            category={"id": category.id, "name": category.name} if category else None,
            outcome=report.outcome.value,
            reason=report.reason,
            frames=report.frames_kept,
            bytes_fetched=report.bytes_fetched,
            skipped=dict(report.skipped),
            seconds=round(report.seconds, 3),
        )

    def waiting(self, why: str, seconds: float) -> None:
        """Print that nothing is sent out, and why."""
        self._print(event="waiting", at=datetime.now(UTC).isoformat(), why=why, seconds=round(seconds, 1))

    def tick(self, states: Iterable[CategoryState], totals: Totals, in_hand: int) -> None:
        """Nothing: visits are printed as they finish."""

    def summarise(self, summary: Summary) -> None:
        """Print the summary."""
        totals = summary.totals
        self._print(
            event="summary",
            why=summary.why,
            seconds=round(summary.seconds, 3),
            frames=totals.frames,
            image_bytes=totals.image_bytes,
            bytes_fetched=totals.bytes_fetched,
            visits=dict(totals.visits),
            reasons=dict(totals.reasons),
            skipped=dict(totals.skipped),
            unknown=list(summary.unknown),
            categories=[
                {
                    "id": state.category.id,
                    "name": state.category.name,
                    "frames": state.kept,
                    "added": state.added,
                    "wanted": state.wanted,
                    "bytes_fetched": state.bytes_fetched,
                    "skipped": dict(state.skipped),
                }
                for state in summary.states
            ],
        )

    def _print(self, **entry: Any) -> None:
        typer.echo(json_text(entry))


class PlainDisplay:
    """One line per visit on stderr, the summary on stdout."""

    def visited(self, report: VisitReport, totals: Totals) -> None:
        """Print the visit."""
        del totals
        category = report.category.name if report.category else "no category"
        line = f"{_clock(report.finished_at)}  {report.order.channel.login} ({category}): {_told(report)}"
        typer.echo(printable(line), err=True)

    def waiting(self, why: str, seconds: float) -> None:
        """Print that nothing is sent out, and why."""
        typer.echo(f"{_clock(datetime.now(UTC))}  waiting {seconds:.0f} s: {printable(why)}", err=True)

    def tick(self, states: Iterable[CategoryState], totals: Totals, in_hand: int) -> None:
        """Nothing: visits are printed as they finish."""

    def summarise(self, summary: Summary) -> None:
        """Print the summary."""
        print_summary(summary)


class LiveDisplay:
    """A table of the categories that follows the collect, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._began = monotonic()
        self._shown_at = 0.0
        self._latest = Text("starting…", style="dim")

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def visited(self, report: VisitReport, totals: Totals) -> None:
        """Show the visit below the table."""
        del totals
        self._latest = Text(
            printable(f"{_clock(report.finished_at)}  {report.order.channel.login}: {_told(report)}"), "dim"
        )

    def waiting(self, why: str, seconds: float) -> None:
        """Show that nothing is sent out, and why."""
        self._latest = Text(f"waiting {seconds:.0f} s: {printable(why)}", style="yellow")

    def tick(self, states: Iterable[CategoryState], totals: Totals, in_hand: int) -> None:
        """Draw the table, four times a second at most."""
        now = monotonic()
        if now - self._shown_at < 0.25:
            return
        self._shown_at = now
        elapsed = now - self._began
        width = self._live.console.width
        with_bar, with_fetched, with_why = (width >= least for least in (_BAR, _FETCHED, _WHY))
        table = Table(box=None, pad_edge=False)
        table.add_column("Category", no_wrap=True, overflow="ellipsis", max_width=max(8, min(30, width - 28)))
        table.add_column("Frames", justify="right", no_wrap=True)
        if with_bar:
            table.add_column("")
        table.add_column("New", justify="right", no_wrap=True)
        table.add_column("Per min", justify="right", no_wrap=True)
        if with_fetched:
            table.add_column("Fetched", justify="right", no_wrap=True)
        if with_why:
            table.add_column("", no_wrap=True, overflow="ellipsis")
        # The ones furthest from their target first, as many as fit.
        ordered = sorted(states, key=lambda state: state.kept / state.wanted)
        room = max(3, self._live.console.height - 6)
        for state in ordered[:room]:
            resting = state.resting_until > now and not state.reached
            skipped = f"skipped {_counts(state.skipped)}" if state.skipped else ""
            bar = ProgressBar(total=state.wanted, completed=min(state.kept, state.wanted), width=12)
            table.add_row(
                Text(printable(state.category.name)),
                f"{state.kept}/{state.wanted}",
                *([bar] if with_bar else []),
                f"+{state.added}",
                f"{60 * state.added / max(elapsed, 1):.0f}",
                *([decimal(state.bytes_fetched)] if with_fetched else []),
                *(
                    [Text(state.resting_because if resting and not skipped else skipped, "dim")]
                    if with_why
                    else []
                ),
            )
        if len(ordered) > room:
            table.add_row(Text(f"and {len(ordered) - room} more", style="dim"))
        rate = totals.frames / max(elapsed, 1)
        line = (
            f"{_duration(elapsed)}  {counted(totals.frames, 'frame')} ({rate:.1f}/s), "
            f"{decimal(totals.bytes_fetched)} fetched, {counted(in_hand, 'visit')} under way"
        )
        visits = Text(f"visits: {_counts(totals.visits)}" if totals.visits else "", style="dim")
        hint = Text("Enter or Ctrl-C to stop", style="dim")
        self._live.update(Group(table, Text(line), visits, self._latest, hint), refresh=True)

    def summarise(self, summary: Summary) -> None:
        """Print the summary below where the table was."""
        print_summary(summary)


def print_summary(summary: Summary) -> None:
    """Print on stdout how a collect ended."""
    totals, console = summary.totals, output()
    table = Table(box=None, pad_edge=False)
    for name in ("Category", "Added", "Frames", "Wanted"):
        table.add_column(name, justify="left" if name == "Category" else "right")
    for state in sorted(summary.states, key=lambda state: state.category.name):
        table.add_row(printable(state.category.name), f"+{state.added}", str(state.kept), str(state.wanted))
    if summary.states:
        console.print(table)
    rate = totals.frames / summary.seconds if summary.seconds else 0.0
    console.print(
        f"{counted(totals.frames, 'frame')} ({decimal(totals.image_bytes)}) in {_duration(summary.seconds)}, "
        f"{rate:.1f} per second; {decimal(totals.bytes_fetched)} fetched; {summary.why}."
    )
    console.print(f"Visits: {_counts(totals.visits) or 'none'}.")
    if totals.reasons:
        console.print(f"Errors: {_counts(totals.reasons)}.")
    if totals.skipped:
        console.print(f"Skipped: {_counts(totals.skipped)}.")


def _told(report: VisitReport) -> str:
    what = report.outcome.value if report.reason is None else f"{report.outcome.value} ({report.reason})"
    if report.frames_kept:
        what += f", {counted(report.frames_kept, 'frame')}"
    if report.skipped:
        what += f", skipped {_counts(report.skipped)}"
    return what


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in Counter(counts).most_common())


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"
