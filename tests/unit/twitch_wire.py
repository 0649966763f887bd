"""Twitch as `LiveStreams` meets it, answering inside the process; and playlists as Twitch writes them."""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

START = datetime(2026, 11, 8, 4, 55, 14, 423000, tzinfo=UTC)
PLAYLIST_URI = "https://abc.playlist.ttvnw.net/v1/playlist/360.m3u8"
SEGMENT_HOST = "https://video-edge.ttvnw.net/v1/segment"


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def media_playlist(
    kinds: str = "......",
    *,
    first: int = 100,
    start: datetime = START,
    head: Iterable[str] = (),
    tail: str = "",
) -> str:
    """A playlist with one 2 s segment per letter: "." content, "A" ad, "P" prefetch."""
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        "#EXT-X-TARGETDURATION:6",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
        *head,
    ]
    before = "."
    for n, kind in enumerate(kinds):
        at = start + timedelta(seconds=2 * n)
        if kind == "P":
            lines.append(f"#EXT-X-TWITCH-PREFETCH:{SEGMENT_HOST}/{first + n}.ts")
            continue
        if kind != before:
            lines.append("#EXT-X-DISCONTINUITY")
        if kind == "A" and before != "A":
            length = 2 * (len(kinds[n:]) - len(kinds[n:].lstrip("A")))
            lines.append(ad_range(at, length))
        before = kind
        title = "live" if kind == "." else "Amazon|123"
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{stamp(at)}",
            f"#EXTINF:2.000,{title}",
            f"{SEGMENT_HOST}/{first + n}.ts",
        ]
    return "\n".join([*lines, tail]) + "\n"


def ad_range(at: datetime, seconds: float) -> str:
    return (
        f'#EXT-X-DATERANGE:ID="stitched-ad-{at.timestamp():.0f}",CLASS="twitch-stitched-ad",'
        f'START-DATE="{stamp(at)}",DURATION={seconds:.3f},X-TV-TWITCH-AD-ROLL-TYPE="MIDROLL"'
    )


def master_playlist(names: Iterable[str] = ("1080p60", "360p30", "160p30", "audio_only")) -> str:
    lines = ["#EXTM3U"]
    for name in names:
        height = name.split("p", maxsplit=1)[0]
        size = f"RESOLUTION=640x{height},FRAME-RATE=30.000," if height.isdigit() else ""
        lines.append(f'#EXT-X-STREAM-INF:BANDWIDTH=630000,{size}CODECS="avc1",STABLE-VARIANT-ID="{name}"')
        lines.append(f"https://abc.playlist.ttvnw.net/v1/playlist/{height}.m3u8")
    return "\n".join(lines) + "\n"


def token(restricted: Iterable[str] = ()) -> dict[str, Any]:
    value = json.dumps({"chansub": {"restricted_bitrates": list(restricted)}})
    return {"data": {"streamPlaybackAccessToken": {"value": value, "signature": "beef"}}}


NO_TOKEN = {"data": {"streamPlaybackAccessToken": None}}
INTEGRITY = {"errors": [{"message": "failed integrity check"}]}


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Answering = Callable[[requests.PreparedRequest], Reply | Exception]


class FakeTwitch(HTTPAdapter):
    """Answers per host; an exception is raised as the network would. Every request is kept."""

    def __init__(self, **replies: Reply | Exception | list[Reply | Exception] | Answering) -> None:
        super().__init__()
        self.replies: dict[str, Any] = {
            "gql": Reply(body=token()),
            "usher": Reply(body=master_playlist()),
            "playlist": Reply(body=media_playlist()),
            "segment": Reply(body=b"segment"),
            **replies,
        }
        self.requests: list[requests.PreparedRequest] = []

    @property
    def asked(self) -> list[str]:
        """Which of Twitch's hosts were asked, in order."""
        return [self._host(request) for request in self.requests]

    @staticmethod
    def _host(request: requests.PreparedRequest) -> str:
        host = str(urlsplit(str(request.url)).hostname)
        names = {"gql.twitch.tv": "gql", "usher.ttvnw.net": "usher", "abc.playlist.ttvnw.net": "playlist"}
        return names.get(host, "segment")

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.requests.append(request)
        reply = self.replies[self._host(request)]
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, Exception):
            raise reply
        return self.build_response(
            request,
            HTTPResponse(
                body=io.BytesIO(reply.content()),
                status=reply.status,
                headers=reply.headers,
                preload_content=False,
            ),
        )
