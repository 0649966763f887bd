"""A streamlink session as this program needs it, and bounded reads over it.

Sessions hold state that must not be shared (headers, cookies, options), so every stream has its own: without
streamlink's hundred plugins, building one costs 20 µs and 10 KB (with them 3 ms and 170 KB). Connections are
what is dear, TLS above all, and urllib3's pools are made for threads: they sit in one adapter that all
sessions share.
"""

import io
import logging
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from streamlink import Streamlink

from twitchcat.config import TwitchSettings
from twitchcat.errors import NetworkError
from twitchcat.twitch import network
from twitchcat.twitch.pace import Transient, backing_off, pause

log = logging.getLogger(__name__)

# Its warnings quote addresses whole, access tokens included; one says that a pool of connections is full,
# which only costs a new connection the next time.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_READ_BYTES = 65_536
_PLUGIN_LIMIT = 4 * 1024**2  # bytes of an answer that streamlink's plugin asks for; most have some KB
_ATTEMPTS = 3  # of one read
_QUERY = re.compile(r"(?<=\S)\?[^\s?]*=\S*")
_OBJECT = re.compile(r"<urllib3[^>]*>:?\s*|HTTPS?Connection(Pool)?\([^)]*\):\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The status, headers and whole body of one answer."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class TooLarge(Exception):
    """The body is longer than allowed."""


class Incomplete(Exception):
    """The body ended early, every time."""


class _ServerError(Transient):
    """The server answered 5xx."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class StreamSession:
    """One streamlink session: `streamlink` for its plugin, `fetch` for everything else.

    For one thread at a time. `adapter` is shared and stays open.
    """

    def __init__(self, settings: TwitchSettings, adapter: HTTPAdapter, stop: threading.Event) -> None:
        self._counting = threading.Lock()
        self._fetched = self._taken = 0
        self._timeout_s = settings.timeout.total_seconds()
        self._stop = stop
        options: dict[str, Any] = {
            "webbrowser": False,  # a server has none; it would be started for an integrity token
            "http-timeout": self._timeout_s,
            "http-trust-env": settings.rewrite is None,  # a station is on this machine: no proxy
        }
        if (bundle := network.ca_bundle()) and settings.rewrite is None:
            options["http-ssl-verify"] = bundle
        self.streamlink = Streamlink(options, plugins_builtin=False)
        self._http = self.streamlink.http
        for scheme in ("https://", "http://"):
            # Not streamlink's own mount: it would take the socket options away from connections in use.
            requests.Session.mount(self._http, scheme, adapter)
        self._http.max_redirects = 3  # each may take its time
        self._http.hooks["response"].append(self._take_in)

    @property
    def bytes_fetched(self) -> int:
        """Body bytes that came over the wire so far."""
        return self._fetched

    def take_bytes(self) -> int:
        """Return the body bytes that came since the last call, from any thread; each byte only once."""
        with self._counting:
            came, self._taken = self._fetched - self._taken, self._fetched
            return came

    def _count(self, length: int) -> None:
        with self._counting:
            self._fetched += length

    def fetch(self, url: str, *, limit: int, byte_range: tuple[int, int] | None = None) -> Answer:
        """GET `url`, or its bytes [start, stop). Every status is an answer.

        A dead connection, 5xx and a body that ends early are tried again, three times in all; the whole of
        one try has `twitch.timeout`. Raises NetworkError, TooLarge beyond `limit` bytes, Incomplete.
        """
        headers = {}
        if byte_range is not None:
            start, stop = byte_range
            # Compressed ranges would be ranges of something else.
            headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        tries = backing_off(_ATTEMPTS, longest_s=2, pause=pause, stop=self._stop)
        try:
            answer: Answer = tries(self._once, url, headers, limit)
        except _ServerError as error:
            return error.answer
        except Transient as error:
            if isinstance(error.__cause__, Incomplete):
                raise error.__cause__ from None
            raise NetworkError(str(error)) from error.__cause__
        return answer

    def _once(self, url: str, headers: dict[str, str], limit: int) -> Answer:
        host = urlsplit(url).hostname or "an address without a host"
        deadline = time.monotonic() + self._timeout_s
        try:
            response: requests.Response = self._http.get(
                url, headers=headers, stream=True, raise_for_status=False, exception=OSError
            )
        except OSError as error:
            raise _unreachable(host, error) from error
        try:
            if response.status_code >= 500:
                raise _ServerError(
                    Answer(url=response.url, status=response.status_code, headers={}, body=b"")
                )
            body = self._body(response, limit, deadline)
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
            raise NetworkError(f"{host} did not finish its answer in {self._timeout_s:g} s") from error
        except (urllib3.exceptions.IncompleteRead, urllib3.exceptions.ProtocolError) as error:
            raise Transient(f"{host} broke off its answer") from Incomplete(str(error))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Transient(f"{host} could not be read: {brief(error)}") from error
        finally:
            self._count(response.raw.tell())
            response.close()
        return Answer(url=response.url, status=response.status_code, headers=response.headers, body=body)

    def _body(self, response: requests.Response, limit: int, deadline: float) -> bytes:
        # One read of the socket at a time, where iter_content would wait until a chunk is full: a server that
        # trickles cannot hold us longer than the deadline.
        parts = bytearray()
        if (response.raw.length_remaining or 0) > limit:  # Content-Length, if it makes sense
            raise TooLarge
        while part := response.raw.read1(_READ_BYTES, decode_content=True):
            parts += part
            if len(parts) > limit:
                raise TooLarge
            if time.monotonic() > deadline:
                raise TimeoutError
        return bytes(parts)

    def _take_in(self, response: requests.Response, *_: Any, **request: Any) -> None:
        """Read an answer that requests would read by itself: all of streamlink's own, and every redirect.

        Bounded in time and size, which requests does not do. What is raised is what requests would raise.
        """
        if request.get("stream") and not response.is_redirect:
            return  # `fetch` reads it
        try:
            body = self._body(response, _PLUGIN_LIMIT, time.monotonic() + self._timeout_s)
        except TooLarge:
            raise requests.RequestException(
                f"an answer is longer than {_PLUGIN_LIMIT >> 20} MiB", request=response.request
            ) from None
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
            raise requests.ReadTimeout(error, request=response.request) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise requests.ConnectionError(error, request=response.request) from error
        finally:
            self._count(response.raw.tell())
            response.raw.close()
        response.raw = urllib3.HTTPResponse(body=io.BytesIO(body), preload_content=False)


def _unreachable(host: str, error: OSError) -> Exception:
    cause = getattr(error, "err", None)  # streamlink keeps what requests raised there
    if isinstance(cause, requests.Timeout):
        return NetworkError(f"{host} did not answer in time")
    return Transient(f"{host} could not be reached: {brief(cause or error)}")


def brief(error: BaseException) -> str:
    """Say in a few words what went wrong.

    Without the addresses of urllib3's objects, and without what addresses on the web carry: access tokens.
    """
    inner = error.args[0] if error.args else None
    if isinstance(inner, urllib3.exceptions.MaxRetryError) and inner.reason is not None:
        error = inner.reason  # the rest of its text is the address
    return _OBJECT.sub("", without_queries(str(error) or type(error).__name__))


def without_queries(text: str) -> str:
    """Return the text with the query of every address in it cut off: usher's hold signature and token."""
    return _QUERY.sub("?…", text)
