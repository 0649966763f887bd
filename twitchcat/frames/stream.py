"""Keyframes of the segments of one stream, fetched with what its earlier ones taught."""

from collections.abc import Callable
from dataclasses import dataclass

from twitchcat.errors import SegmentUnreadable
from twitchcat.frames.keyframe import Keyframe, RangeSizes, fetch_keyframe
from twitchcat.frames.segment import Chunk

#: Reads bytes [start, stop) of an address.
Read = Callable[[str, int, int], Chunk]

# An initialisation section holds codec parameters: a kilobyte, or two.
_INIT_BYTES = 65_536


class StreamKeyframes:
    """Fetches keyframes of one stream in one variant. For one thread at a time."""

    def __init__(self, read: Read, *, first_range: int) -> None:
        """`first_range` bytes are asked for of the first segment, before anything is known of the stream."""
        self._read = read
        self._sizes = RangeSizes(first_range)
        self._init: tuple[str, tuple[int, int] | None, bytes] | None = None

    def fetch(
        self,
        uri: str,
        *,
        span: tuple[int, int] | None = None,
        init_uri: str | None = None,
        init_span: tuple[int, int] | None = None,
        before_read: Callable[[], None] = lambda: None,
    ) -> Keyframe:
        """The first keyframe of a segment.

        `span` are the bytes [start, stop) of the address that are the segment; None: all of it. `init_uri`
        and `init_span` name its initialisation section (RFC 8216, 4.3.2.5), which is fetched once.
        `before_read` is called before each read: what it raises ends the fetch.
        Raises SegmentUnreadable, and what reading raises.
        """

        def read(uri: str, start: int, stop: int) -> Chunk:
            before_read()
            return self._read(uri, start, stop)

        init = self._initialisation(read, init_uri, init_span) if init_uri else b""
        source = _Bytes(read, uri, span)
        return fetch_keyframe(source, init=init, sizes=self._sizes)

    def _initialisation(self, read: Read, uri: str, span: tuple[int, int] | None) -> bytes:
        if self._init is None or self._init[:2] != (uri, span):
            start, stop = span or (0, _INIT_BYTES)
            data = _Bytes(read, uri, span).read(0, stop - start).data
            if not data:
                raise SegmentUnreadable("the initialisation section is empty")
            self._init = (uri, span, bytes(data))
        return self._init[2]


class _Bytes:
    """A part of an address, read as if it were all of it."""

    def __init__(self, read: Read, uri: str, span: tuple[int, int] | None) -> None:
        self._read = read
        self._uri = uri
        self._span = span

    def read(self, start: int, stop: int) -> Chunk:
        if self._span is None:
            return self._read(self._uri, start, stop)
        first, last = self._span
        chunk = self._read(self._uri, first + start, min(first + stop, last))
        # A server that ignores ranges sends more than was asked for, from its own start.
        skip = first + start - chunk.start
        data = chunk.data[max(skip, 0) : max(skip, 0) + stop - start]
        return _Part(data=data, start=start, total=last - first)


@dataclass(frozen=True, slots=True)
class _Part:
    data: bytes
    start: int
    total: int | None
