"""What a training run needs to go on after a crash: one file, whole or not there at all."""

import os
import tempfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from twitchcat.errors import ConfigError

_VERSION = 1


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; a crash at any moment leaves the old file or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    pending = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            torch.save({"version": _VERSION} | content, file)
            file.flush()
            os.fsync(file.fileno())
        pending.replace(path)
    finally:
        pending.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, tensors on the CPU. Raises ConfigError if it is none of ours."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no checkpoint to resume from") from None
    except (OSError, RuntimeError, EOFError, UnpicklingError, ValueError) as error:
        raise ConfigError(f"{path}: is no checkpoint, or a damaged one") from error
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise ConfigError(f"{path}: is a checkpoint of another version of twitchcat")
    return content
