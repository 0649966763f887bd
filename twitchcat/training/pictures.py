"""The pictures of a snapshot, decoded once to the input size of a network and kept on disk."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twitchcat.dataset.snapshot import SnapshotFrame
from twitchcat.errors import SegmentUnreadable, StoreError
from twitchcat.frames.picture import decode_image
from twitchcat.recognition.fit import fit_picture
from twitchcat.training.network import Fit

Progress = Callable[[int, int], None]  #: done, of how many


def load_pictures(
    frames: Sequence[SnapshotFrame],
    images: Path,
    cache: Path,
    *,
    height: int,
    width: int,
    fit: Fit,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Give the pictures of `frames`, in their order: (N, height, width, 3) uint8 RGB, mapped from a file.

    `images` is the folder the frames' paths are relative to; the decoded pictures are kept under `cache`, by
    content, so that the next run over the same frames starts at once. Delete it at any time.
    Raises StoreError if an image is missing or broken.
    """
    key = hashlib.sha256(f"{height} {width} {fit}\n".encode())
    for frame in frames:
        key.update(bytes.fromhex(frame.sha256))
    file = cache / f"{key.hexdigest()[:32]}.npy"
    shape = (len(frames), height, width, 3)
    if file.is_file():
        found = np.load(file, mmap_mode="c")
        if found.shape == shape and found.dtype == np.uint8:
            return np.asarray(found)
    cache.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=cache, prefix=".", suffix=".npy")
    os.close(descriptor)
    pending = Path(name)
    try:
        pictures = np.lib.format.open_memmap(pending, mode="w+", dtype=np.uint8, shape=shape)
        with ThreadPoolExecutor(os.cpu_count()) as pool:

            def decode(frame: SnapshotFrame) -> NDArray[np.uint8]:
                return read_fitted(images / frame.path, height=height, width=width, fit=fit)

            for done, picture in enumerate(pool.map(decode, frames), start=1):
                pictures[done - 1] = picture
                if progress is not None:
                    progress(done, len(frames))
        pictures.flush()
        pending.replace(file)
    finally:
        pending.unlink(missing_ok=True)
    return np.asarray(np.load(file, mmap_mode="c"))


def read_fitted(path: Path, *, height: int, width: int, fit: Fit) -> NDArray[np.uint8]:
    """Read a stored image at the input size of a network: (height, width, 3) uint8 RGB. Raises StoreError."""
    try:
        return fit_picture(decode_image(path.read_bytes()), height=height, width=width, fit=fit)
    except (OSError, SegmentUnreadable) as error:
        raise StoreError(
            f"the image {path} cannot be read ({error}): twitchcat dataset sync --deep finds and removes such"
            " frames; then run twitchcat train again"
        ) from error
