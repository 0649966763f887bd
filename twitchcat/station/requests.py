"""What the station was asked, for tests to look at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request and what it got."""

    at_s: float  #: Unix time of its arrival
    kind: str  #: gql, master, playlist, segment, init, helix, oauth, station or unknown
    method: str
    host: str  #: the Host header
    path: str
    query: str
    login: str | None  #: the channel that it was about
    range: str | None  #: the Range header
    status: int
    served: int  #: bytes of the body
    number: int | None = None  #: of the segment
    rendition: str | None = None  #: of the playlist or the segment
    operation: str | None = None  #: of the GQL request
