"""The station as an ASGI application: which path leads where, latency, and the log of requests."""

import asyncio
from collections import deque
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twitchcat.station.context import Context
from twitchcat.station.control import Control
from twitchcat.station.helix import Helix
from twitchcat.station.oauth import Tokens
from twitchcat.station.requests import Asked
from twitchcat.station.streams import Streams

#: What a request is called in the log, by the beginning of its path.
_KINDS = {
    "/v1/segment/": "segment",
    "/v1/playlist/": "playlist",
    "/gql": "gql",
    "/api/v2/channel/hls/": "master",
    "/helix/": "helix",
    "/oauth2/": "oauth",
    "/station/": "station",
}


def routes(context: Context, tokens: Tokens) -> ASGIApp:
    """Every path that the station answers, the most asked for first. The Host header makes no difference."""
    streams, helix, control = Streams(context), Helix(context, tokens), Control(context.lineup, tokens)
    return Starlette(
        routes=[
            Route("/v1/segment/{token}.{container}", streams.segment),
            Route("/v1/playlist/{token}.m3u8", streams.playlist),
            Route("/api/v2/channel/hls/{login}.m3u8", streams.usher),
            Route("/gql", streams.gql, methods=["POST"]),
            Route("/helix/{call:path}", helix.call),
            Route("/oauth2/token", tokens.token, methods=["POST"]),
            Route("/oauth2/validate", tokens.validate),
            Route("/station/channels", control.channels),
            Route("/station/channels/{login}", control.switch, methods=["PUT"]),
            Route("/station/tokens", control.expire_tokens, methods=["DELETE"]),
        ]
    )


class Logged:
    """Waits the latency before each request, and writes it down when it is over."""

    def __init__(self, app: ASGIApp, context: Context, log: deque[Asked]) -> None:
        self._app = app
        self._context = context
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        at_s = self._context.options.clock()
        status = served = 0
        start: Message | None = None
        logged = False

        def log() -> None:
            nonlocal logged
            if not logged:
                logged = True
                self._log.append(_asked(scope, at_s=at_s, status=status, served=served))

        async def count(message: Message) -> None:
            nonlocal start, status, served
            if message["type"] == "http.response.start":
                # Sent with the first bytes of the body: where there are none, it ends the answer.
                start, status = message, message["status"]
                return
            served += len(message.get("body", b""))
            if not message.get("more_body", False):
                log()  # before the client has all of it, so that it finds its request written down
            if start is not None:
                await send(start)
                start = None
            await send(message)

        if self._context.options.latency_s:
            await asyncio.sleep(self._context.options.latency_s)
        try:
            await self._app(scope, receive, count)
        finally:
            log()


def _asked(scope: Scope, *, at_s: float, status: int, served: int) -> Asked:
    headers = dict(scope["headers"])
    path = scope["path"]
    facts: dict[str, Any] = {
        "kind": next((kind for start, kind in _KINDS.items() if path.startswith(start)), "unknown"),
        "login": None,
        **scope.get("station", {}),
    }
    wanted = headers.get(b"range")
    return Asked(
        at_s=at_s,
        method=scope["method"],
        host=headers.get(b"host", b"").decode("latin-1"),
        path=path,
        query=scope["query_string"].decode("latin-1"),
        range=None if wanted is None else wanted.decode("latin-1"),
        status=status,
        served=served,
        **facts,
    )
