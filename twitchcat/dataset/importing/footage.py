"""What is to be imported: entries as somebody listed them, and the footage that they come to."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from twitchcat.frames.files import IMAGE_SUFFIXES

#: Images that become one capture.
CAPTURE_IMAGES = 1000
#: Seconds that the number in an image's name may come to: 115 days.
_LONGEST_S = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, or a span of one, as a folder or a list names it."""

    file: str  #: as it was written
    category: str  #: name
    category_id: str | None = None  #: Twitch's
    channel: str | None = None  #: None: the file is its own channel
    start_s: float | None = None  #: of a span, in seconds since the video's first frame
    end_s: float | None = None
    started_at: datetime | None = None  #: when the video's first frame was shown
    language: str | None = None
    at_s: float | None = None  #: of an image: seconds since its recording began
    sha256: str | None = None  #: of the file, if it shall be checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that could not be imported."""

    file: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image file, and when it was taken."""

    path: Path
    at_s: float  #: seconds since its channel's made-up beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What becomes one capture: a video or a span of one, or images of one channel and category."""

    entry: Entry
    channel: str  #: name, as given or made from the file's
    video: Path | None = None
    pictures: tuple[Picture, ...] = ()  #: in time order, if it is no video

    @property
    def name(self) -> str:
        """What to call it in a message."""
        if self.video is not None:
            return str(self.video)
        more = f" and {len(self.pictures) - 1} more" if len(self.pictures) > 1 else ""
        return f"{self.pictures[0].path}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What there is to import, and what cannot be."""

    footage: tuple[Footage, ...]
    problems: tuple[Problem, ...]


def gather(entries: Iterable[tuple[Path, Entry | Problem]], *, only: Sequence[Path] = ()) -> Listing:
    """Find the files of entries, and put images of one channel and category together.

    Each entry comes with the folder that its file's name is relative to; one of those in `only` will do too.
    Where `only` names anything, files outside of it are left out. Images whose names differ in a number at
    the end alone are of one channel, unless the entry says otherwise: they are frames of one recording, as a
    rule.
    """
    problems: list[Problem] = []
    found: list[tuple[Entry, Path]] = []
    for folder, entry in entries:
        if isinstance(entry, Problem):
            problems.append(entry)
            continue
        path = next((path for one in (folder, *only) if (path := one / entry.file).is_file()), None)
        wanted = (path or folder / entry.file).resolve()
        if only and not any(wanted.is_relative_to(one.resolve()) for one in only):
            continue
        if path is None:
            problems.append(Problem(file=entry.file, why="there is no such file"))
        else:
            found.append((entry, path))
    names = _channel_names([path for entry, path in found if entry.channel is None])
    videos: list[Footage] = []
    images: dict[tuple[str, str, str | None], list[tuple[Entry, Path]]] = {}
    for entry, path in dict.fromkeys(found):
        channel = entry.channel or names[path]
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images.setdefault((channel, entry.category, entry.category_id), []).append((entry, path))
        else:
            videos.append(Footage(entry=entry, channel=channel, video=path))
    groups = (one for (channel, *_), group in images.items() for one in _captures(channel, group))
    return Listing(footage=(*videos, *groups), problems=tuple(problems))


def slug(name: str) -> str:
    """A name as a login or an id: lower case, `_` for what is neither letter nor digit.

    >>> slug("Counter-Strike 2")
    'counter_strike_2'
    """
    return re.sub(r"\W+", "_", name.casefold()).strip("_") or "unnamed"


@dataclass(frozen=True, slots=True)
class _Recording:
    """What a file is a part of: an image, of those named like it but for the number; a video, of itself."""

    folder: Path
    stem: str
    suffix: str

    @classmethod
    def of(cls, path: Path) -> "_Recording":
        folder = path.resolve().parent
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return cls(folder, re.sub(r"[\W_]*\d*$", "", path.stem), "")
        return cls(folder, path.stem, path.suffix)

    def name(self, folders: int) -> str:
        """Its name, after so many of the folders it is in."""
        parents = [slug(part) for part in self.folder.parts[1:]][-folders:]
        stem = slug(self.stem) if self.stem else ""
        # "SuperTux/supertux_s2" says its folder already.
        if len(parents) == 1 and stem.startswith(parents[0]):
            return stem
        return "_".join(part for part in (*parents, stem) if part)


def _channel_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Name each file after itself and the folder it is in, and after as many more as tell it from others."""
    recordings = {path: _Recording.of(path) for path in paths}
    names: dict[_Recording, str] = {}
    for depth in range(1, 2 + max((len(one.folder.parts) for one in recordings.values()), default=0)):
        tried = {one: one.name(depth) for one in recordings.values() if one not in names}
        owners = Counter(tried.values()) + Counter(names.values())
        names |= {one: name for one, name in tried.items() if owners[name] == 1}
    # What is left differs in the suffix alone: one recording, twice.
    return {path: names.get(one, one.name(1)) for path, one in recordings.items()}


def _captures(channel: str, group: list[tuple[Entry, Path]]) -> Iterator[Footage]:
    moments = [entry.at_s if entry.at_s is not None else _number(path) for entry, path in group]
    if None in moments or len(set(moments)) < len(moments):
        # Nothing says in which order they were taken; their times must differ, and be the same next time.
        moments = [_made_up(path) for _, path in group]
    taken = sorted(
        (Picture(path=path, at_s=moment or 0.0) for (_, path), moment in zip(group, moments, strict=True)),
        key=lambda picture: (picture.at_s, picture.path),
    )
    entry = replace(group[0][0], sha256=None)
    for start in range(0, len(taken), CAPTURE_IMAGES):
        yield Footage(entry=entry, channel=channel, pictures=tuple(taken[start : start + CAPTURE_IMAGES]))


def _number(path: Path) -> float | None:
    digits = re.search(r"\d+$", path.stem)
    return float(int(digits.group()) % _LONGEST_S) if digits else None


def _made_up(path: Path) -> float:
    digest = hashlib.sha256(path.name.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (_LONGEST_S * 1000) / 1000
