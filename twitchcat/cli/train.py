"""`twitchcat train`: from the dataset to an evaluated model; `twitchcat dataset embed`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twitchcat.cli.errors import cli_errors

if TYPE_CHECKING:
    from twitchcat.config import Settings
    from twitchcat.dataset.snapshot import Snapshot
    from twitchcat.training.run import Plan, RunResult


def train(
    context: typer.Context,
    backbone: Annotated[
        str,
        typer.Option(
            help="small, forerunner, resnet18, resnet50, resnet101, mobilenet_v2, clip-vit-b32, dinov2-small,"
            " a model of the Hugging Face hub, or a local folder."
        ),
    ] = "small",
    head: Annotated[str, typer.Option(help="frame, mean, lstm or transformer.")] = "lstm",
    compare_heads: Annotated[
        bool, typer.Option("--compare-heads", help="Train every head over the backbone and show the table.")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Over the pictures, at most.", show_default=False)
    ] = None,
    head_epochs: Annotated[
        int | None, typer.Option(min=1, help="Over the embeddings, at most.", show_default=False)
    ] = None,
    target_accuracy: Annotated[
        float | None,
        typer.Option(help="Stop once so much of validation is right (0.95).", show_default=False),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Shorten the schedule to end in this time.", show_default=False),
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(help="Against rare categories: sampling, weights or none.", show_default=False),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="Category kept out of training, to test the unknown; repeat for more."),
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=32, help="Of the input, in pixels.", show_default=False)
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=32, help="Of the input, in pixels.", show_default=False)
    ] = None,
    unfreeze: Annotated[
        bool, typer.Option("--unfreeze", help="Train a pretrained backbone too, not only its head.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Of everything random.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Else a new one in the data directory.", show_default=False),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --output, else with the latest unfinished."),
    ] = False,
    register: Annotated[
        bool, typer.Option("--register/--no-register", help="Add the model to the registry and use it.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Use the model even if it is worse than the one in use.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for each epoch and one for the result.")
    ] = False,
) -> None:
    """Train a model on the dataset, test it, and take it into use if it is no worse than the one in use.

    Ctrl-C and SIGTERM stop it; --resume goes on after those and after a crash.

    Example: twitchcat train --head lstm --target-accuracy 0.95
    """
    from twitchcat.cli.context import settings_of

    with cli_errors():
        settings = settings_of(context)
        _require_extra()
        from twitchcat.cli.signals import stop_on_signals
        from twitchcat.cli.train_display import choose_display
        from twitchcat.training.fit import choose_device
        from twitchcat.training.loop import Stopped
        from twitchcat.training.recipe import recipe_for
        from twitchcat.training.run import begin_run, latest_unfinished, plan, read_run

        runs = settings.data_dir / "runs"
        where = choose_device(device)
        if resume:
            folder = output or latest_unfinished(runs)
            snapshot, asked = read_run(folder)
        else:
            recipe = recipe_for(
                backbone,
                epochs=epochs,
                head_epochs=head_epochs,
                target_accuracy=target_accuracy,
                max_minutes=max_minutes,
                balance=balance,
                unfreeze=unfreeze or None,
                seed=seed,
            )
            sizes = {"input_height": height, "input_width": width}
            snapshot = _freeze(settings)
            asked = plan(
                snapshot,
                backbone=backbone,
                head=head,
                recipe=recipe,
                compare_heads=compare_heads,
                leave_out=leave_out or (),
                **{name: size for name, size in sizes.items() if size is not None},
            )
            named = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{Path(backbone).name}-{head}"
            folder = output or runs / named
            begin_run(snapshot, asked, folder)
        with stop_on_signals() as stop, choose_display(as_json=as_json) as display:
            display.note(f"{_counts(snapshot)} on {where}; run folder {folder}")
            try:
                result = _execute(settings, snapshot, asked, folder, where, display, stop, resume=resume)
            except Stopped:
                display.note(f"stopped; go on with: twitchcat train --resume --output {folder}")
                raise typer.Exit(1) from None
            display.summarise(result, _register(settings, result, force=force) if register else None)


def embed(
    context: typer.Context,
    backbone: Annotated[
        str, typer.Option(help="clip-vit-b32, dinov2-small, resnet18, …, a model of the hub, or a folder.")
    ] = "clip-vit-b32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compute the embeddings of all frames that have a split by a pretrained backbone, and keep them.

    What is there already is not computed again, so it can be stopped and repeated at any time. Training a
    head over the same backbone then takes seconds.

    Example: twitchcat dataset embed --backbone dinov2-small
    """
    from twitchcat.cli.context import settings_of
    from twitchcat.cli.progress import progress_bar
    from twitchcat.cli.signals import stop_on_signals

    with cli_errors(), stop_on_signals() as stop:
        settings = settings_of(context)
        _require_extra()
        from twitchcat.dataset.collect import image_store
        from twitchcat.dataset.database import open_database
        from twitchcat.dataset.snapshot import freeze
        from twitchcat.training.embedding import embed_frames, frozen_network
        from twitchcat.training.fit import choose_device
        from twitchcat.training.loop import Stopped

        network = frozen_network(backbone, device=choose_device(device))
        with open_database(settings) as database, progress_bar("Embedding frames") as progress:
            frames = freeze(database).frames
            try:
                done = embed_frames(
                    database, network, frames, image_store(settings).root, stop=stop, progress=progress
                )
            except Stopped:
                typer.echo("twitchcat: stopped; the same command goes on", err=True)
                raise typer.Exit(1) from None
        if as_json:
            found = {"encoder": done.encoder, "frames": done.frames, "added": done.added}
            typer.echo(json.dumps(found, ensure_ascii=False))
        else:
            typer.echo(
                f"{done.encoder}: {done.added} frames embedded, {done.frames - done.added} were before"
            )


def _require_extra() -> None:
    """Raise ConfigError where what training needs is not installed."""
    from importlib.util import find_spec

    from twitchcat.errors import ConfigError

    missing = [
        name for name in ("torch", "transformers", "kornia", "onnx", "matplotlib") if not find_spec(name)
    ]
    if missing:
        raise ConfigError(
            f"training needs packages that are not installed ({', '.join(missing)}):"
            " pip install 'twitchcat[train]'"
        )


def _freeze(settings: "Settings") -> "Snapshot":
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.snapshot import freeze

    with open_database(settings) as database:
        return freeze(database)


def _counts(snapshot: "Snapshot") -> str:
    parts = [f"{len(snapshot.of(split))} {split}" for split in ("train", "val", "test")]
    return f"{len(snapshot.classes)} categories, frames: {', '.join(parts)};"


def _execute(
    settings: "Settings",
    snapshot: "Snapshot",
    asked: "Plan",
    folder: Path,
    device: Any,
    display: Any,
    stop: Any,
    *,
    resume: bool,
) -> "RunResult":
    from twitchcat.dataset.collect import image_store
    from twitchcat.dataset.database import open_database
    from twitchcat.training.embedding import StoredEmbeddings
    from twitchcat.training.fit import Workplace
    from twitchcat.training.run import execute

    images = image_store(settings).root
    place = Workplace(
        images=images,
        cache=settings.data_dir / "cache" / "pictures",
        folder=folder,
        device=device,
        embedder=StoredEmbeddings(
            lambda: open_database(settings), images, stop=stop, progress=display.decoding
        ),
    )
    return execute(snapshot, asked, place, observer=display, stop=stop, resume=resume)


def _register(settings: "Settings", result: "RunResult", *, force: bool) -> dict[str, Any]:
    """Register the model and take it into use where that is right."""
    from twitchcat.dataset.database import open_database
    from twitchcat.dataset.registry import promote, register

    with open_database(settings) as database:
        entry = register(database, settings.data_dir, result.folder)
        promotion = promote(database, settings.data_dir, entry.name, force=force)
    return {"name": entry.name, "promoted": promotion.promoted, "reason": promotion.reason}
