"""Twitch, or the station in its place: reachable, credentials good, clocks agreeing."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from twitchcat.config import TwitchSettings
from twitchcat.doctor.finding import Finding, failed_by, failure, ok, warning
from twitchcat.errors import ConfigError, CredentialsRefused, NetworkError, RateLimited, TwitchError
from twitchcat.twitch.helix import HelixClient
from twitchcat.twitch.http import http_client
from twitchcat.twitch.pace import pause
from twitchcat.twitch.token import WHERE_TO_GET_THEM

CLOCK_WARNING_S = 5.0
CLOCK_FAILURE_S = 60.0
REQUEST = timedelta(seconds=5)  #: for one request of the doctor, whatever twitch.timeout allows
_LONGEST_PAUSE_S = 5.0
_SHORTEST_LIMIT_S = 0.9  #: a client that is told to wait waits longer than this; for its turn, shorter

_SYNC = "Let the system keep its time by NTP (`timedatectl set-ntp true`)."


def examine_helix(
    settings: TwitchSettings, *, client: httpx.Client, clock: Callable[[], float] = time.time
) -> list[Finding]:
    """Ask Helix anything: whether it answers, and what time it says it is."""
    url = f"{settings.helix_url.rstrip('/')}/games/top"
    before = clock()
    try:
        answer = client.get(url)  # without a token: 401 is an answer, too
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return [_unreachable("helix", url, error), _no_clock()]
    after = clock()
    said = f"{settings.helix_url} answers in {(after - before) * 1000:.0f} ms"
    if answer.status_code >= 500 or answer.status_code == 404:
        told = f"{url} answers {answer.status_code}"
        advice = "Check twitch.helix_url; if it is right, wait: Twitch has a problem."
        helix = failure("helix", told, advice, TwitchError())
    elif answer.status_code == 429:
        helix = _limited("helix", f"{settings.helix_url} answers 429", answer.headers.get("Ratelimit-Reset"))
    else:
        helix = ok("helix", said)
    offset_s = _offset_s(answer.headers.get("Date"), (before + after) / 2)
    return [helix, _no_clock() if offset_s is None else clock_finding(offset_s)]


def clock_finding(offset_s: float) -> Finding:
    """Judge how far this machine's clock is ahead of Twitch's, in seconds; negative: behind."""
    said = f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} Twitch's"
    if abs(offset_s) > CLOCK_FAILURE_S:
        return failure("clock", f"{said}: tokens seem to end early or never, streams old or unborn", _SYNC)
    if abs(offset_s) > CLOCK_WARNING_S:
        return warning("clock", said, _SYNC)
    return ok("clock", f"agrees with Twitch's within {CLOCK_WARNING_S:g} s")


def _offset_s(date: str | None, here: float) -> float | None:
    """How far `here`, in Unix seconds, is ahead of a Date header, which is cut to whole seconds."""
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    if there.tzinfo is None:
        there = there.replace(tzinfo=UTC)
    return here - (there - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() - 0.5


def _no_clock() -> Finding:
    said = "not compared: Helix did not say what time it is"
    return warning("clock", said, "Make Helix reachable, and see that the system keeps its time by NTP.")


def examine_credentials(
    settings: TwitchSettings, *, transport: httpx.BaseTransport | None = None
) -> list[Finding]:
    """Get an app token for client id and secret, have Twitch validate it, and ask Helix with it."""
    if not settings.client_id and settings.client_secret is None:
        said = (
            "twitch.client_id and twitch.client_secret are not set: `collect` does not work;"
            " `demo`, `station`, `dataset` and `db` do"
        )
        return [warning("credentials", said, f"{WHERE_TO_GET_THEM} Or dry-run with `twitchcat station`.")]
    quick = _impatient(settings)
    waits = _Waits()
    try:
        with HelixClient(quick, transport=transport, sleep=waits) as helix:
            with http_client(quick, transport) as client:
                client.get(f"{quick.auth_url.rstrip('/')}/validate")  # once: HelixClient would try for long
            token = helix.validate_token()
            said = f"accepted; the app token lives {token.expires_in_s / 86_400:.0f} days"
            return [ok("credentials", said), *_limits(helix, waits)]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return [_unreachable("credentials", quick.auth_url, error)]
    except ConfigError as error:  # one of the two is missing
        return [failed_by("credentials", error, WHERE_TO_GET_THEM)]
    except TwitchError as error:
        return [_refused(error, quick.auth_url, waits)]


def _limits(helix: HelixClient, waits: "_Waits") -> list[Finding]:
    """Ask Helix anything that costs a point: a warning if Twitch wants fewer requests."""
    try:
        helix.top_categories(1)
    except RateLimited:
        return [_limited("rate limit", "Helix answers 429 to this client id", waits.until_s)]
    except CredentialsRefused:
        raise
    except TwitchError:
        return []  # what is the matter with Helix itself, `helix` says
    return []


def _refused(error: TwitchError, auth_url: str, waits: "_Waits") -> Finding:
    if isinstance(error, RateLimited):
        return _limited("credentials", "they could not be checked", waits.until_s)
    if isinstance(error, CredentialsRefused):
        advice = (
            "Copy both from https://dev.twitch.tv/console/apps; a new secret ends the old one."
            if _is_twitch(auth_url)
            else "Take both from what the station prints when it starts."
        )
        return failure("credentials", str(error).removesuffix(WHERE_TO_GET_THEM).strip(), advice, error)
    return failed_by("credentials", error, _how_to_reach(auth_url))


def examine_station(settings: TwitchSettings, *, client: httpx.Client) -> list[Finding]:
    """Ask the station that streams are taken from, if one is set, what it plays."""
    if settings.rewrite is None:
        return []
    url = f"{settings.rewrite.rstrip('/')}/station/channels"
    advice = "Start it with `twitchcat station DIR` and copy its lines, or unset twitch.rewrite."
    try:
        answer = client.get(url)
        channels = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        said = f"twitch.rewrite leads to {settings.rewrite}, which does not answer: {why}"
        return [failure("station", said, advice, NetworkError())]
    except ValueError:
        channels = None
    if not isinstance(channels, list):
        said = f"twitch.rewrite leads to {settings.rewrite}, which is no station"
        return [failure("station", said, advice, TwitchError())]
    said = f"{settings.rewrite} plays {len(channels)} channels in place of Twitch"
    elsewhere = [
        f"twitch.{name}"
        for name, url in (("helix_url", settings.helix_url), ("auth_url", settings.auth_url))
        if _is_twitch(url)
    ]
    if elsewhere:
        told = f"{said}, but {' and '.join(elsewhere)} still lead to Twitch itself"
        return [warning("station", told, "Copy all the lines that the station prints when it starts.")]
    return [ok("station", said)]


def helix_client(settings: TwitchSettings) -> httpx.Client:
    """A client that reaches Helix as collecting does, but waits no longer than the doctor."""
    return http_client(_impatient(settings))


def station_client(settings: TwitchSettings) -> httpx.Client:
    """A client that reaches the station as the streams do: through no proxy."""
    return httpx.Client(timeout=_impatient(settings).timeout.total_seconds(), trust_env=False)


def _impatient(settings: TwitchSettings) -> TwitchSettings:
    return settings.model_copy(
        update={"timeout": min(settings.timeout, REQUEST), "requests_per_second": 100.0}
    )


class _Waits:
    """Waits as a client asks for it, but not for long, and only once because of Twitch's limit."""

    def __init__(self) -> None:
        self.until_s: float | None = None  #: Unix time when the limit ends, as far as Twitch has said

    def __call__(self, seconds: float, stop: threading.Event | None) -> None:
        """Wait. Raises RateLimited where that would take long, or has been in vain."""
        if seconds > _SHORTEST_LIMIT_S:
            again, self.until_s = self.until_s is not None, time.time() + seconds
            if again or seconds > _LONGEST_PAUSE_S:
                raise RateLimited
        pause(seconds, stop)


def _limited(name: str, said: str, until: str | float | None) -> Finding:
    """Twitch wants fewer requests; `until` is in Unix seconds, as in the Ratelimit-Reset header."""
    try:
        when = f"until {datetime.fromtimestamp(float(until or 'nan'), UTC):%H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        when = "for a while"
    advice = "Wait till then, and see what else uses this client id, or lower twitch.requests_per_second."
    return warning(name, f"Twitch is limiting requests {when}: {said}", advice)


def _unreachable(name: str, url: str, error: Exception) -> Finding:
    why = str(error) or type(error).__name__
    where = urlsplit(url).netloc.rpartition("@")[2] or url
    return failure(name, f"{where} cannot be reached: {why}", _how_to_reach(url), NetworkError())


def _how_to_reach(url: str) -> str:
    if _is_twitch(url):
        return (
            "Look at the network connection, the firewall, HTTPS_PROXY and SSL_CERT_FILE."
            " Without Twitch, `twitchcat demo` still works."
        )
    return "Start the station (`twitchcat station`), or correct twitch.helix_url and twitch.auth_url."


def _is_twitch(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "twitch.tv" or host.endswith(".twitch.tv")
