"""Lists of what is to be imported: a manifest, a table, Scalabel, or the folders themselves."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from twitchcat.dataset.importing.footage import Entry, Listing, Problem, gather
from twitchcat.errors import ConfigError
from twitchcat.frames.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES

MANIFEST = "manifest.json"  #: a folder's own list
_TABLES = {".csv": ",", ".tsv": "\t"}
_LISTS = {*_TABLES, ".json"}

Listed = Iterator[Entry | Problem]


def find(paths: Sequence[Path], *, manifest: Path | None = None) -> Listing:
    """What these paths name: videos, images, folders and lists. With a manifest, its entries among them.

    A folder that holds a `manifest.json` is what that says. A file named by itself is of the category that
    its folder is named after. Raises ConfigError for a list that cannot be read, and if nothing is found.
    """
    if manifest is not None:
        listing = gather(((manifest.parent, one) for one in read_list(manifest)), only=paths)
    else:
        listing = gather(one for path in paths for one in _below(path))
    if not listing.footage and not listing.problems:
        told = ", ".join(str(path) for path in paths) or str(manifest)
        raise ConfigError(f"{told}: there is nothing to import")
    return listing


def _below(path: Path) -> Iterator[tuple[Path, Entry | Problem]]:
    if path.is_dir():
        own = path / MANIFEST
        return ((path, one) for one in (read_list(own) if own.is_file() else walk(path)))
    if is_list(path):
        return ((path.parent, one) for one in read_list(path))
    return iter([(Path(), Entry(file=str(path), category=path.resolve().parent.name))])


def is_list(path: Path) -> bool:
    """Whether a file is a list of others, by its suffix."""
    return path.suffix.lower() in _LISTS


def read_list(path: Path) -> list[Entry | Problem]:
    """Read a manifest, a CSV or TSV table, or Scalabel JSON; lines that say too little are problems.

    Raises ConfigError if the file cannot be read or is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in _TABLES:
            return list(_read_table(text.splitlines(), _TABLES[path.suffix.lower()]))
        content = json.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    items = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConfigError(f"{path}: is neither a list of files nor Scalabel")
    if any("file" in item for item in items):
        return list(_read_manifest(items))
    if any("name" in item for item in items):
        return list(_read_scalabel(items))
    raise ConfigError(f'{path}: its entries have neither "file" nor "name"')


def walk(path: Path) -> Listed:
    """The videos and images of a folder whose folders are categories, or of one folder that is a category.

    A file's category is the name of the first folder below `path` that leads to it, or of `path`, if it lies
    there. Raises ConfigError where a name cannot be listed.
    """
    known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    try:
        files = sorted(one for one in path.rglob("*") if one.suffix.lower() in known and one.is_file())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    for file in files:
        parts = file.relative_to(path).parts
        if not any(part.startswith(".") for part in parts):
            category = parts[0] if len(parts) > 1 else path.resolve().name
            yield Entry(file=str(file.resolve()), category=category)


def _seconds(value: Any) -> Any:
    return None if value == "" else value


Seconds = Annotated[float | None, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class _Row(BaseModel):
    """What a manifest or a table may say of one file; other keys are somebody else's business."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    file: Text
    category: Text
    category_id: str | None = None
    channel: str | None = None
    start_s: Seconds = None
    end_s: Seconds = None
    started_at: AwareDatetime | None = None
    language: str | None = None
    sha256: str | None = None

    def entry(self) -> Entry:
        """The entry; without an end there is no span, and `start_s` is about another file."""
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError("its span ends before it starts")
        return Entry(
            file=self.file,
            category=self.category,
            category_id=self.category_id or None,
            channel=self.channel or None,
            start_s=(self.start_s or 0.0) if self.end_s is not None else None,
            end_s=self.end_s,
            started_at=self.started_at.astimezone(UTC) if self.started_at else None,
            language=self.language or None,
            sha256=self.sha256 or None,
        )


def _read_manifest(items: Iterable[dict[str, Any]]) -> Listed:
    for number, item in enumerate(items, 1):
        yield _checked(item, f"entry {number}")


def _read_table(lines: Sequence[str], delimiter: str) -> Listed:
    rows = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if any(row)]
    if not rows:
        return
    names = [_COLUMNS.get(name.strip().lower(), name.strip().lower()) for name in rows[0]]
    if "category" in names and "file" in names:
        rows = rows[1:]
    else:  # no header: known by how many there are
        names = ["file", *_HEADERLESS.get(len(rows[0]), ("category", "channel"))]
    for number, row in enumerate(rows, 1):
        told = row[names.index("file")] if len(row) > names.index("file") else ""
        if len(row) > len(names):
            yield Problem(file=told, why=f"row {number} has {len(row)} values, expected {len(names)}")
        else:
            yield _checked({n: v for n, v in zip(names, row, strict=False) if v.strip()}, f"row {number}")


_COLUMNS = {"path": "file", "frame": "file", "label": "category", "start": "start_s", "end": "end_s"}
_HEADERLESS = {
    2: ("category",),
    3: ("category", "channel"),
    4: ("start_s", "end_s", "category"),
    5: ("start_s", "end_s", "category", "channel"),
}


def _checked(values: dict[str, Any], place: str) -> Entry | Problem:
    told = str(values.get("file") or place)
    try:
        return _Row.model_validate(values).entry()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        return Problem(file=told, why=f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}")
    except ValueError as error:
        return Problem(file=told, why=str(error))


def _read_scalabel(items: Iterable[dict[str, Any]]) -> Listed:
    """Read frames of Scalabel (scalabel.ai, "Scalabel Format"): a picture each, tagged or labelled."""
    for number, item in enumerate(items, 1):
        name = str(item.get("name") or "")
        category = _scalabel_category(item)
        if not name or category is None:
            why = "has no name" if not name else "has no category, or several"
            yield Problem(file=name or f"frame {number}", why=why)
            continue
        video = item.get("videoName") or item.get("video_name")
        at_s = item.get("timestamp")  # milliseconds
        index = item.get("frameIndex", item.get("frame_index"))
        if isinstance(at_s, int | float):
            at_s /= 1000
        elif isinstance(index, int | float):
            at_s = float(index)
        else:
            at_s = None
        yield Entry(file=name, category=category, channel=str(video) if video else None, at_s=at_s)


def _scalabel_category(item: dict[str, Any]) -> str | None:
    """The picture's tag: an attribute "category", or the only one; else what all its labels say."""
    attributes = item.get("attributes")
    if isinstance(attributes, dict):
        texts = {name: str(value) for name, value in attributes.items() if isinstance(value, str) and value}
        for name in ("category", "label"):
            if name in texts:
                return texts[name]
        if len(texts) == 1:
            return next(iter(texts.values()))
    labels = item.get("labels")
    named = {
        str(one["category"])
        for one in (labels if isinstance(labels, list) else [])
        if isinstance(one, dict) and one.get("category")
    }
    return named.pop() if len(named) == 1 else None
