"""The httpx client that asks Helix, bounded in every way."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from twitchcat.config import TwitchSettings
from twitchcat.errors import ConfigError
from twitchcat.twitch import network

_ANSWER_LIMIT = 4 * 1024**2  # bytes; a hundred streams have some 100 KB


def http_client(settings: TwitchSettings, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return a client for Helix and the token endpoint, with the environment's proxy and certificates.

    Raises ConfigError if the environment names certificates or a proxy that cannot be used.
    """
    timeout_s = settings.timeout.total_seconds()
    urls = (settings.helix_url, settings.auth_url)
    ours = [url for url in urls if network.is_loopback(url)]
    tls = network.tls_context() if any(urlsplit(url).scheme == "https" for url in urls) else None
    try:
        return httpx.Client(
            transport=transport,
            timeout=timeout_s,
            event_hooks={"response": [lambda answer: _bound(answer, timeout_s)]},
            verify=True if tls is None else tls,
            trust_env=len(ours) < len(urls),  # a station needs no proxy, not even one that can be used
            # No transport of its own: not through the proxy that the environment names.
            mounts={f"all://{urlsplit(url).hostname}": None for url in ours},
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # a SOCKS proxy; another scheme; no address
        raise ConfigError(f"the proxy that HTTPS_PROXY or its like name cannot be used: {error}") from error


class _BoundedBody(httpx.SyncByteStream):
    """The body of an answer as it arrives, which httpx bounds neither in time nor in size."""

    def __init__(self, body: httpx.SyncByteStream, request: httpx.Request, timeout_s: float) -> None:
        self._body, self._request = body, request
        self._deadline = time.monotonic() + timeout_s

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in self._body:
            size += len(part)
            if size > _ANSWER_LIMIT:
                raise httpx.RemoteProtocolError("the answer is too long", request=self._request)
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the answer did not end in time", request=self._request)
            yield part

    def close(self) -> None:
        self._body.close()


def _bound(answer: httpx.Response, timeout_s: float) -> None:
    if isinstance(answer.stream, httpx.SyncByteStream):
        answer.stream = _BoundedBody(answer.stream, answer.request, timeout_s)
