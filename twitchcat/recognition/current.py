"""Which model is in use: a link in the models folder, and what it pointed to before. No database is needed.

data_dir/models/<name>/model.onnx      each registered model, with its card, report and snapshot
data_dir/models/current                a link to the one in use; there is none until one is chosen
data_dir/models/history.jsonl          a line for each change
"""

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twitchcat.config import Settings
from twitchcat.errors import ModelError

FILE = "model.onnx"
PACKAGED = Path(__file__).parent / "default" / FILE  #: the model that ships with twitchcat


def resolve_model_path(settings: Settings) -> Path:
    """The model file to recognize with: `model.path`, else the one in use, else the packaged one.

    Raises ModelError if that is missing; it never goes on to the next silently.
    """
    named = settings.model.path
    if named is not None:
        if not named.expanduser().is_file():
            raise ModelError(f"there is no model at {named}, which the setting model.path names")
        return named.expanduser()
    link = current_link(settings.data_dir)
    if link.is_symlink() or link.exists():
        if not link.is_file():
            raise ModelError(
                f"the model in use is gone: {link} leads nowhere; choose another with `twitchcat models use`"
            )
        return link.resolve()
    if PACKAGED.is_file():
        return PACKAGED
    raise ModelError(
        "there is no model yet: train one with `twitchcat train`, choose one with `twitchcat models use`, or"
        " name a file with the setting model.path"
    )


def models_folder(data_dir: Path) -> Path:
    """Where registered models are."""
    return data_dir / "models"


def current_link(data_dir: Path) -> Path:
    """The link to the model in use, there or not."""
    return models_folder(data_dir) / "current"


def current_name(data_dir: Path) -> str | None:
    """The name of the registered model in use; None: the packaged one, or a file that somebody put there."""
    link = current_link(data_dir)
    if not link.is_symlink():
        return None
    name, _, file = str(link.readlink()).partition("/")
    return name if file == FILE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of the history."""

    at: datetime
    action: str  #: "use" or "rollback"
    model: str | None  #: its name; None: the packaged one


def history(data_dir: Path) -> tuple[Change, ...]:
    """Every change of the model in use, oldest first. Raises ModelError if it cannot be read."""
    path = _history(data_dir)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(_change(line) for line in lines)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: is damaged: {error}") from error


def previous(data_dir: Path) -> str | None:
    """The model that a rollback leads to; None: the packaged one. Raises ModelError if there is none.

    Rollbacks go on backwards: after two of them, the third leads to the third model before.
    """
    stack: list[str | None] = [None]
    for change in history(data_dir):
        if change.action == "rollback":
            stack = stack[: _last(stack[:-1], change.model) + 1] or [None]
        elif change.model != stack[-1]:
            stack.append(change.model)
    for name in reversed(stack[:-1]):
        if name is None and PACKAGED.is_file():
            return None
        if name is not None and (models_folder(data_dir) / name / FILE).is_file():
            return name
    raise ModelError("there is no model to go back to: none was in use before this one")


def set_current(data_dir: Path, name: str | None, *, action: str = "use") -> None:
    """Let `current` point to a registered model, or to nothing, in one step, and write it down.

    Raises ModelError if the model is not there, or if `current` is no link.
    """
    folder, link = models_folder(data_dir), current_link(data_dir)
    if link.exists() and not link.is_symlink():
        raise ModelError(f"{link} is a file that somebody put there: move it away first")
    if name is not None and not (folder / name / FILE).is_file():
        raise ModelError(f"there is no file of the model {name}: {folder / name / FILE} is missing")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if name is None:
            link.unlink(missing_ok=True)
        else:
            _link(folder, link, f"{name}/{FILE}")
        line = {"at": datetime.now(UTC).isoformat(), "action": action, "model": name}
        with _history(data_dir).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise ModelError(f"{link}: cannot be changed ({error.strerror})") from error


def _link(folder: Path, link: Path, target: str) -> None:
    # A link cannot be made over another; renaming one over it leaves no moment without.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".current-") as beside:
        fresh = Path(beside) / "link"
        fresh.symlink_to(target)
        fresh.replace(link)


def _history(data_dir: Path) -> Path:
    return models_folder(data_dir) / "history.jsonl"


def _change(line: str) -> Change:
    entry = json.loads(line)
    return Change(at=datetime.fromisoformat(entry["at"]), action=entry["action"], model=entry["model"])


def _last(names: list[str | None], name: str | None) -> int:
    return max((place for place, one in enumerate(names) if one == name), default=0)
