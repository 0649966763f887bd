"""The bytes of one media segment, read range by range. Who fetches them is none of this room's business."""

from typing import Protocol


class Chunk(Protocol):
    """What one read returned."""

    @property
    def data(self) -> bytes:
        """The bytes; fewer than asked for at the segment's end, none past it."""

    @property
    def start(self) -> int:
        """Offset in bytes of the first of `data` in the segment."""

    @property
    def total(self) -> int | None:
        """Size of the whole segment in bytes; None: the server did not say."""


class ByteSource(Protocol):
    """One segment that can be read from any offset."""

    def read(self, start: int, stop: int) -> Chunk:
        """Return the bytes from `start` up to, not including, `stop`.

        A source that knows no ranges returns the whole segment, with `start` 0. A read that begins at or past
        the end (HTTP's 416) returns no bytes. Raises what its own room raises when nothing can be fetched.
        """
