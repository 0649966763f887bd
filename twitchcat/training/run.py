"""One training run and its folder, from a snapshot to an evaluated model file.

config.json            what was asked for, and by which versions it was done
snapshot.jsonl.gz      the frames it learned from, was validated and tested on
checkpoint.pt          what --resume goes on from
curves.csv             a line per epoch
model.onnx  card.md    the model and what is known of it
metrics.json  classes.csv  report.html  and its plots
heads/NAME/            the same of each head that was compared, measured on validation
heads.json             their table
"""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import torch

from twitchcat import __version__
from twitchcat.dataset.snapshot import Snapshot
from twitchcat.errors import ConfigError
from twitchcat.recognition.metadata import ModelClass, ModelMetadata
from twitchcat.recognition.model import RecognitionModel
from twitchcat.training.card import accepted_metrics, model_card
from twitchcat.training.curves import curves_csv
from twitchcat.training.evaluate import (
    Subject,
    calibrate_on_validation,
    evaluate_test,
    evaluate_validation,
)
from twitchcat.training.export import export_onnx, write_metadata
from twitchcat.training.fit import CHECKPOINT, Fitted, Workplace, fit
from twitchcat.training.heads import HEADS
from twitchcat.training.loop import Epoch, Observer
from twitchcat.training.network import NetworkSpec
from twitchcat.training.recipe import Recipe
from twitchcat.training.report import write_report
from twitchcat.training.scoring import Evaluation
from twitchcat.twitch.entities import Category

CONFIG, SNAPSHOT, CURVES, MODEL, CARD = (
    "config.json",
    "snapshot.jsonl.gz",
    "curves.csv",
    "model.onnx",
    "card.md",
)
_FORMAT = 1
_WINDOW = 13  # frames of a verdict: half a minute of a stream's playlist
_INTERVAL_S = 2.0  # where no capture has two frames
_ANYTHING = -1e30  # a threshold that refuses nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is asked to do."""

    spec: NetworkSpec
    recipe: Recipe
    heads: tuple[str, ...] = ()  #: to compare, beside that of the network; empty: none
    left_out: tuple[str, ...] = ()  #: category ids that are in the test split only, as unknown ones

    def classes(self, snapshot: Snapshot) -> tuple[Category, ...]:
        """What the model is to tell apart, in the order of its logits."""
        return tuple(one for one in snapshot.classes if one.id not in self.left_out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResult:
    """What a run came to."""

    folder: Path
    epochs: tuple[Epoch, ...]
    evaluation: Evaluation | None  #: None: the snapshot has no test split
    heads: dict[str, Evaluation]  #: of each head that was compared, on the validation split

    @property
    def metrics(self) -> dict[str, Any]:
        """What the model file says of its evaluation; empty where it was not tested."""
        return {} if self.evaluation is None else accepted_metrics(self.evaluation)

    @property
    def model(self) -> Path:
        """The model file."""
        return self.folder / MODEL


def plan(
    snapshot: Snapshot,
    *,
    backbone: str,
    head: str,
    recipe: Recipe,
    compare_heads: bool = False,
    leave_out: Sequence[str] = (),
    **network: Any,
) -> Plan:
    """Work out a run over a snapshot; `leave_out` names categories, `network` are fields of its spec.

    Raises ConfigError for a category that is not there, a head that is none, fewer than two categories, or
    heads to be compared without a validation split.
    """
    wanted = {name.casefold() for name in leave_out}
    left_out = [one for one in snapshot.classes if {one.id.casefold(), one.name.casefold()} & wanted]
    known = {key for one in left_out for key in (one.id.casefold(), one.name.casefold())}
    if missing := wanted - known:
        raise ConfigError(f"the dataset has no category {', '.join(sorted(missing))} with a split")
    if (count := len(snapshot.classes) - len(left_out)) < 2:
        raise ConfigError("a model tells at least two categories apart: collect or import more of them")
    if head not in HEADS:
        raise ConfigError(f"no head is called {head!r}; there are {', '.join(HEADS)}")
    unknown = {one.id for one in left_out}
    if compare_heads and all(frame.category_id in unknown for frame in snapshot.of("val")):
        raise ConfigError(
            "heads are compared on the validation split, and the dataset has none: collect more"
        )
    return Plan(
        spec=NetworkSpec.preset(backbone, classes=count, head=head, **network),
        recipe=recipe,
        heads=HEADS if compare_heads else (),
        left_out=tuple(one.id for one in left_out),
    )


def begin_run(snapshot: Snapshot, asked: Plan, folder: Path) -> None:
    """Make the folder of a run and write down in it what is asked. Raises ConfigError if one is there."""
    if (folder / CONFIG).exists():
        raise ConfigError(f"{folder} holds a run already: go on with it by --resume, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        snapshot.save(folder / SNAPSHOT)
        text = json.dumps(
            {
                "format_version": _FORMAT,
                "network": asked.spec.as_dict(),
                "recipe": asked.recipe.as_dict(),
                "heads": asked.heads,
                "left_out": asked.left_out,
                "fingerprint": snapshot.fingerprint,
                "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": {
                    "twitchcat": __version__,
                    "python": platform.python_version(),
                    "torch": torch.__version__,
                },
                "threads": torch.get_num_threads(),
            },
            indent=1,
        )
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error


def read_run(folder: Path) -> tuple[Snapshot, Plan]:
    """Read what a run was asked. Raises ConfigError if the folder holds none, or one that is damaged."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if found["format_version"] != _FORMAT:
            raise ConfigError(f"{folder} holds a run of another version of twitchcat")
        asked = Plan(
            spec=NetworkSpec(**found["network"]),
            recipe=Recipe(**found["recipe"]),
            heads=tuple(found["heads"]),
            left_out=tuple(found["left_out"]),
        )
    except OSError:
        raise ConfigError(f"there is no run in {folder}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{folder / CONFIG} is damaged: {error}") from error
    return Snapshot.load(folder / SNAPSHOT), asked


def latest_unfinished(runs: Path) -> Path:
    """The latest run under a folder that has not come to its model. Raises ConfigError if there is none."""
    found = [one.parent for one in runs.glob(f"*/{CONFIG}") if not (one.parent / MODEL).exists()]
    if not found:
        raise ConfigError(f"there is no unfinished run in {runs}; name the folder of one with --output")
    return max(found, key=lambda folder: (folder / CONFIG).stat().st_mtime)


def execute(
    snapshot: Snapshot,
    asked: Plan,
    place: Workplace,
    *,
    observer: Observer,
    stop: Event,
    resume: bool = False,
) -> RunResult:
    """Train, export, calibrate and evaluate as planned, in the run folder that `begin_run` has made.

    Raises ConfigError, StoreError and ModelError as `fit` does, ModelError if the exported file does not give
    the network's numbers, Stopped.
    """
    outcome = fit(
        snapshot,
        asked.spec,
        asked.recipe,
        place,
        heads=tuple(dict.fromkeys((asked.spec.head, *asked.heads))),
        classes=asked.classes(snapshot),
        observer=observer,
        stop=stop,
        resume=resume and (place.folder / CHECKPOINT).exists(),
    )
    (place.folder / CURVES).write_text(curves_csv(outcome.epochs), encoding="utf-8")
    compared: dict[str, Evaluation] = {}
    for head in asked.heads:
        folder = place.folder / "heads" / head
        folder.mkdir(parents=True, exist_ok=True)
        # Whoever chooses a head by the table must not have chosen by the test split.
        found = _finish(outcome.fitted[head], snapshot, asked, place.images, folder, tested=False)
        if found is not None:
            compared[head] = found
    if compared:
        table = [head_row(head, one) for head, one in compared.items()]
        (place.folder / "heads.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    evaluation = _finish(outcome.fitted[asked.spec.head], snapshot, asked, place.images, place.folder)
    return RunResult(folder=place.folder, epochs=outcome.epochs, evaluation=evaluation, heads=compared)


def head_row(head: str, evaluation: Evaluation) -> dict[str, Any]:
    """One line of the table of heads: shares with their intervals, as accepted_metrics names them."""
    metrics = accepted_metrics(evaluation)
    wanted = ("accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval", "ece", "ece_interval")
    names = [f"{unit}_{score}" for unit in ("frame", "window") for score in wanted]
    return {"head": head} | {name: metrics[name] for name in names if name in metrics}


def _finish(
    fitted: Fitted, snapshot: Snapshot, asked: Plan, images: Path, folder: Path, *, tested: bool = True
) -> Evaluation | None:
    """Export a network into a folder, calibrate it on validation, evaluate it, write its card and report.

    It is evaluated on the test split, on validation if it is not `tested`; None: there is no such split. The
    file's own metrics are those of the test split only, since promotion goes by them.
    """
    spec = fitted.spec
    learned = {one.id for one in asked.classes(snapshot)}
    about = ModelMetadata(
        classes=tuple(ModelClass(id=one.id, name=one.name) for one in asked.classes(snapshot)),
        input_height=spec.input_height,
        input_width=spec.input_width,
        fit=spec.fit,
        frame_interval_s=frame_interval_s(snapshot),
        window=_WINDOW,
        temperature=1.0,
        unknown_threshold=_ANYTHING,
        backbone=spec.backbone,
        head=spec.head,
        fingerprint=snapshot.fingerprint,
        created_at=datetime.now(UTC),
        twitchcat_version=__version__,
    )
    unfinished = folder / f".unfinished-{MODEL}"  # a model file is there once all of it is known
    try:
        export_onnx(fitted.network, spec, about, unfinished)
        validated = any(frame.category_id in learned for frame in snapshot.of("val"))
        if validated:
            found = calibrate_on_validation(RecognitionModel.load(unfinished), snapshot, images)
            about = about.model_copy(
                update={
                    "temperature": found.temperature,
                    "unknown_threshold": found.unknown_threshold,
                    "energy_threshold": found.energy_threshold,
                }
            )
            write_metadata(unfinished, about)
        evaluation = None
        if tested and any(frame.split == "test" for frame in snapshot.frames):
            evaluation = evaluate_test(Subject(file=unfinished, snapshot=snapshot), images)
            about = about.model_copy(update={"metrics": accepted_metrics(evaluation)})
            write_metadata(unfinished, about)
        elif validated and not tested:
            evaluation = evaluate_validation(RecognitionModel.load(unfinished), snapshot, images)
        if evaluation is not None:
            write_report(folder, replace(evaluation, metadata=about), images=images)
        (folder / CARD).write_text(model_card(about, snapshot, evaluation), encoding="utf-8")
        unfinished.replace(folder / MODEL)
    finally:
        unfinished.unlink(missing_ok=True)
    return evaluation


def frame_interval_s(snapshot: Snapshot) -> float:
    """The usual time between two frames of a capture that follow one another, in seconds."""
    gaps = [
        (after.captured_at - before.captured_at).total_seconds()
        for before, after in zip(snapshot.frames, snapshot.frames[1:], strict=False)
        if before.capture_id == after.capture_id and after.captured_at > before.captured_at
    ]
    return statistics.median(gaps) if gaps else _INTERVAL_S
