"""How soon a verdict follows when a stream turns to another category."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twitchcat.training.metrics import Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # arrays have no single ==
class Splice:
    """The end of one capture, and the begin of one of another category after it."""

    frames: NDArray[np.int64]  #: (before + after,) places of frames
    before: int  #: frames of the first capture
    old: int  #: its class
    new: int  #: class of the second capture


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchDelay:
    """Delays over many splices, in frames of the new capture."""

    splices: int  #: tried
    watched: int  #: frames of the new capture in each; one that needs more has not followed
    settled: int  #: of them, those whose verdict was right just before the switch: the ones that count
    followed: int  #: of the settled, those whose verdict was right at the end
    median: float | None  #: half of the settled followed by then; None: by the end they had not
    p90: float | None  #: nine of ten did; None: by the end they had not


def splices(
    labels: Labels,
    captures: Sequence[int] | NDArray[np.int64],
    *,
    before: int,
    after: int,
    count: int,
    seed: int = 0,
) -> tuple[Splice, ...]:
    """Choose at most `count` pairs of captures of different classes and join them.

    Takes labels (N,) and captures (N,), the frames of a capture together in time order. Each capture is the
    old and the new one about equally often; those with fewer frames than needed take no part.
    """
    numbers = np.asarray(captures)
    if not len(numbers):
        return ()
    begins = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    spans = list(zip(begins.tolist(), [*begins[1:].tolist(), len(numbers)], strict=True))
    first = [span for span in spans if span[1] - span[0] >= before]
    second = [span for span in spans if span[1] - span[0] >= after]
    random = np.random.default_rng(seed)
    chosen: list[Splice] = []
    seen: set[tuple[int, int]] = set()
    # A pair may come twice or be of one class: a few more rounds than pairs wanted, then it is enough.
    for _ in range(1 + 4 * count // max(1, min(len(first), len(second)))):
        for a, b in zip(random.permutation(len(first)), random.permutation(len(second)), strict=False):
            one, other = first[a], second[b]
            old, new = int(labels[one[0]]), int(labels[other[0]])
            if len(chosen) < count and old != new and (one[0], other[0]) not in seen:
                seen.add((one[0], other[0]))
                frames = np.r_[np.arange(one[1] - before, one[1]), np.arange(other[0], other[0] + after)]
                chosen.append(Splice(frames=frames, before=before, old=old, new=new))
    return tuple(chosen)


def verdicts(logits: NDArray[np.float32], *, window: int) -> Labels:
    """Name the class after each frame of a sequence (T, C), by the mean of the last `window` logits: (T,)."""
    total = np.cumsum(np.asarray(logits, np.float64), axis=0)
    total[window:] -= total[:-window].copy()
    return np.asarray(total.argmax(axis=1), np.int64)


def delay(said: Labels, splice: Splice) -> int | None:
    """Count the frames of the new capture until what is said (T,) stays with its class; None: it does not.

    1: right from the first frame on. A verdict that falls back starts the count anew.
    """
    wrong = np.flatnonzero(said[splice.before :] != splice.new)
    count = int(wrong[-1]) + 2 if len(wrong) else 1
    return count if count <= len(said) - splice.before else None


def summarize(said: Sequence[Labels], joined: Sequence[Splice]) -> SwitchDelay:
    """Sum up what was said (T,) after each frame of each splice."""
    settled = [
        (one, splice)
        for one, splice in zip(said, joined, strict=True)
        if one[splice.before - 1] == splice.old
    ]
    delays = [delay(one, splice) for one, splice in settled]
    followed = [one for one in delays if one is not None]
    ordered = sorted(followed)

    def until(share: float) -> float | None:
        needed = math.ceil(share * len(settled))
        return float(ordered[needed - 1]) if 0 < needed <= len(ordered) else None

    return SwitchDelay(
        splices=len(joined),
        watched=len(joined[0].frames) - joined[0].before if joined else 0,
        settled=len(settled),
        followed=len(followed),
        median=until(0.5),
        p90=until(0.9),
    )
