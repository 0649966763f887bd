"""Bounded reads against servers that misbehave on the wire, and the way out through a proxy."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from twitchcat.config import Settings, TwitchSettings
from twitchcat.errors import NetworkError
from twitchcat.twitch.connections import shared_adapter
from twitchcat.twitch.helix import HelixClient
from twitchcat.twitch.live import LiveStreams
from twitchcat.twitch.session import Answer, Incomplete, StreamSession, TooLarge

MB = 1 << 20


class Wire:
    """Answers each connection with the next of `replies`, byte for byte, and closes it."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Wire":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # ends accept
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with closing(connection):
                self.heard.append(connection.recv(65_536))
                try:
                    self._answer(connection)
                except OSError:
                    continue  # it had heard enough

    def _answer(self, connection: socket.socket) -> None:
        connection.sendall(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


@contextmanager
def session() -> Iterator[StreamSession]:
    adapter = shared_adapter(None, connections=1)
    yield StreamSession(TwitchSettings(), adapter, threading.Event())
    adapter.close()


def fetch(*replies: bytes, limit: int = MB) -> tuple[Answer, int]:
    """The answer, and how often was asked."""
    with Wire(*replies) as wire, session() as streamlink:
        return streamlink.fetch(f"{wire.url}/x", limit=limit), len(wire.heard)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    answer, _ = fetch(reply(b"abc"))
    assert (answer.status, answer.body) == (200, b"abc")


def test_a_chunked_body_is_put_together() -> None:
    answer, _ = fetch(reply(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"))
    assert answer.body == b"abc"


def test_a_compressed_body_is_unpacked_and_counted_as_it_came() -> None:
    packed = gzip.compress(b"#EXTM3U\n" * 10_000)
    with (
        Wire(reply(packed, "Content-Encoding: gzip", f"Content-Length: {len(packed)}")) as wire,
        session() as one,
    ):
        assert one.fetch(wire.url, limit=MB).body == b"#EXTM3U\n" * 10_000
        assert one.bytes_fetched == len(packed)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(reply(b"abc", "Content-Length: 1000"), id="ends early"),
        pytest.param(reply(b"ff\r\nabc", "Transfer-Encoding: chunked"), id="ends in a chunk"),
    ],
)
def test_a_body_that_breaks_off_is_asked_for_three_times(bad: bytes) -> None:
    answer, asked = fetch(bad, bad, reply(b"whole"))
    assert (answer.body, asked) == (b"whole", 3)
    with pytest.raises(Incomplete):
        fetch(bad)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"", id="hangs up"),
        pytest.param(b"NOT HTTP AT ALL\r\n\r\n", id="speaks something else"),
        pytest.param(reply(b"not gzip", "Content-Encoding: gzip"), id="packed wrongly"),
    ],
)
def test_a_server_that_makes_no_sense_is_a_network_error(bad: bytes) -> None:
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 could not be"):
        fetch(bad)


@pytest.mark.parametrize(
    "long",
    [
        pytest.param(reply(b"", f"Content-Length: {2 * MB}"), id="says so"),
        pytest.param(reply(bytes(2 * MB)), id="goes on and on"),
        pytest.param(
            reply(gzip.compress(bytes(2 * MB)), "Content-Encoding: gzip"), id="unpacks to more than it is"
        ),
    ],
)
def test_a_body_beyond_the_limit_is_refused(long: bytes) -> None:
    with pytest.raises(TooLarge):
        fetch(long)


def test_a_length_that_is_none_is_no_trouble() -> None:
    answer, _ = fetch(reply(b"abc", "Content-Length: many"))
    assert answer.body == b"abc"


def test_a_server_in_trouble_answers_with_its_status_after_three_tries() -> None:
    answer, asked = fetch(reply(b"busy", status="503 Busy"))
    assert (answer.status, answer.body, asked) == (503, b"", 3)


class Trickle(Wire):
    """Sends `head`, then a byte of `letter` every few milliseconds for as long as it is listened to."""

    def __init__(self, head: bytes, letter: bytes) -> None:
        super().__init__(head)
        self._letter = letter
        self.released = threading.Event()

    def __exit__(self, *_: object) -> None:
        self.released.set()
        super().__exit__()

    def _answer(self, connection: socket.socket) -> None:
        super()._answer(connection)
        while not self.released.wait(0.02):
            connection.sendall(self._letter)


BODY = reply(b"", "Content-Type: application/json", "Content-Length: 9999")
HEADERS = b"HTTP/1.1 200 OK\r\nX-Endless: "
REDIRECT = reply(b"", "Location: /elsewhere", "Content-Length: 9999", status="302 Found")


def settings_to(wire: Wire, timeout: str) -> Settings:
    """Settings that lead to the server, whatever is asked for."""
    return Settings.model_validate(
        {
            "twitch": {
                "client_id": "x",
                "client_secret": "y",
                "timeout": timeout,
                "rewrite": wire.url,
                "helix_url": wire.url,
                "auth_url": wire.url,
            }
        }
    )


def resolve_at(wire: Wire, timeout: str) -> None:
    with LiveStreams(settings_to(wire, timeout)) as streams:
        streams.open("somebody")


def read_from(wire: Wire, timeout: str) -> None:
    with closing(shared_adapter(None, connections=1)) as adapter:
        session = StreamSession(settings_to(wire, timeout).twitch, adapter, threading.Event())
        session.fetch(f"{wire.url}/x", limit=MB)


def list_at(wire: Wire, timeout: str) -> None:
    with HelixClient(settings_to(wire, timeout).twitch, sleep=lambda *_: None) as helix:
        helix.top_categories(1)


@pytest.mark.parametrize(
    ("ask", "head", "letter"),
    [
        pytest.param(resolve_at, BODY, b" ", id="a token's body"),
        pytest.param(resolve_at, HEADERS, b"x", id="a token's headers"),
        pytest.param(resolve_at, REDIRECT, b" ", id="a token's redirect"),
        pytest.param(read_from, HEADERS, b"x", id="a segment's headers"),
        pytest.param(read_from, REDIRECT, b" ", id="a segment's redirect"),
        pytest.param(list_at, BODY, b" ", id="Helix's body"),
    ],
)
def test_a_server_that_trickles_holds_nobody_beyond_the_timeout(
    ask: Callable[[Wire, str], None], head: bytes, letter: bytes
) -> None:
    with Trickle(head, letter) as wire:
        started = time.monotonic()
        with pytest.raises(NetworkError):
            ask(wire, "200ms")  # longer than its pauses, shorter than its answer
        assert time.monotonic() - started < 4


@pytest.mark.parametrize("ask", [resolve_at, list_at], ids=["streams", "Helix"])
def test_an_endless_answer_is_given_up(ask: Callable[[Wire, str], None]) -> None:
    with Trickle(reply(b""), bytes(5 * MB)) as wire, pytest.raises(NetworkError, match="long"):
        ask(wire, "10s")


def ask_helix() -> None:
    settings = TwitchSettings.model_validate({"client_id": "x", "client_secret": "y"})
    with HelixClient(settings, sleep=lambda *_: None) as helix:
        helix.top_categories(1)


def open_a_stream() -> None:
    with LiveStreams(Settings()) as streams:
        streams.open("somebody")


@pytest.mark.parametrize(
    ("ask", "host"),
    [(ask_helix, b"id.twitch.tv"), (open_a_stream, b"gql.twitch.tv")],
    ids=["Helix", "streams"],
)
def test_twitch_is_reached_through_the_proxy_of_the_environment(
    ask: Callable[[], None], host: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire(reply(b"", status="403 Forbidden")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(NetworkError):
            ask()
    assert proxy.heard[0].startswith(b"CONNECT " + host + b":443")


def test_the_certificates_of_the_environment_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    with session() as one:
        assert one.streamlink.http.verify == str(tmp_path / "own.pem")
