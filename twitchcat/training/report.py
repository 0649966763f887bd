"""The files of an evaluation: numbers, plots, the worst frames, and one HTML page that holds them all.

metrics.json      everything that was measured
classes.csv       how each class fared
confusion.png     reliability.png     curves.png     worst_frames.jpg
report.html       needs nothing but itself
"""

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from twitchcat.errors import ConfigError, StoreError
from twitchcat.frames.contact_sheet import Tile, contact_sheet
from twitchcat.frames.picture import decode_image, encode_jpeg
from twitchcat.training.bootstrap import Interval
from twitchcat.training.plots import DPI, confusion_plot, curves_plot, reliability_plot
from twitchcat.training.results import as_json, best_rejection, window_of
from twitchcat.training.scoring import Evaluation, WorstFrame

REPORT = "report.html"
_CURVES, _CONFIG = "curves.csv", "config.json"
_SHEET_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture inside the page."""

    file: str
    data: bytes

    @property
    def width(self) -> int:
        """Of a plot on the page, in CSS pixels."""
        return round(int.from_bytes(self.data[16:20], "big") * 96 / DPI)  # PNG, 11.2.1: IHDR comes first

    @property
    def uri(self) -> str:
        kind = "jpeg" if self.file.endswith(".jpg") else "png"
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode()}"


def write_report(folder: Path, evaluation: Evaluation, *, images: Path | None = None) -> Path:
    """Write all files of an evaluation into `folder` and return the path of the HTML page.

    What training has left there, `curves.csv` and `config.json`, comes into the page too. `images` is the
    images folder of the data directory; without it there is no sheet of the worst frames. Raises StoreError
    for a picture that is gone, ConfigError if the folder cannot be written.
    """
    names = [row.name for row in evaluation.classes]
    pictures = {
        "confusion": _Picture("confusion.png", confusion_plot(evaluation.confusion, names)),
        "reliability": _Picture(
            "reliability.png", reliability_plot(evaluation.reliability_before, evaluation.reliability_after)
        ),
    }
    if images is not None and evaluation.worst:
        pictures["worst"] = _Picture("worst_frames.jpg", worst_sheet(evaluation.worst, images))
    try:
        if (curves := _curves(folder / _CURVES)) is not None:
            pictures["curves"] = _Picture("curves.png", curves)
        folder.mkdir(parents=True, exist_ok=True)
        for picture in pictures.values():
            (folder / picture.file).write_bytes(picture.data)
        text = json.dumps(as_json(evaluation), ensure_ascii=False, indent=1)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        (folder / "classes.csv").write_text(class_table(evaluation), encoding="utf-8")
        page = render(evaluation, pictures, _config(folder / _CONFIG))
        (folder / REPORT).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {folder}: {error.strerror}") from error
    return folder / REPORT


def class_table(evaluation: Evaluation) -> str:
    """Tell how each class fared, as CSV with a header; empty where nothing was measured."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["id", "name", "frames", "precision", "recall", "recall_low", "recall_high", "f1"]
    writer.writerow([*head, "window_recall", "window_recall_low", "window_recall_high"])
    for row in evaluation.classes:
        scores = (row.id, row.name, row.frame.support, row.frame.precision)
        writer.writerow([*scores, *_cells(row.frame_recall), row.frame.f1, *_cells(row.window_recall)])
    return out.getvalue()


def worst_sheet(worst: Sequence[WorstFrame], images: Path) -> bytes:
    """Lay out the worst frames under what they show: a JPEG. Raises StoreError for a picture that is gone."""
    groups: dict[str, list[Tile]] = {}
    for one in sorted(worst, key=lambda frame: frame.truth):
        try:
            rgb = decode_image((images / one.path).read_bytes())
        except OSError as error:
            raise StoreError(f"the picture {images / one.path} cannot be read: {error.strerror}") from error
        tile = Tile(rgb, f"{one.said} {one.confidence:.2f}, {one.channel}")
        groups.setdefault(one.truth, []).append(tile)
    columns = min(_SHEET_COLUMNS, max(map(len, groups.values())))
    return encode_jpeg(contact_sheet(groups, columns=columns, tile_width=220), quality=85)


def render(evaluation: Evaluation, pictures: Mapping[str, _Picture], config: Mapping[str, str]) -> str:
    """Render the page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("twitchcat.training"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    return environment.get_template("report.html.j2").render(
        evaluation=evaluation,
        metadata=evaluation.metadata,
        window=window_of(evaluation),
        unknown=best_rejection(evaluation),
        pictures=pictures,
        config=config,
    )


def _cells(interval: Interval | None) -> list[float | None]:
    return [None] * 3 if interval is None else [interval.value, interval.low, interval.high]


def _curves(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return None
    named = [name for name in rows[0] if name.endswith(("loss", "accuracy"))]
    curves = {name: [float(row[name] or "nan") for row in rows] for name in named}
    return curves_plot(curves, stages=[row.get("stage") or "" for row in rows])


def _config(path: Path) -> dict[str, str]:
    """Flatten a JSON object to names with dots and texts."""
    if not path.is_file():
        return {}

    def flat(prefix: str, value: object) -> dict[str, str]:
        if isinstance(value, dict):
            return {k: v for name, one in value.items() for k, v in flat(f"{prefix}.{name}", one).items()}
        return {prefix.lstrip("."): value if isinstance(value, str) else json.dumps(value)}

    return flat("", json.loads(path.read_text(encoding="utf-8")))
