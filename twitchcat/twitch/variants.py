"""Which of a stream's qualities is looked at: chosen by height, as names change and heights do not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from twitchcat.errors import ConfigError

_NAME = re.compile(r"(?P<height>\d+)p(?P<fps>\d+)?")
_SYNONYM = re.compile(r"(best|worst)(-unfiltered)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One quality of a stream, as Twitch names it."""

    name: str  #: such as "360p30"
    height: int | None  #: lines; None: the name does not say
    fps: int | None  #: pictures per second; None: the name does not say


def variant_named(name: str) -> Variant:
    """Read height and rate out of a name such as "720p60", "480p" or "852p30_portrait"."""
    match = _NAME.match(name)
    if match is None:
        return Variant(name=name, height=None, fps=None)
    fps = match["fps"]
    return Variant(name=name, height=int(match["height"]), fps=int(fps) if fps else None)


def choose_variant(names: Iterable[str], wanted: str) -> Variant | None:
    """Choose the quality for `wanted`: "best", "worst" or a height such as "360p".

    A height takes the smallest quality with at least so many lines, else the tallest. Portrait pictures are
    taken only where there is nothing else, then qualities without a height; sound without a picture never.
    None: there is no picture at all. Raises ConfigError if `wanted` is none of these.
    """
    pictures = [
        variant_named(name)
        for name in names
        if not name.lower().startswith("audio") and not _SYNONYM.fullmatch(name.lower())
    ]
    sized = [variant for variant in pictures if variant.height is not None]
    landscape = [variant for variant in sized if "portrait" not in variant.name.lower()]
    by_size = sorted(
        landscape or sized or pictures, key=lambda one: (one.height or 0, one.fps or 0, one.name)
    )
    if not by_size:
        return None
    if wanted in {"best", "worst"}:
        return by_size[-1 if wanted == "best" else 0]
    lines = re.fullmatch(r"(\d+)p?", wanted)
    if lines is None:
        raise ConfigError(f"capture.variant: {wanted!r} is no height such as 360p, nor best, nor worst")
    enough = [variant for variant in by_size if (variant.height or 0) >= int(lines[1])]
    return enough[0] if enough else by_size[-1]
