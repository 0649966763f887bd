"""Answers that a well-behaved server would not give: bytes that trickle in, or stop half-way."""

import asyncio
import re
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

#: Chunks that a trickling answer is cut into.
_CHUNKS = 20


class PacedResponse(Response):
    """Bytes over a span of time; with `stop_after` the rest of them never comes.

    Ends early when the client goes away or `closing` is set.
    """

    def __init__(
        self,
        body: bytes,
        *,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        closing: asyncio.Event,
        span_s: float = 0.0,
        stop_after: int | None = None,
    ) -> None:
        super().__init__(body, status, headers, media_type)
        self._closing = closing
        self._span_s = span_s
        self._stop_after = stop_after

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002  as ASGI calls it
        receive: Receive,
        send: Send,
    ) -> None:
        """Send what is to be sent, in its time."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)[: self._stop_after]
        step = max(1, -(-len(body) // (_CHUNKS if self._span_s else 1)))
        for at in range(0, len(body), step):
            await send({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
            if self._span_s and await _gone(receive, self._closing, self._span_s / _CHUNKS):
                return
        if self._stop_after is not None:
            await _gone(receive, self._closing, None)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive, closing: asyncio.Event, within_s: float | None) -> bool:
    """Wait so long, or until the client is gone or the station closes; say whether one of these happened."""

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waits = {asyncio.ensure_future(disconnected()), asyncio.ensure_future(closing.wait())}
    try:
        done, _ = await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def part_of_body(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for (RFC 9110, 14.1.2); None: all, as for a header not understood.

    Raises ValueError where no byte of the body is asked for: that is answered with 416.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None  # not a valid range: the header is ignored
    if start >= stop:
        raise ValueError("no byte of that range")
    return range(start, stop)
