"""The connections that all streams share, and how long an answer may take on one of them.

requests and urllib3 bound the wait for each piece of an answer: a server that sends a byte now and then holds
its reader for ever. Here the timeout is for the answer as a whole, headers and body.
"""

import http.client
import io
import socket
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

_POOLS = 64  # hosts with connections kept open: Twitch spreads playlists and segments over many


class _UntilDeadline(io.RawIOBase):
    """Reads a socket until its timeout, counted from now on, has passed. Raises TimeoutError then."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._timeout_s = sock.gettimeout()
        self._deadline = time.monotonic() + (self._timeout_s or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        if self._timeout_s is None:
            return self._raw.readinto(buffer)
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(self._timeout_s)  # the next request over this connection is sent with it

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reading:
    """What http.client wants of a socket when it reads an answer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_UntilDeadline(self._sock))


class _TimedResponse(http.client.HTTPResponse):
    """An answer that is read within the timeout of its socket."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Reading(sock), *args, **kwargs)  # type: ignore[arg-type]  # it wants no more of it


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedTLSConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedTLSConnection


_TIMED = {"http": _Pool, "https": _TLSPool}


class TimedAdapter(HTTPAdapter):
    """Sends over connections on which a whole answer has the time that requests gives to each read."""

    def __init__(self, *, connections: int) -> None:
        """`connections` to one host are kept open."""
        super().__init__(pool_connections=_POOLS, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _TIMED

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools of connections through `proxy`; a SOCKS proxy keeps its own, without deadline."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = _TIMED
        return manager


class RewritingAdapter(TimedAdapter):
    """Sends every request to one base URL instead; the answer looks as if it came from the original.

    Path, query and the Host header stay the original's, so that a station can tell the hosts apart. The
    answer bears the original address: streamlink completes relative addresses with it and compares schemes.
    """

    def __init__(self, base: str, *, connections: int) -> None:
        super().__init__(connections=connections)
        self._base = urlsplit(base.rstrip("/"))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a copy of the request to the base URL."""
        original = urlsplit(str(request.url))
        sent = request.copy()
        sent.headers["Host"] = original.netloc
        sent.url = urlunsplit(
            (self._base.scheme, self._base.netloc, self._base.path + original.path, original.query, "")
        )
        response = super().send(sent, *args, **kwargs)
        response.url = str(request.url)
        response.request = request
        return response


def shared_adapter(rewrite: str | None, *, connections: int) -> HTTPAdapter:
    """Return the adapter whose connections all sessions share, rewriting to `rewrite` if given.

    `connections` to one host are kept open: a station is one host, for all streams.
    """
    if rewrite:
        return RewritingAdapter(rewrite, connections=connections)
    return TimedAdapter(connections=connections)
