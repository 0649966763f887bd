"""Addresses of playlists and segments: opaque to the client, self-contained for the station."""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum

from twitchcat.station.media import Container
from twitchcat.station.timeline import Part

PLAYLIST_HOST = "use12.playlist.ttvnw.net"
SEGMENT_HOST = "video-edge-96f558.use12.abs.hls.ttvnw.net"


class Rendition(StrEnum):
    """What a channel is offered in."""

    SOURCE = "source"
    LOW = "160p30"
    AUDIO = "audio_only"


@dataclass(frozen=True, slots=True)
class PlaylistAddress:
    """A media playlist, as usher gave it out."""

    login: str
    rendition: Rendition
    issued_ms: int  #: Unix time, milliseconds

    @property
    def url(self) -> str:
        """Where a client finds it."""
        token = _encode(self.login, self.rendition, self.issued_ms)
        return f"https://{PLAYLIST_HOST}/v1/playlist/{token}.m3u8"

    @classmethod
    def parse(cls, token: str) -> "PlaylistAddress":
        """Read a token. Raises ValueError if it is none of ours."""
        login, rendition, issued_ms = _decode(token, 3)
        return cls(login, Rendition(rendition), int(issued_ms))


@dataclass(frozen=True, slots=True)
class SegmentAddress:
    """A segment, or the init section that goes before segments of its kind."""

    login: str
    rendition: Rendition
    epoch: int  #: how often the channel's numbers have started again
    number: int
    part: Part
    container: Container
    init: bool = False

    @property
    def url(self) -> str:
        """Where a client finds it."""
        kind = f"{self.part}{'+init' if self.init else ''}"
        token = _encode(self.login, self.rendition, self.epoch, self.number, kind)
        return f"https://{SEGMENT_HOST}/v1/segment/{token}.{self.container}"

    @classmethod
    def parse(cls, token: str, container: str) -> "SegmentAddress":
        """Read a token. Raises ValueError if it is none of ours."""
        login, rendition, epoch, number, kind = _decode(token, 5)
        part, _, init = kind.partition("+")
        return cls(
            login,
            Rendition(rendition),
            int(epoch),
            int(number),
            Part(part),
            Container(container),
            init=init == "init",
        )


def _encode(*parts: object) -> str:
    return base64.urlsafe_b64encode("|".join(map(str, parts)).encode()).decode().rstrip("=")


def _decode(token: str, count: int) -> list[str]:
    try:
        parts = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().split("|")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not an address of this station") from error
    if len(parts) != count:
        raise ValueError("not an address of this station")
    return parts
