"""How `twitchcat models` looks."""

from typing import Any

from rich.markdown import Markdown
from rich.table import Table

from twitchcat.cli.console import output
from twitchcat.config import Settings
from twitchcat.dataset.registry import CARD, COMPARED, ModelEntry
from twitchcat.errors import ModelError
from twitchcat.recognition.current import PACKAGED, resolve_model_path
from twitchcat.recognition.model import RecognitionModel


def entry_as_dict(entry: ModelEntry) -> dict[str, Any]:
    """A registered model as JSON shows it."""
    return {
        "name": entry.name,
        "current": entry.current,
        "available": entry.file.is_file(),
        "path": str(entry.file),
        "sha256": entry.sha256,
        "backbone": entry.backbone,
        "classes": [{"id": one.id, "name": one.name} for one in entry.classes],
        "fingerprint": entry.fingerprint,
        "metrics": entry.metrics,
        "created_at": entry.created_at.isoformat(),
    }


def model_as_dict(model: RecognitionModel) -> dict[str, Any]:
    """A model file as JSON shows it."""
    return {"path": str(model.path), "bytes": model.path.stat().st_size} | model.metadata.model_dump(
        mode="json"
    )


def print_entries(entries: list[ModelEntry], settings: Settings) -> None:
    """Print the registered models on stdout, and which file recognizes."""
    console = output()
    if entries:
        table = Table(box=None, pad_edge=False)
        for name in ("", "Model"):
            table.add_column(name, no_wrap=True)
        for name in ("Categories", "Windows right", "Frames right"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("Made", no_wrap=True)
        for entry in entries:
            table.add_row(
                "*" if entry.current else "",
                entry.name if entry.file.is_file() else f"{entry.name} (no file)",
                str(len(entry.classes)),
                *(_share(entry.metrics.get(name)) for name in COMPARED),
                entry.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            )
        console.print(table)
    try:
        path = resolve_model_path(settings)
    except ModelError as error:
        console.print(f"None recognizes: {error}", markup=False)
        return
    if path == PACKAGED:
        console.print("The packaged model is in use.")
    elif settings.model.path is not None:
        console.print(f"The setting model.path is in force: {path}", markup=False)


def print_model(model: RecognitionModel) -> None:
    """Print a model's card on stdout; where it has none, what its file says."""
    console = output()
    card = model.path.parent / CARD
    if card.is_file():
        text = card.read_text(encoding="utf-8")
        console.print(Markdown(text) if console.is_terminal else text.rstrip(), markup=False)
        console.print(f"\nFile: {model.path}", markup=False)
        return
    about = model.metadata
    table = Table(box=None, pad_edge=False, show_header=False)
    rows = {
        "File": str(model.path),
        "Categories": ", ".join(one.name for one in about.classes),
        "Network": f"{about.backbone}, {about.head}",
        "Input": f"{about.input_width} by {about.input_height} pixels, {about.fit}",
        "Window": f"{about.window} frames, {about.frame_interval_s:g} s apart",
        "Snapshot": about.fingerprint or "none",
        "Made": f"{about.created_at:%Y-%m-%d %H:%M %Z} by twitchcat {about.twitchcat_version}",
        "Windows right": _share(about.metrics.get(COMPARED[0])),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _share(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "not measured"
