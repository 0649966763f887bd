"""What `twitchcat train` shows while it runs: a progress bar, plain lines, or JSON lines."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from twitchcat.cli.console import output
from twitchcat.training.loop import Epoch, Observer
from twitchcat.training.run import RunResult, head_row


class Display(Observer, Protocol):
    """Shows a training run and what it came to."""

    def note(self, text: str) -> None:
        """Say something about the run."""

    def summarise(self, result: RunResult, registered: Mapping[str, Any] | None) -> None:
        """Say how the run ended; `registered` is what the registry made of the model."""


@contextmanager
def choose_display(*, as_json: bool) -> Iterator[Display]:
    """The display for this output: JSON lines if asked for, a bar on a terminal, else plain lines."""
    console = Console(stderr=True)
    if as_json:
        yield JsonDisplay()
    elif console.is_terminal:
        with _bars(console) as progress:
            yield BarDisplay(progress)
    else:
        yield PlainDisplay()


class JsonDisplay:
    """One JSON object per epoch, and one for the result, on stdout."""

    def decoding(self, done: int, total: int) -> None:
        """Nothing: it is over soon."""

    def stage(self, name: str, *, epochs: int, steps: int) -> None:
        """Nothing: every epoch names its stage."""

    def step(self, *, epoch: int, step: int, loss: float, frames_per_s: float, left_s: float) -> None:
        """Nothing: epochs are printed as they finish."""

    def epoch(self, row: Epoch) -> None:
        """Print the epoch."""
        self._print({"event": "epoch"} | asdict(row))

    def note(self, text: str) -> None:
        """Say it on stderr."""
        typer.echo(f"twitchcat: {text}", err=True)

    def summarise(self, result: RunResult, registered: Mapping[str, Any] | None) -> None:
        """Print the result."""
        self._print(
            {
                "event": "result",
                "run": str(result.folder),
                "model": str(result.model),
                "epochs": len(result.epochs),
                "seconds": round(result.epochs[-1].elapsed_s, 1) if result.epochs else 0.0,
                "metrics": result.metrics,
                "heads": [head_row(head, one) for head, one in result.heads.items()],
                "registered": registered,
            }
        )

    def _print(self, entry: Mapping[str, Any]) -> None:
        typer.echo(json.dumps(entry, ensure_ascii=False))


class PlainDisplay:
    """One line per epoch on stderr, the result on stdout."""

    def __init__(self) -> None:
        self._decoded = False

    def decoding(self, done: int, total: int) -> None:
        """Say once that pictures are decoded."""
        if done == 1:
            self.note(f"decoding {total} pictures")

    def stage(self, name: str, *, epochs: int, steps: int) -> None:
        """Say that a stage begins."""
        self.note(f"training the {name}: at most {epochs} epochs of {steps} steps")

    def step(self, *, epoch: int, step: int, loss: float, frames_per_s: float, left_s: float) -> None:
        """Nothing: a line per epoch is enough."""

    def epoch(self, row: Epoch) -> None:
        """Print the epoch."""
        self.note(describe(row))

    def note(self, text: str) -> None:
        """Say it on stderr."""
        typer.echo(text, err=True)

    def summarise(self, result: RunResult, registered: Mapping[str, Any] | None) -> None:
        """Print the result."""
        print_result(result, registered)


class BarDisplay:
    """A bar for the stage, and a line for every epoch above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._steps = 1

    def decoding(self, done: int, total: int) -> None:
        """Show how far decoding is."""
        if self._task is None or done == 1:
            self._begin("decoding pictures", total)
        self._update(done, "")

    def stage(self, name: str, *, epochs: int, steps: int) -> None:
        """Begin a new bar."""
        self._steps = steps
        self._begin(f"training the {name}", epochs * steps)

    def step(self, *, epoch: int, step: int, loss: float, frames_per_s: float, left_s: float) -> None:
        """Move the bar."""
        left = timedelta(seconds=round(left_s))
        about = f"epoch {epoch}  loss {loss:.3f}  {frames_per_s:.0f} frames/s  {left} left at most"
        self._update((epoch - 1) * self._steps + step, about)

    def epoch(self, row: Epoch) -> None:
        """Print the epoch above the bar."""
        self.note(describe(row))

    def note(self, text: str) -> None:
        """Say it above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)

    def summarise(self, result: RunResult, registered: Mapping[str, Any] | None) -> None:
        """Take the bar away and print the result."""
        self._progress.stop()
        print_result(result, registered)

    def _begin(self, what: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total, about="")

    def _update(self, done: int, about: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, about=about)


def describe(row: Epoch) -> str:
    """One epoch as a line."""
    checked = (
        "" if row.val_loss is None else f"  validation: loss {row.val_loss:.3f}, {row.val_accuracy:.1%} right"
    )
    return (
        f"{row.stage} {row.epoch:>3}/{row.epochs}  loss {row.train_loss:.3f}, {row.train_accuracy:.1%} right"
        f"{checked}  {row.frames_per_s:.0f} frames/s{'  best' if row.best and checked else ''}"
    )


def print_result(result: RunResult, registered: Mapping[str, Any] | None) -> None:
    """Print what a run came to."""
    console = output()
    if result.heads:
        console.print(heads_table(result))
    for unit, name in (("frame", "frames"), ("window", "windows")):
        value = result.metrics.get(f"{unit}_accuracy")
        if value is not None:
            console.print(f"{name:<8} {_share(result.metrics, f'{unit}_accuracy')} of the test split right")
    if not result.metrics:
        console.print("not tested: the dataset has no test split")
    console.print(f"model    {result.model}", soft_wrap=True, markup=False)
    console.print(f"report   {result.folder / 'report.html'}", soft_wrap=True, markup=False)
    if registered is not None:
        state = "in use" if registered["promoted"] else "not in use"
        console.print(
            f"{state:<8} {registered['name']}: {registered['reason']}", soft_wrap=True, markup=False
        )


def heads_table(result: RunResult) -> Table:
    """The heads that were compared, with 95 % intervals; on validation, so that one may be chosen by it."""
    table = Table(title="Heads over one backbone, on the validation split (95 % intervals over channels)")
    table.add_column("head")
    for column in ("frames right", "windows right", "macro F1 of windows", "calibration error"):
        table.add_column(column, justify="right")
    for head, evaluation in result.heads.items():
        row = head_row(head, evaluation)
        names = ("frame_accuracy", "window_accuracy", "window_macro_f1", "window_ece")
        table.add_row(head, *(_share(row, name) for name in names))
    return table


def _share(metrics: Mapping[str, Any], name: str) -> str:
    value = metrics.get(name)
    if value is None:
        return "-"
    low, high = metrics.get(f"{name}_interval", (None, None))
    if low is None or high is None:
        return f"{value:.1%}"
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[about]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress
