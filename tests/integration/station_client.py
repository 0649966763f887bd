"""What the tests of the station use to look at it: streamlink led to it, and Helix with a token."""

import io
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import requests
from numpy.typing import NDArray
from requests.adapters import HTTPAdapter
from streamlink import Streamlink
from streamlink.plugins.twitch import TwitchHLSStream
from streamlink.stream.hls import parse_m3u8

from twitchcat.station.cards import AD_RGB
from twitchcat.station.folder import PACKAGED_CLIPS
from twitchcat.station.media import Container, index, remux
from twitchcat.station.server import Station

LOGIN = "supertux_s2"


class LoopbackAdapter(HTTPAdapter):
    """Sends every request to the station, under its own Host, and hides that from the client."""

    def __init__(self, station_url: str) -> None:
        self._station_url = station_url
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        asked = urlsplit(str(request.url))
        sent = request.copy()
        sent.url = self._station_url + asked.path + (f"?{asked.query}" if asked.query else "")
        sent.headers["Host"] = asked.netloc
        response = super().send(sent, *args, **kwargs)
        response.url, response.request = str(request.url), request
        return response


def plugin_session(station: Station) -> Streamlink:
    """A streamlink whose every request goes to the station."""
    session = Streamlink({"webbrowser": False})
    for scheme in ("https://", "http://"):
        session.http.mount(scheme, LoopbackAdapter(station.url))
    return session


def app_token_form(station: Station) -> dict[str, str]:
    """What asks for an app token."""
    secrets = station.settings()["twitch"]
    return {
        "client_id": secrets["client_id"],
        "client_secret": secrets["client_secret"],
        "grant_type": "client_credentials",
    }


def helix_client(station: Station) -> httpx.Client:
    """A client of the station's Helix, with an app token."""
    secrets = station.settings()["twitch"]
    answer = httpx.post(f"{secrets['auth_url']}/token", data=app_token_form(station)).raise_for_status()
    headers = {
        "Authorization": f"Bearer {answer.json()['access_token']}",
        "Client-Id": secrets["client_id"],
    }
    return httpx.Client(base_url=secrets["helix_url"], headers=headers)


def streams_of(session: Streamlink, login: str = LOGIN) -> dict[str, TwitchHLSStream]:
    streams: dict[str, TwitchHLSStream] = session.streams(f"https://www.twitch.tv/{login}")
    return streams


def playlist_of(session: Streamlink, stream: TwitchHLSStream) -> Any:
    answer = session.http.get(stream.url)
    answer.encoding = "utf-8"  # as RFC 8216 has it; the type names none
    return parse_m3u8(answer, parser=TwitchHLSStream.__parser__)


def content(playlist: Any) -> list[Any]:
    return [segment for segment in playlist.segments if not segment.prefetch]


def picture(data: bytes) -> NDArray[np.uint8]:
    """The first picture, (H, W, 3) RGB."""
    with av.open(io.BytesIO(data), "r") as container:
        return pixels(next(container.decode(video=0)))


def pixels(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """A decoded frame as (H, W, 3) RGB."""
    rgb: NDArray[np.uint8] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return rgb


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


def is_ad_card(rgb: NDArray[np.uint8]) -> bool:
    return difference(rgb[:20], np.broadcast_to(np.array(AD_RGB, np.uint8), rgb[:20].shape)) < 12


def first_pts_s(data: bytes) -> float:
    with av.open(io.BytesIO(data), "r") as container:
        return float(next(container.decode(video=0)).time or 0)


def raw_get(station: Station, url: str, **headers: str) -> httpx.Response:
    asked = urlsplit(url)
    return httpx.get(f"{station.url}{asked.path}", headers={"Host": asked.netloc, **headers})


def keyframe_bytes(login: str, number: int) -> int:
    """The bytes of a segment's keyframe, from the clip itself."""
    path = PACKAGED_CLIPS / "SuperTux" / f"{login}.mp4"
    video = index(path)
    from twitchcat.station.folder import number_for
    from twitchcat.station.timeline import Loop

    slot = Loop.of(video.spans_s, number_for(f"phase {login}")).slot(number)
    return remux(path, video.bounds(slot.index), at_s=0.0, container=Container.TS).keyframe
