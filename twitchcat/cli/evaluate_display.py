"""How `twitchcat evaluate` looks."""

from collections.abc import Iterator

from rich.table import Table

from twitchcat.cli.console import output
from twitchcat.training.bootstrap import Interval
from twitchcat.training.crossval import WINDOW, Compared, CrossValidation
from twitchcat.training.scoring import Evaluation, Measured

_COMPARED = (
    "Network",
    f"Windows of {WINDOW} right",
    "Frames right",
    "Macro F1",
    "ECE",
    "Against the first",
    "AUROC",
)


def print_evaluation(evaluation: Evaluation) -> None:
    """Print what matters most on stdout; the report has the rest."""
    console, metadata = output(), evaluation.metadata
    scores = evaluation.frame.scores
    console.print(
        f"{metadata.backbone} + {metadata.head} on the {evaluation.split} split:"
        f" {scores.samples} frames of {len(metadata.classes)} categories from {scores.channels} channels."
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("Verdict by", no_wrap=True)
    for name in ("Accuracy", "Macro F1", "ECE before", "ECE after", "Verdicts"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, measured in _verdicts(evaluation):
        table.add_row(name, *_cells(measured))
    console.print(table)
    missing = [str(one.length) for one in evaluation.windows if one.mean is None]
    if missing:
        console.print(f"No capture has {' or '.join(missing)} frames of one category.")
    for one in evaluation.rejections:
        if one.score == "max_logit":
            console.print(
                f"Unknown ({one.unknown}), by {one.unit}: AUROC {one.auroc}, FPR95 {one.fpr95:.3f},"
                f" {one.unknown_samples} samples."
            )
    for name, switch in evaluation.switching.items():
        told = [
            f"{share} by frame {after:.0f}" if after is not None else f"{share} not within {switch.watched}"
            for share, after in (("half", switch.median), ("nine of ten", switch.p90))
        ]
        console.print(f"After a switch, verdict by {name}: {', '.join(told)}.")
    if (cost := evaluation.cost) is not None:
        console.print(
            f"One core: {cost.ms_per_frame:.1f} ms a frame, {cost.ms_per_frame_batch16:.1f} ms in batches of"
            f" 16; {cost.file_bytes / 1e6:.1f} MB, {cost.memory_bytes / 1e6:.0f} MB of memory."
        )


def print_comparison(found: CrossValidation) -> None:
    """Print a cross-validation on stdout."""
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(_COMPARED):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in found.rows:
        table.add_row(*_row(row))
    console = output()
    console.print(table)
    console.print(_told(found))


def comparison_as_markdown(found: CrossValidation) -> str:
    """A cross-validation as a Markdown table."""
    lines = [_COMPARED, ("---", *["---:"] * (len(_COMPARED) - 1)), *map(_row, found.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{_told(found)}\n"


def _row(row: Compared) -> tuple[str, ...]:
    best = row.window or row.frame
    gain = "" if row.gain is None else f"{row.gain.value:+.3f}{_range(row.gain)}"
    areas = [one.auroc.value for one in row.unknown if one.score == "max_logit"]
    told = f"{sum(areas) / len(areas):.3f}, worst {min(areas):.3f}" if areas else ""
    window = str(row.window.scores.accuracy) if row.window is not None else ""
    frame = str(row.frame.scores.accuracy)
    return str(row.candidate), window, frame, str(best.scores.macro_f1), str(best.ece_after), gain, told


def _told(found: CrossValidation) -> str:
    return (
        f"{found.folds} folds by channel over {found.channels} channels, {found.frames} frames; intervals are"
        " 95 %, from drawing the channels anew."
    )


def _range(one: Interval) -> str:
    return "" if one.low is None or one.high is None else f" ({one.low:+.3f} to {one.high:+.3f})"


def _verdicts(evaluation: Evaluation) -> Iterator[tuple[str, Measured]]:
    yield "one frame", evaluation.frame
    for one in evaluation.windows:
        if one.mean is not None:
            yield f"{one.length} frames, mean", one.mean
        if one.last is not None and evaluation.metadata.head != "frame":
            yield f"{one.length} frames, last", one.last


def _cells(one: Measured) -> Iterator[str]:
    for interval in (one.scores.accuracy, one.scores.macro_f1, one.ece_before, one.ece_after):
        yield str(interval)
    yield str(one.scores.samples)
