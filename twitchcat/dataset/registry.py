"""Registered models: a folder of each under `models` of the data directory, and a row that says what it is.

Which one is in use is a link in that folder (`twitchcat.recognition.current`), so that recognition needs no
database; the column `current` repeats it for SQL.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from twitchcat.dataset import schema
from twitchcat.dataset.database import Database
from twitchcat.dataset.snapshot import Snapshot
from twitchcat.errors import ConfigError, ModelError
from twitchcat.recognition.current import FILE, PACKAGED, current_name, models_folder, previous, set_current
from twitchcat.recognition.metadata import ModelMetadata
from twitchcat.recognition.model import RecognitionModel
from twitchcat.twitch.entities import Category

CARD, REPORT, SNAPSHOT = "card.md", "report.html", "snapshot.jsonl.gz"
#: What promotion compares, the first that both models have: the share of the test split's windows, or frames,
#: that are named right, 0..1.
COMPARED = ("window_accuracy", "frame_accuracy")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TAKEN = {"current", "history.jsonl"}  # by files of the folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A registered model."""

    name: str
    file: Path  #: of the data directory asked for; another machine's may lack it
    sha256: str
    backbone: str | None
    classes: tuple[Category, ...]  #: in the order of the logits
    fingerprint: str | None  #: of the snapshot it was trained on
    metrics: dict[str, Any]
    current: bool
    created_at: datetime

    @property
    def folder(self) -> Path:
        """Where its card, report and snapshot are."""
        return self.file.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Whether a model came into use, and why or why not."""

    promoted: bool
    reason: str  #: one clause, for people
    before: str | None  #: name of the model in use before; None: the packaged one


def register(database: Database, data_dir: Path, run: Path, *, name: str | None = None) -> ModelEntry:
    """Copy a run folder's model, card, report and snapshot into the models folder, then write its row.

    `run` may also be a model file. The same file twice is one model: the entry that is there is returned.
    Without `name` it is named after day, backbone and head.
    Raises ModelError if it cannot be used, ConfigError for a name that cannot be or is taken, StoreError.
    """
    file = run / FILE if run.is_dir() else run
    metadata = RecognitionModel.load(file).metadata
    digest = _sha256(file)
    with database.begin() as connection:
        _lock(connection)
        for entry in _entries(connection, data_dir):
            if entry.sha256 == digest and entry.file.is_file():
                return entry
        # A folder without a row is a registration cut short, or another database's: it is left alone.
        names = set(connection.execute(select(schema.Model.name)).scalars()) | _folders(data_dir)
        chosen = _free_name(metadata, names) if name is None else _checked_name(name, names)
        folder = _store(file, models_folder(data_dir), chosen)
        try:
            _write_row(connection, chosen, digest, metadata)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return find_model(database, data_dir, chosen)


def list_models(database: Database, data_dir: Path) -> list[ModelEntry]:
    """Every registered model, latest first. Raises StoreError."""
    with database.begin(read_only=True) as connection:
        return _entries(connection, data_dir)


def find_model(database: Database, data_dir: Path, name: str) -> ModelEntry:
    """The model of this name. Raises ModelError if there is none, StoreError."""
    entries = list_models(database, data_dir)
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries[:5]) or "none yet"
    raise ModelError(f"no model is called {name}; there are: {known}")


def promote(
    database: Database,
    data_dir: Path,
    name: str,
    *,
    force: bool = False,
    current_metrics: Mapping[str, Any] | None = None,
) -> Promotion:
    """Take a registered model into use, unless it is worse than the one in use.

    Worse: of the windows of the same test split it names fewer right (of the frames, where captures are
    shorter than windows). The split is the same if both snapshots hold the same test pictures with the same
    labels, whatever the models trained on. Numbers of different splits say nothing about each other: then the
    model comes into use, and the reason says that nothing was compared, unless `current_metrics` are those of
    the model in use on the new model's split.
    Raises ModelError if there is no such model or its file is missing or altered, StoreError.
    """
    entry = find_model(database, data_dir, name)
    _check_intact(entry)
    before = current_name(data_dir)
    reason, worse = _compare(database, data_dir, entry, before, current_metrics)
    if worse and not force:
        return Promotion(promoted=False, reason=reason, before=before)
    _use(database, data_dir, name, action="use")
    return Promotion(promoted=True, reason=reason, before=before)


def roll_back(database: Database, data_dir: Path) -> str | None:
    """Take the model into use again that was before this one; its name, None: the packaged one.

    Raises ModelError if there is none, StoreError.
    """
    name = previous(data_dir)
    if name is not None:
        _check_intact(find_model(database, data_dir, name))
    _use(database, data_dir, name, action="rollback")
    return name


def _compare(
    database: Database,
    data_dir: Path,
    entry: ModelEntry,
    before: str | None,
    measured: Mapping[str, Any] | None,
) -> tuple[str, bool]:
    """Say how a model compares with the one in use, and whether it is worse."""
    if before == entry.name:
        return "it is in use already", False
    if measured is None and before is not None:
        current = find_model(database, data_dir, before)
        if not same_test_split(entry.folder / SNAPSHOT, current.folder / SNAPSHOT):
            return f"not compared with {before}: their test splits differ", False
        measured = current.metrics
    if before is None and not PACKAGED.is_file():
        return "the first", False
    shown = before or "the packaged model"
    for name in COMPARED:
        new, old = entry.metrics.get(name), (measured or {}).get(name)
        if isinstance(new, int | float) and isinstance(old, int | float):
            what = name.removesuffix("_accuracy") + "s"
            return f"{new:.1%} of the test {what} right, {shown} {old:.1%}", new < old
    return f"not compared with {shown}: there are no numbers of one test split", False


def same_test_split(one: Path, other: Path) -> bool:
    """Whether two saved snapshots hold the same test pictures with the same labels, at least one."""
    try:
        first, second = (
            {(frame.sha256, frame.category_id) for frame in Snapshot.load(path).of("test")}
            for path in (one, other)
        )
    except ConfigError:  # missing or damaged: nothing is known of it
        return False
    return bool(first) and first == second


def _use(database: Database, data_dir: Path, name: str | None, *, action: str) -> None:
    model = schema.Model
    with database.begin() as connection:
        _lock(connection)
        connection.execute(update(model).where(model.current).values(current=False))
        connection.execute(update(model).where(model.name == name).values(current=True))
        set_current(data_dir, name, action=action)  # the last thing that can fail before the commit


def _lock(connection: Connection) -> None:
    # Two that register or promote at once take turns; readers do not wait.
    connection.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))


def _entries(connection: Connection, data_dir: Path) -> list[ModelEntry]:
    model = schema.Model
    rows = connection.execute(select(model.__table__).order_by(model.created_at.desc(), model.id.desc()))
    current = current_name(data_dir)
    return [
        ModelEntry(
            name=row.name,
            file=models_folder(data_dir) / row.path,
            sha256=row.sha256,
            backbone=row.backbone,
            classes=tuple(Category(id=one["id"], name=one["name"]) for one in row.classes),
            fingerprint=row.fingerprint,
            metrics=row.metrics,
            current=row.name == current,
            created_at=row.created_at,
        )
        for row in rows
    ]


def _write_row(connection: Connection, name: str, sha256: str, metadata: ModelMetadata) -> None:
    connection.execute(
        insert(schema.Model).values(
            name=name,
            path=f"{name}/{FILE}",
            sha256=sha256,
            backbone=metadata.backbone,
            classes=[one.model_dump() for one in metadata.classes],
            fingerprint=metadata.fingerprint or None,
            metrics=metadata.metrics,
            created_at=metadata.created_at,
        )
    )


def _store(model: Path, models: Path, name: str) -> Path:
    """Copy what belongs to a model durably; its folder is whole or not there. Raises ModelError."""
    folder = models / name
    try:
        models.mkdir(parents=True, exist_ok=True)
        pending = Path(tempfile.mkdtemp(dir=models, prefix=".pending-"))
        try:
            # What lies beside a file of another name need not belong to it.
            more = (CARD, REPORT, SNAPSHOT) if model.name == FILE else ()
            files = {FILE: model} | {name: model.parent / name for name in more}
            for file, source in files.items():
                if source.is_file():
                    shutil.copyfile(source, pending / file)
                    _sync(pending / file)
            _sync(pending)
            pending.chmod(0o755)
            pending.rename(folder)
        except BaseException:
            shutil.rmtree(pending, ignore_errors=True)
            raise
        _sync(models)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folders(data_dir: Path) -> set[str]:
    folder = models_folder(data_dir)
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def _free_name(metadata: ModelMetadata, names: set[str]) -> str:
    backbone = re.sub(r"[^a-z0-9]+", "-", Path(metadata.backbone).name.lower()).strip("-") or "model"
    base = f"{metadata.created_at:%Y-%m-%d}-{backbone[:32]}-{metadata.head}"
    number, name = 1, base
    while name in names:
        number += 1
        name = f"{base}-{number}"
    return name


def _checked_name(name: str, names: set[str]) -> str:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ConfigError(f"a model cannot be called {name!r}: use a-z, 0-9, dots, dashes, at most 64")
    if name in names:
        raise ConfigError(f"there is a model called {name} already")
    return name


def _check_intact(entry: ModelEntry) -> None:
    if not entry.file.is_file():
        raise ModelError(f"the file of {entry.name} is missing: {entry.file}")
    if _sha256(entry.file) != entry.sha256:
        raise ModelError(f"{entry.file} is refused: it was altered since it was registered")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
