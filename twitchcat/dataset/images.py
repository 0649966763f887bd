"""The image store: content-addressed files, each whole or not there at all."""

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from twitchcat.errors import DiskFull, StoreError

_PENDING = ".pending"  # where an image is written before it gets its name
_FOLDER = re.compile(r"[0-9a-f]{2}")
_IMAGE = re.compile(r"[0-9a-f]{64}\.jpg")
_MARK = ".dataset"  # holds the id of the dataset whose images these are


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """One image in the store."""

    path: str  #: relative to the store, with forward slashes
    sha256: str  #: 64 hex digits
    bytes: int


class ImageStore:
    """A folder of images named after the SHA-256 of their bytes.

    Who writes holds the writers' lock of the database until the rows are committed
    (`twitchcat.dataset.locks`), so that nobody takes an image that is about to get its row for an orphan.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, images: Sequence[bytes]) -> list[StoredImage]:
        """Store images durably: when this returns, they survive a power cut.

        Raises DiskFull or StoreError. What is left then is whole, and at worst an image without a row.
        """
        stored = [describe(data) for data in images]
        with self._errors(), ExitStack() as stack:
            pending = self.root / _PENDING
            pending.mkdir(parents=True, exist_ok=True)
            # All are written before the first is forced to disk, and all named before the first folder is: a
            # file system with a journal then commits twice a visit, not twice an image.
            files = [
                (stack.enter_context(_Pending(pending, data)), self.root / image.path)
                for image, data in zip(stored, images, strict=True)
                if not _has_size(self.root / image.path, image.bytes)
            ]
            for file, _ in files:
                file.sync()
            # Folders before names: a full disk has no room for folders either.
            folders = {(self.root / image.path).parent for image in stored}
            for folder in folders:
                folder.mkdir(exist_ok=True)
            for file, final in files:
                file.name_it(final)
            # Of images found in their place too: who put them there may not have come to this.
            for folder in sorted({*folders, self.root, self.root.parent} if stored else ()):
                _sync_folder(folder)
        return stored

    def read(self, path: str) -> bytes:
        """The bytes of an image. Raises StoreError if it is not there."""
        with self._errors():
            return self._inside(path).read_bytes()

    def is_intact(self, path: str, sha256: str) -> bool:
        """Whether an image's bytes are the ones that were stored; one that is gone is not damaged.

        Raises StoreError if it cannot be read.
        """
        with self._errors(), suppress(FileNotFoundError):
            return hashlib.sha256(self._inside(path).read_bytes()).hexdigest() == sha256
        return True

    def dataset(self) -> str | None:
        """The id of the dataset whose images these are; None: of none yet. Raises StoreError."""
        with self._errors(), suppress(FileNotFoundError):
            return (self.root / _MARK).read_text(encoding="ascii").strip()
        return None

    def mark(self, dataset: str) -> None:
        """Note whose images these are. Raises StoreError, DiskFull."""
        with self._errors():
            self.root.mkdir(parents=True, exist_ok=True)
            with _Pending(self.root, f"{dataset}\n".encode()) as file:
                file.sync()
                file.name_it(self.root / _MARK)
            _sync_folder(self.root)

    def remove(self, path: str) -> bool:
        """Remove an image; whether it was there."""
        with self._errors():
            try:
                self._inside(path).unlink()
            except FileNotFoundError:
                return False
        return True

    def folders(self) -> list[str]:
        """The folders of the store, the one of images being written among them; none of anybody else's."""
        with self._errors():
            if not self.root.is_dir():
                return []
            names = (entry.name for entry in self.root.iterdir() if entry.is_dir())
            return sorted(name for name in names if name == _PENDING or _FOLDER.fullmatch(name))

    def files(self, folder: str) -> Iterator[str]:
        """The paths of the images in a folder of the store, and of what a crash left of some.

        What somebody else put there is not among them.
        """
        with self._errors(), suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                ours = folder == _PENDING or (_IMAGE.fullmatch(entry.name) and entry.name.startswith(folder))
                if ours and entry.is_file(follow_symlinks=False):
                    yield f"{folder}/{entry.name}"

    def _inside(self, path: str) -> Path:
        full = self.root / path
        if ".." in full.parts or not full.is_relative_to(self.root):
            raise StoreError(f"image path {path!r} leads out of the image store")
        return full

    def _errors(self) -> "_StoreErrors":
        return _StoreErrors(self.root)


class _StoreErrors:
    """Turns OSError into StoreError, and a full disk into DiskFull."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left for images in {self._root}: free some or set data_dir") from error
        raise StoreError(f"image store {self._root}: {error.strerror or error}") from error


def describe(data: bytes) -> StoredImage:
    """What the store would call an image of these bytes."""
    digest = hashlib.sha256(data).hexdigest()
    return StoredImage(path=f"{digest[:2]}/{digest}.jpg", sha256=digest, bytes=len(data))


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


class _Pending:
    """An image that has no name yet; it is gone if it never gets one."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self._descriptor, name = tempfile.mkstemp(dir=folder)
        self._path = Path(name)
        try:
            with open(self._descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fchmod(self._descriptor, 0o644)
        except OSError:
            self.__exit__()
            raise

    def __enter__(self) -> "_Pending":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)

    def sync(self) -> None:
        """Force its bytes to disk."""
        os.fsync(self._descriptor)

    def name_it(self, final: Path) -> None:
        """Give it its name, replacing what has it."""
        self._path.replace(final)


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is on disk too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
