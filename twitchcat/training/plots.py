"""Plots of an evaluation and of training: PNG on a transparent ground, readable on light and dark pages."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from twitchcat.training.calibration import BINS, Reliability

_INK = "#82828f"  # as far from white as from the dark ground of the report
_FIRST, _SECOND = "#9159ff", "#1fa187"
_NAMED = 40  # classes, above which a confusion matrix has no room for names
_NUMBERED = 24  # and for numbers
DPI = 140


@contextmanager
def _style() -> Iterator[None]:
    look = mpl.rc_context(
        {
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "legend.frameon": False,
            "text.parse_math": False,  # a category may have dollar signs in its name
            "font.size": 9,
        }
    )
    with look:
        yield


def confusion_plot(confusion: NDArray[np.int64], names: Sequence[str]) -> bytes:
    """Draw counts (C, C), each row shaded by its share: rows are what is, columns what was said."""
    count = len(names)
    side = float(np.clip(0.42 * count, 2.6, 14.0))
    with _style():
        figure = Figure(figsize=(side + 2.2, side + 1.6), layout="constrained")
        axes = figure.add_subplot()
        share = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
        # Shaded by opacity: what is nothing shows the page.
        colours = np.broadcast_to(np.array(to_rgb(_FIRST)), (*share.shape, 3))
        axes.imshow(np.dstack([colours, share]), interpolation="nearest")
        axes.spines[:].set_visible(False)
        named = names if count <= _NAMED else [""] * count
        axes.set_xticks(range(count), named, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), named)
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=_INK, alpha=0.25, linewidth=0.5)
        axes.tick_params(which="minor", length=0)
        axes.set_xlabel("said")
        axes.set_ylabel("is")
        if count <= _NUMBERED:
            for row, column in zip(*np.nonzero(confusion), strict=True):
                light = share[row, column] > 0.55
                number = str(confusion[row, column])
                axes.text(
                    column,
                    row,
                    number,
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if light else _INK,
                )
        return _png(figure)


def reliability_plot(before: Reliability, after: Reliability) -> bytes:
    """Draw how often verdicts of each confidence are right, before and after the temperature."""
    with _style():
        figure = Figure(figsize=(7.2, 3.9), layout="constrained")
        parts = figure.subplots(2, 2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
        named = (("temperature 1", before, _SECOND), ("calibrated", after, _FIRST))
        for column, (name, one, colour) in enumerate(named):
            _draw_reliability(parts[0, column], parts[1, column], name, one, colour)
        parts[0, 0].set_ylabel("share that is right")
        parts[1, 0].set_ylabel("verdicts")
        return _png(figure)


def curves_plot(curves: Mapping[str, Sequence[float]], *, stages: Sequence[str] = ()) -> bytes:
    """Draw curves over epochs: those with "loss" in their name on the left, with "accuracy" on the right.

    `stages` names the stage of each epoch, where there are several.
    """
    with _style():
        figure = Figure(figsize=(8.4, 2.9), layout="constrained")
        for axes, subject in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            for name, values in curves.items():
                if subject in name:
                    colour = _SECOND if name.startswith("train") else _FIRST
                    label = name.replace("_", " ").removesuffix(f" {subject}")
                    epochs = range(1, len(values) + 1)
                    mark = "." if len(values) < 40 else ""
                    axes.plot(epochs, values, color=colour, label=label, linewidth=1.5, marker=mark)
            for epoch in range(1, len(stages)):
                if stages[epoch] != stages[epoch - 1]:
                    axes.axvline(epoch + 0.5, color=_INK, linewidth=0.8, linestyle=":")
            axes.set_title(subject)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if axes.lines:
                axes.legend()
        return _png(figure)


def _draw_reliability(main: Axes, counts: Axes, name: str, one: Reliability, colour: str) -> None:
    middles, width = (np.arange(BINS) + 0.5) / BINS, 0.92 / BINS
    main.set_title(name)
    main.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle="--")
    main.bar(middles, np.nan_to_num(one.accuracy), width, color=colour, alpha=0.45)
    main.plot(one.confidence, one.accuracy, "o", color=colour, markersize=3.5)
    main.set_ylim(0, 1)
    main.set_xlim(0, 1)
    counts.bar(middles, one.count, width, color=_INK, alpha=0.6)
    counts.set_xlabel("confidence")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that matplotlib's font lacks is drawn as boxes; the tables have it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="png", dpi=DPI, transparent=True, metadata={"Software": None})
    return buffer.getvalue()
