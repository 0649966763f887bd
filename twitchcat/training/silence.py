"""Keeping libraries that talk of their own insides from talking to the user."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence(*loggers: str) -> Iterator[None]:
    """Let neither warnings nor these loggers ("": the root) say anything but errors; for one thread only."""
    found = [logging.getLogger(name) for name in loggers]
    levels = [one.level for one in found]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in found:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(found, levels, strict=True):
                one.setLevel(level)
