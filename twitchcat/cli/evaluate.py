"""`twitchcat evaluate`: how good a model is, on the test split."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twitchcat.cli.errors import cli_errors
from twitchcat.config import Settings

if TYPE_CHECKING:
    from twitchcat.dataset.snapshot import Snapshot

_CANDIDATES = (("forerunner", "frame"), ("small", "frame"), ("small", "mean"), ("small", "lstm"))


def evaluate(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            help="A run folder, a model file, or a registered model's name; nothing: the model in use.",
            show_default=False,
        ),
    ] = None,
    snapshot: Annotated[
        Path | None,
        typer.Option(help="Snapshot to test on; nothing: the one beside the model.", show_default=False),
    ] = None,
    foreign: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of pictures that show none of the model's categories; repeat for more.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, metrics.json, plots and tables; nothing: the model's own.",
            show_default=False,
        ),
    ] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="K",
            help="Train instead: K folds by channel, over all frames of the snapshot, of each --backbone.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="To cross-validate; repeat for more.", show_default="forerunner, small"),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="To cross-validate; repeat for more.", show_default="frame, mean, lstm"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Of each training of a cross-validation.", show_default=False),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Of each training of a cross-validation at most.", show_default=False),
    ] = None,
    leave_out: Annotated[
        int,
        typer.Option(
            metavar="GROUPS",
            help="Cross-validate refusal too: train again without each of so many groups of categories.",
        ),
    ] = 0,
    device: Annotated[str, typer.Option(help="To cross-validate on: auto, cpu or cuda.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of folds and training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a model on the test split of its snapshot, which training never sees. See docs/training.md.

    With --cross-validate, compare networks on a dataset too small for one test split.

    Example: twitchcat evaluate runs/first --foreign ~/pictures/desktop
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.errors import ConfigError

    with cli_errors():
        settings = settings_of(context)
        _require_training()
        if cross_validate is None:
            given = {"--backbone": backbone, "--head": head, "--epochs": epochs, "--minutes": minutes}
            if named := [name for name, value in given.items() if value] + ["--leave-out"] * bool(leave_out):
                raise ConfigError(f"{', '.join(named)} need --cross-validate")
            _evaluate(settings, model, snapshot, tuple(foreign or ()), output, as_json=as_json)
            return
        if foreign:
            raise ConfigError("--foreign is for one model, not for a cross-validation")
        options: dict[str, object] = {
            "epochs": epochs,
            "head_epochs": epochs,
            "max_minutes": minutes,
            "seed": seed,
        }
        frozen = _snapshot(settings, model, snapshot)
        chosen = _candidates(backbone or [], head or [])
        _compare(
            settings,
            frozen,
            chosen,
            folds=cross_validate,
            leave_out=leave_out,
            device=device,
            options=options,
            seed=seed,
            output=output,
            as_json=as_json,
        )


def _evaluate(
    settings: Settings,
    model: str | None,
    snapshot: Path | None,
    foreign: tuple[Path, ...],
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    from twitchcat.cli.evaluate_display import print_evaluation
    from twitchcat.cli.progress import progress_bar
    from twitchcat.dataset.collect import image_store
    from twitchcat.training.evaluate import evaluate_test, find_subject
    from twitchcat.training.report import write_report
    from twitchcat.training.results import as_json as evaluation_as_json

    subject = find_subject(_path_of(settings, model), snapshot=snapshot)
    images = image_store(settings).root
    with progress_bar("Recognizing frames") as progress:
        evaluation = evaluate_test(subject, images, foreign=foreign, progress=progress)
    # On another snapshot than its own, a model's report is nothing to keep beside it without being told.
    folder = output if output is not None or snapshot is not None else subject.file.parent
    report = write_report(folder, evaluation, images=images) if folder is not None else None
    if as_json:
        entry = evaluation_as_json(evaluation) | {"report": None if report is None else str(report)}
        typer.echo(json.dumps(entry, ensure_ascii=False))
        return
    print_evaluation(evaluation)
    if report is not None:
        typer.echo(f"The report is {report}.", err=True)


def _compare(
    settings: Settings,
    snapshot: "Snapshot",
    candidates: list[tuple[str, str]],
    *,
    folds: int,
    leave_out: int,
    device: str,
    options: dict[str, object],
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    import tempfile

    from twitchcat.cli.evaluate_display import comparison_as_markdown, print_comparison
    from twitchcat.cli.progress import progress_bar
    from twitchcat.cli.signals import stop_on_signals
    from twitchcat.dataset.collect import image_store
    from twitchcat.errors import ConfigError
    from twitchcat.training.candidates import FitTrainer
    from twitchcat.training.crossval import Candidate, cross_validate
    from twitchcat.training.fit import choose_device
    from twitchcat.training.loop import Stopped
    from twitchcat.training.results import comparison_as_json

    images = image_store(settings).root
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (
        stop_on_signals() as stop,
        tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".cross-validate-") as folder,
        progress_bar("Training") as progress,
    ):
        trainer = FitTrainer(
            images=images,
            folder=Path(folder),
            device=choose_device(device),
            options=options,
            note=lambda line: typer.echo(line, err=True),
            stop=stop,
        )
        try:
            found = cross_validate(
                snapshot,
                images,
                [Candidate(*one) for one in candidates],
                trainer,
                folds=folds,
                leave_out=leave_out,
                seed=seed,
                progress=progress,
            )
        except Stopped:
            typer.echo("twitchcat: stopped; a cross-validation cannot be resumed", err=True)
            raise typer.Exit(1) from None
    entry = json.dumps(comparison_as_json(found), ensure_ascii=False)
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
            (output / "comparison.json").write_text(entry + "\n", encoding="utf-8")
            (output / "comparison.md").write_text(comparison_as_markdown(found), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{output} cannot be written: {error.strerror}") from error
    if as_json:
        typer.echo(entry)
    else:
        print_comparison(found)


def _candidates(backbones: list[str], heads: list[str]) -> list[tuple[str, str]]:
    """The pairs to be compared, the forerunner's network with the one head it has."""
    if not backbones and not heads:
        return list(_CANDIDATES)
    pairs = [
        (backbone, head)
        for backbone in backbones or ["forerunner", "small"]
        for head in (["frame"] if backbone == "forerunner" else heads or ["frame", "mean", "lstm"])
    ]
    return list(dict.fromkeys(pairs))


def _path_of(settings: Settings, model: str | None) -> Path:
    from twitchcat.recognition.current import models_folder, resolve_model_path

    if model is None:
        return resolve_model_path(settings)
    registered = models_folder(settings.data_dir) / model
    return registered if "/" not in model and registered.is_dir() else Path(model)


def _snapshot(settings: Settings, model: str | None, path: Path | None) -> "Snapshot":
    """The snapshot that is named, that of a model, or the dataset as it is now."""
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.snapshot import Snapshot, freeze
    from twitchcat.training.evaluate import SNAPSHOT

    if path is not None:
        return Snapshot.load(path)
    if model is not None:
        found = _path_of(settings, model)
        return Snapshot.load((found if found.is_dir() else found.parent) / SNAPSHOT)
    with open_database(settings) as database:
        return freeze(database)


def _require_training() -> None:
    from importlib.util import find_spec

    from twitchcat.errors import ConfigError

    missing = [name for name in ("torch", "sklearn", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing: install twitchcat[train] to evaluate models")
