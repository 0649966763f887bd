"""The model card: what a model was made of and what was measured of it, in Markdown, and no claim beside."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from twitchcat.dataset.snapshot import Snapshot, SnapshotFrame, Split
from twitchcat.recognition.metadata import ModelMetadata
from twitchcat.training.bootstrap import Interval
from twitchcat.training.rejection import Rejection
from twitchcat.training.scoring import Evaluation, Measured, WindowScores

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_FEW_CHANNELS = 3  # of the test split in one category, below which its recall says little


def accepted_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """The numbers that a model file carries of its evaluation: flat, shares 0..1, intervals as [low, high].

    `window_accuracy` is what promotion compares, `frame_accuracy` where there are no windows.
    """
    found: dict[str, Any] = {"split": evaluation.split, "evaluated_on": evaluation.fingerprint}
    measured = {"frame": evaluation.frame, "window": _own_window(evaluation)}
    for name, one in measured.items():
        if one is None:
            continue
        scores = {"accuracy": one.scores.accuracy, "macro_f1": one.scores.macro_f1, "ece": one.ece_after}
        for score, interval in scores.items():
            found[f"{name}_{score}"] = interval.value
            found[f"{name}_{score}_interval"] = [interval.low, interval.high]
    for one_rejection in evaluation.rejections:
        found[f"auroc_{one_rejection.unit}_{one_rejection.score}_{_word(one_rejection.unknown)}"] = (
            one_rejection.auroc.value
        )
    if evaluation.cost is not None:
        found["ms_per_frame"] = evaluation.cost.ms_per_frame
    return found


def model_card(metadata: ModelMetadata, snapshot: Snapshot, evaluation: Evaluation | None) -> str:
    """Write the card of a model trained on a snapshot, as Markdown; None: it was not evaluated."""
    sections = [_head(metadata, snapshot), _data(metadata, snapshot)]
    if evaluation is None:
        sections.append(["## Results", "", "Not evaluated: nothing is known of how often it is right."])
    else:
        sections += [_results(evaluation), _classes(evaluation), _unknown(evaluation), _cost(evaluation)]
    sections.append(_limits(metadata, snapshot, evaluation))
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _head(metadata: ModelMetadata, snapshot: Snapshot) -> list[str]:
    about = metadata
    rows = [
        ("made", f"{about.created_at:%Y-%m-%d %H:%M %Z}, by twitchcat {about.twitchcat_version}"),
        ("network", f"backbone {about.backbone}, head {about.head}"),
        ("input", f"{about.input_width} by {about.input_height} pixels, {about.fit}"),
        ("verdict", f"from {about.window} frames, {about.frame_interval_s:g} s apart"),
        ("temperature", f"{about.temperature:.3f}"),
        ("unknown", f"largest mean logit below {about.unknown_threshold:.3f}"),
        ("snapshot", f"`{about.fingerprint}`" if about.fingerprint else "none"),
    ]
    if about.fingerprint != snapshot.fingerprint:
        rows.append(("card's snapshot", f"`{snapshot.fingerprint}`"))
    return [
        f"# Model card: {len(about.classes)} categories of Twitch, {about.backbone} + {about.head}",
        "",
        *_table(("", ""), rows),
    ]


def _data(metadata: ModelMetadata, snapshot: Snapshot) -> list[str]:
    header = ("category", "id", *(f"{split}: frames (channels)" for split in _SPLITS))
    by_class: dict[tuple[str, str], list[SnapshotFrame]] = {}
    for frame in snapshot.frames:
        by_class.setdefault((frame.category_id, frame.split), []).append(frame)
    rows = [
        (one.name, one.id, *(_counted(by_class.get((one.id, split), [])) for split in _SPLITS))
        for one in metadata.classes
    ]
    known = {one.id for one in metadata.classes}
    others = [frame for frame in snapshot.frames if frame.category_id not in known]
    rows.append(("**all**", "", *(_counted(snapshot.of(split)) for split in _SPLITS)))
    lines = [
        "## Data",
        "",
        "Split by channel: no channel stands in two splits. The test split served for the results alone.",
        "",
        *_table(header, rows),
    ]
    if others:
        names = ", ".join(sorted({frame.category for frame in others}))
        lines += ["", f"Left out of training, as unknown: {names} ({_counted(others)})."]
    return lines


def _results(evaluation: Evaluation) -> list[str]:
    rows = [("single frame", *_measured(evaluation.frame))]
    for one in evaluation.windows:
        if one.mean is not None:
            rows.append((f"{one.length} frames, mean", *_measured(one.mean)))
        if one.last is not None:
            rows.append((f"{one.length} frames, last", *_measured(one.last)))
    header = (
        "verdict by",
        "accuracy",
        "macro F1",
        "ECE, temperature 1",
        "ECE, calibrated",
        "verdicts",
        "channels",
    )
    lines = [
        "## Results",
        "",
        f"On the {evaluation.split} split of `{evaluation.fingerprint}`, {evaluation.captures} captures.",
        "In parentheses: 95 % intervals, bootstrapped over channels.",
        "",
        *_table(header, rows),
    ]
    if any(one.settled for one in evaluation.switching.values()):
        delays = [
            (name, _number(one.median), _number(one.p90), f"{one.followed} of {one.settled}", one.watched)
            for name, one in evaluation.switching.items()
        ]
        lines += [
            "",
            "Frames until the verdict follows a switch of the category, in captures joined for that:",
            "",
            *_table(("verdict by", "median", "nine of ten by", "followed", "frames watched"), delays),
        ]
    return lines


def _classes(evaluation: Evaluation) -> list[str]:
    rows = [
        (
            one.name,
            f"{one.frame.precision:.3f}",
            _shown(one.frame_recall),
            _shown(one.window_recall),
            one.frame.support,
        )
        for one in evaluation.classes
    ]
    header = ("category", "precision of frames", "recall of frames", "recall of windows", "frames")
    return ["## By category", "", *_table(header, rows)]


def _unknown(evaluation: Evaluation) -> list[str]:
    if not evaluation.rejections:
        return ["## Unknown", "", "Not measured: no pictures of other categories were given."]
    rows = [
        (
            one.unknown,
            one.unit,
            one.score,
            str(one.auroc),
            f"{one.fpr95:.3f}",
            one.unknown_samples,
            _refused(one),
        )
        for one in evaluation.rejections
    ]
    header = ("unknown", "verdict by", "score", "AUROC", "FPR95", "samples", "refused: unknown / known")
    return ["## Unknown", "", *_table(header, rows)]


def _cost(evaluation: Evaluation) -> list[str]:
    cost = evaluation.cost
    if cost is None:
        return []
    return [
        "## Cost",
        "",
        f"{cost.file_bytes / 1e6:.1f} MB, and {cost.memory_bytes / 1e6:.0f} MB of memory when it runs.",
        f"On one core of the machine that evaluated it: {cost.ms_per_frame:.2f} ms per frame,",
        f"{cost.ms_per_frame_batch16:.2f} ms in batches of 16.",
    ]


def _limits(metadata: ModelMetadata, snapshot: Snapshot, evaluation: Evaluation | None) -> list[str]:
    """Say what the numbers above do not cover, from counts alone."""
    points = [
        f"It can name {len(metadata.classes)} categories. Everything else is at best unknown.",
        f"It has seen {len({frame.channel_id for frame in snapshot.of('train')})} channels in training.",
    ]
    channels: dict[str, set[str]] = {one.name: set() for one in metadata.classes}
    for frame in snapshot.of("test"):
        channels.setdefault(frame.category, set()).add(frame.channel_id)
    few = sorted(
        name for name in (one.name for one in metadata.classes) if len(channels[name]) < _FEW_CHANNELS
    )
    if few:
        points.append(
            f"Fewer than {_FEW_CHANNELS} test channels show {', '.join(few)}: their recall says little."
        )
    if evaluation is not None:
        worst = [one for one in evaluation.classes if one.frame_recall is not None]
        if worst:
            lowest = min(worst, key=lambda one: one.frame_recall.value if one.frame_recall else 1)
            points.append(f"Of single frames it recalls {lowest.name} least often: {lowest.frame_recall}.")
    return ["## Limits", "", *(f"- {point}" for point in points)]


def _own_window(evaluation: Evaluation) -> Measured | None:
    """What was measured of windows as the recognizer takes them."""
    found: Iterator[WindowScores] = (
        one for one in evaluation.windows if one.length == evaluation.metadata.window
    )
    return next((one.mean for one in found), None)


def _measured(one: Measured) -> tuple[object, ...]:
    scores = one.scores
    return (
        scores.accuracy,
        scores.macro_f1,
        one.ece_before,
        one.ece_after,
        scores.samples,
        scores.channels,
    )


def _refused(one: Rejection) -> str:
    if one.refusal is None:
        return "no threshold"
    return f"{1 - one.refusal.unknown_passed:.1%} / {one.refusal.known_refused:.1%}"


def _shown(interval: Interval | None) -> str:
    return "none" if interval is None else str(interval)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _counted(frames: Sequence[SnapshotFrame]) -> str:
    return f"{len(frames)} ({len({frame.channel_id for frame in frames})})"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [_row(header), _row(["---"] * len(header)), *map(_row, cells)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _word(text: str) -> str:
    return "_".join(text.lower().split())
