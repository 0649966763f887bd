"""What can go wrong with a channel on demand, and how it is written down."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from twitchcat.errors import ConfigError


class FaultKind(StrEnum):
    """A kind of trouble; `FAULTS` says what each does."""

    NOT_FOUND = "not_found"
    SLOW = "slow"
    TRUNCATED = "truncated"
    GARBAGE = "garbage"
    STALLED = "stalled"
    NO_RANGES = "no_ranges"
    FMP4 = "fmp4"
    ADS_ONLY = "ads_only"
    AUDIO_ONLY = "audio_only"
    SEQUENCE_RESET = "sequence_reset"
    FROZEN_PLAYLIST = "frozen_playlist"
    BAD_PLAYLIST = "bad_playlist"
    TOKEN_EXPIRY = "token_expiry"  # noqa: S105  a fault's name, no secret
    OFFLINE = "offline"
    GEOBLOCKED = "geoblocked"
    SUBSCRIBER_ONLY = "subscriber_only"
    INTEGRITY = "integrity"
    SERVER_ERROR = "server_error"
    RATE_LIMIT = "rate_limit"
    FLAPPING_CATEGORY = "flapping_category"


#: What each kind does, in one line; shown by `twitchcat station --help` and docs/station.md.
FAULTS: dict[FaultKind, str] = {
    FaultKind.NOT_FOUND: "segments answer 404",
    FaultKind.SLOW: "a segment's bytes trickle in over S seconds (default 5)",
    FaultKind.TRUNCATED: "segments end in the middle of their keyframe",
    FaultKind.GARBAGE: "segments are random bytes",
    FaultKind.STALLED: "a segment stops after half of what was asked, the connection stays open",
    FaultKind.NO_RANGES: "a range is answered with 200 and the whole segment",
    FaultKind.FMP4: "segments are fragmented MP4 with EXT-X-MAP",
    FaultKind.ADS_ONLY: "the whole window is an ad break",
    FaultKind.AUDIO_ONLY: "there is no rendition but audio_only",
    FaultKind.SEQUENCE_RESET: "once, when set: segment numbers start again at 0",
    FaultKind.FROZEN_PLAYLIST: "the playlist gets no new segments",
    FaultKind.BAD_PLAYLIST: "the media playlist is an HTML page",
    FaultKind.TOKEN_EXPIRY: "playlists given out so far answer 403; with S, any older than S seconds",
    FaultKind.OFFLINE: "goes offline in mid visit: playlist and segments 404, Helix says offline, GQL lags",
    FaultKind.GEOBLOCKED: "usher answers 403 content_geoblocked",
    FaultKind.SUBSCRIBER_ONLY: "pictures are for subscribers: restricted in the token, audio_only is left",
    FaultKind.INTEGRITY: "the access token is refused: failed integrity check",
    FaultKind.SERVER_ERROR: "usher, playlists and segments answer 500; on *, GQL and Helix too",
    FaultKind.RATE_LIMIT: "Helix answers 429, Reset a second or two ahead; with S, for S seconds",
    FaultKind.FLAPPING_CATEGORY: "Helix names another category at each call",
}

#: Kinds that take a number of seconds.
TAKES_SECONDS = frozenset({FaultKind.SLOW, FaultKind.TOKEN_EXPIRY, FaultKind.RATE_LIMIT})


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble, written `kind` or `kind:seconds`."""

    kind: FaultKind
    seconds: float | None = None

    def __str__(self) -> str:
        return self.kind if self.seconds is None else f"{self.kind}:{self.seconds:g}"


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read `slow:2,no_ranges`; an empty text means none. Raises ConfigError that names the nearest kind."""
    return tuple(_parse_fault(part.strip()) for part in text.split(",") if part.strip())


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Read `LOGIN=KIND` words into faults by login; a login given twice gets both. Raises ConfigError."""
    faults: dict[str, str] = {}
    for assignment in assignments:
        login, equals, kinds = assignment.partition("=")
        if not (login and equals and parse_faults(kinds)):
            raise ConfigError(f"--fault {assignment}: must be LOGIN=KIND, such as supertux_s2=slow:2")
        faults[login] = f"{faults[login]},{kinds}" if login in faults else kinds
    return faults


def _parse_fault(text: str) -> Fault:
    name, _, seconds = text.partition(":")
    try:
        kind = FaultKind(name)
    except ValueError:
        near = difflib.get_close_matches(name, list(FaultKind), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(FaultKind)}"
        raise ConfigError(f"unknown fault {name}{hint}") from None
    if not seconds:
        return Fault(kind)
    if kind not in TAKES_SECONDS:
        raise ConfigError(f"fault {kind} takes no seconds")
    try:
        value = float(seconds.removesuffix("s"))
    except ValueError:
        raise ConfigError(f"fault {text}: {seconds} is no number of seconds") from None
    if value <= 0:
        raise ConfigError(f"fault {text}: must be longer than zero")
    return Fault(kind, value)
