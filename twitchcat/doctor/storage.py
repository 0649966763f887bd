"""The data directory and the disk under it."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from twitchcat.doctor.finding import Finding, failure, ok, warning
from twitchcat.errors import DiskFull, StoreError

_GB = 10**9
SCARCE_BYTES = 5 * _GB  #: free, below this a warning: at 360p some 100 000 frames
FULL_BYTES = _GB // 2  #: free, below this a failure: Postgres itself needs some to go on
SCARCE_INODES = 100_000  #: free; every frame is a file
FULL_INODES = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What a file system has left for an ordinary user."""

    bytes_free: int
    bytes_total: int
    inodes_free: int | None  #: None: the file system makes them as it needs them


def examine_storage(data_dir: Path) -> list[Finding]:
    """Say whether the data directory can be written, and what the disk has left."""
    data_dir = data_dir.expanduser().absolute()
    space = _space(_existing(data_dir))
    # A file system of no size, as /proc, holds no files of ours: the directory says so.
    return [directory_finding(data_dir), *([space_finding(space, data_dir)] if space.bytes_total else [])]


def directory_finding(data_dir: Path) -> Finding:
    """Say whether the data directory can be written, or made; leaves nothing behind."""
    data_dir = data_dir.expanduser().absolute()
    existing = _existing(data_dir)
    name, advice = "data directory", "Set data_dir to a folder that you can write, or change its owner."
    if not existing.is_dir():
        return failure(name, f"{existing} is no folder", advice, StoreError())
    try:
        # Tried, as to ask who may write is not enough: root may all, and yet nothing can be made in /proc.
        with tempfile.TemporaryFile(dir=existing, prefix=".doctor-") as probe:
            probe.write(b"twitchcat")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        if existing == data_dir:
            said = f"{data_dir} cannot be written: {error.strerror}"
        else:
            said = f"{data_dir} cannot be used: nothing can be written in {existing}: {error.strerror}"
        return failure(name, said, advice, StoreError())
    return ok(name, f"{data_dir}, {'writable' if existing == data_dir else 'made when it is first needed'}")


def _existing(path: Path) -> Path:
    """The path, or the nearest above it that is there and can be looked at."""
    return next(one for one in (path, *path.parents) if _is_there(one))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # a folder above it is shut
        return False


def _space(path: Path) -> Space:
    found = os.statvfs(path)
    return Space(
        bytes_free=found.f_bavail * found.f_frsize,
        bytes_total=found.f_blocks * found.f_frsize,
        inodes_free=found.f_favail if found.f_files else None,
    )


def space_finding(space: Space, data_dir: Path) -> Finding:
    """Judge what is left. Collecting stops with DiskFull when nothing is."""
    said = f"{_amount(space.bytes_free)} of {_amount(space.bytes_total)} free"
    inodes = SCARCE_INODES if space.inodes_free is None else space.inodes_free
    if inodes < SCARCE_INODES:
        said += f", and room for {inodes} files"
    advice = (
        f"Make room on the disk of {data_dir}: let frames expire with retention.max_age and"
        " `twitchcat dataset sync`, remove some with `twitchcat dataset remove`, or set data_dir to a larger"
        " disk."
    )
    if space.bytes_free < FULL_BYTES or inodes < FULL_INODES:
        return failure("disk", said, advice, DiskFull())
    if space.bytes_free < SCARCE_BYTES or inodes < SCARCE_INODES:
        return warning("disk", said, advice)
    return ok("disk", said)


def _amount(count: int) -> str:
    return f"{count / _GB:.1f} GB" if count >= _GB else f"{count // 10**6} MB"
