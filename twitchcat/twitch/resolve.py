"""From a login to the address of one media playlist, through streamlink's own Twitch plugin.

The plugin's public way asks for every quality's playlist before it says which there are: 2 + N requests, and
says `{}` for nearly every failure. Its parts, called one by one, need 2 and keep the failures apart, but one
of them is private: should streamlink change it, the public way takes over.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from streamlink import Streamlink
from streamlink.exceptions import NoStreamsError, PluginError
from streamlink.plugins.twitch import Twitch, TwitchHLSStream

from twitchcat.errors import (
    ChannelOffline,
    Geoblocked,
    IntegrityFailed,
    NetworkError,
    NoSuchChannel,
    RateLimited,
    StreamUnreadable,
    SubscriberOnly,
    TwitchcatError,
    TwitchError,
)
from twitchcat.twitch.entities import LiveState
from twitchcat.twitch.session import brief, without_queries
from twitchcat.twitch.variants import Variant, choose_variant

log = logging.getLogger(__name__)

#: Says whether a login is live, offline or unknown, as Helix does; raises TwitchError.
AskLiveState = Callable[[str], LiveState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Where the pictures of one stream are."""

    variant: Variant
    playlist_url: str  #: good for about a day


def resolve(
    streamlink: Streamlink, login: str, wanted: str, *, live_state: AskLiveState | None = None
) -> Resolved:
    """Find the media playlist of the quality `wanted` (see `choose_variant`).

    Raises ChannelOffline, NoSuchChannel, Geoblocked, SubscriberOnly, StreamUnreadable, IntegrityFailed,
    RateLimited, NetworkError.
    """
    with _heard() as said:
        try:
            urls, restricted = _step_by_step(streamlink, login)
        except (AttributeError, TypeError, ValueError) as error:
            _warn_once(without_queries(repr(error)))
            urls, restricted = _publicly(streamlink, login)
        except NoStreamsError:  # no token: nobody is there, or nobody of that name
            raise absent(login, live_state) from None
        except _UsherRefusedError as refusal:
            raise _usher_refused(login, refusal, live_state) from refusal
    if urls or restricted or said:
        return _chosen(login, wanted, urls, restricted or _restricted(said), said)
    raise absent(login, live_state)


@cache
def _warn_once(error: str) -> None:
    log.warning("streamlink_changed", extra={"error": error})


def _chosen(
    login: str,
    wanted: str,
    urls: Mapping[str, str],
    restricted: list[str],
    said: list[str],
) -> Resolved:
    variant = choose_variant([name for name in urls if name not in restricted], wanted)
    if variant is not None:
        return Resolved(variant=variant, playlist_url=urls[variant.name])
    if restricted:
        raise SubscriberOnly(f"{login} shows its pictures to subscribers only")
    if urls:
        raise StreamUnreadable(f"{login} sends no picture, only {', '.join(urls)}")
    raise _by_its_words(login, " ".join(said)) or StreamUnreadable(f"{login}: {said[-1]}")


def _step_by_step(streamlink: Streamlink, login: str) -> tuple[dict[str, str], list[str]]:
    """Return the playlist address of each quality, and the names of those for subscribers."""
    plugin_class: Any = Twitch  # it has no types
    plugin = plugin_class(streamlink, _address(login))
    # As the plugin does before it asks for a token.
    player = "https://player.twitch.tv"
    streamlink.http.headers.update({"referer": player, "origin": player})
    with _token_errors():
        signature, token, restricted = plugin._access_token(True, login)  # noqa: SLF001 - see the module's docstring
    master = plugin.usher.channel(login, sig=signature, token=token, fast_bread=True)
    try:
        streams = TwitchHLSStream.parse_variant_playlist(streamlink, master)
    except OSError as error:
        raise _of_usher(error) from error
    return _addresses(streams), list(restricted)


def _publicly(streamlink: Streamlink, login: str) -> tuple[dict[str, str], list[str]]:
    try:
        streamlink.plugins.update({"twitch": Twitch})
        with _token_errors():
            return _addresses(streamlink.streams(_address(login))), []
    except (AttributeError, TypeError) as error:
        raise TwitchError(f"the installed streamlink cannot be used: {error!r}") from error


def _address(login: str) -> str:
    return f"https://www.twitch.tv/{login}"


def _addresses(streams: Mapping[str, Any]) -> dict[str, str]:
    # With sound apart, streamlink makes one stream of several; the pictures are the first.
    plain = {name: getattr(stream, "substreams", [stream])[0] for name, stream in streams.items()}
    return {name: stream.url for name, stream in plain.items() if getattr(stream, "url", None)}


class _UsherRefusedError(Exception):
    """Usher, which names the playlists, answered 4xx."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {without_queries(body[:500])}")
        self.status = status
        self.body = body


@contextmanager
def _token_errors() -> Iterator[None]:
    try:
        yield
    except PluginError as error:
        if (cause := _request_error(error)) is not None:
            raise _of_request(cause) from error
        if isinstance(error.__cause__, OSError):  # the public way: usher's answer is no playlist
            raise _no_master(error) from error
        # Most often "failed integrity check"; "PersistedQueryNotFound" when the plugin is out of date.
        raise IntegrityFailed(
            f"Twitch gave no access token ({_first_line(error)}). If this lasts, update streamlink"
        ) from error


def _of_usher(error: OSError) -> Exception:
    cause = _request_error(error)
    if cause is None:
        return _no_master(error)
    response = cause.response
    if response is not None and 400 <= response.status_code < 500 and response.status_code != 429:
        return _UsherRefusedError(response.status_code, response.text)
    return _of_request(cause)


def _no_master(error: BaseException) -> StreamUnreadable:
    return StreamUnreadable(f"Twitch's list of qualities could not be read: {_first_line(error)}")


def _request_error(error: BaseException | None) -> requests.RequestException | None:
    """Return what requests raised, which streamlink wraps once or twice."""
    while error is not None:
        wrapped = getattr(error, "err", None)
        if isinstance(wrapped, requests.RequestException):
            return wrapped
        error = error.__cause__
    return None


def _of_request(cause: requests.RequestException) -> TwitchcatError:
    response = cause.response
    if response is not None and response.status_code == 429:
        return RateLimited("Twitch asks for fewer streams to be opened")
    if response is not None:
        return NetworkError(f"Twitch answered {response.status_code} while a stream was opened")
    if isinstance(cause, requests.Timeout):
        return NetworkError("Twitch did not answer in time while a stream was opened")
    return NetworkError(f"Twitch could not be reached: {brief(cause)}")


def _usher_refused(
    login: str, refusal: _UsherRefusedError, live_state: AskLiveState | None
) -> TwitchcatError:
    if known := _by_its_words(login, _usher_words(refusal.body)):
        return known
    if refusal.status == 404:  # it has just ended
        return absent(login, live_state)
    return StreamUnreadable(f"{login}: Twitch refused the stream: {_usher_words(refusal.body) or refusal}")


def _usher_words(body: str) -> str:
    """Return what usher said, of `[{"error": …, "error_code": …}]`; "" if it said it otherwise."""
    try:
        first = json.loads(body)[0]
        return f"{first.get('error', '')} {first.get('error_code', '')}".strip()
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _by_its_words(login: str, words: str) -> StreamUnreadable | None:
    folded = words.lower()
    if "geoblock" in folded or "region" in folded:
        return Geoblocked(f"{login} is not shown in this region")
    if "subscri" in folded or "entitlement" in folded:
        return SubscriberOnly(f"{login} is shown to subscribers only")
    return None


def absent(login: str, live_state: AskLiveState | None) -> TwitchcatError:
    """Return the error for a stream that is not there: offline, no such channel, live but refused.

    Without `live_state` it is taken as offline.
    """
    try:
        state = live_state(login) if live_state else LiveState.OFFLINE
    except TwitchError as error:  # no word about this stream, nor about access tokens
        return StreamUnreadable(f"{login}: Twitch gives no stream of it; why could not be asked: {error}")
    if state is LiveState.MISSING:
        return NoSuchChannel(f"there is no channel {login}")
    if state is LiveState.LIVE:
        return StreamUnreadable(f"{login} is live, but Twitch gives no stream of it")
    return ChannelOffline(f"{login} is not live")


def _restricted(said: list[str]) -> list[str]:
    return [text for text in said if "requires a subscription" in text]


def _first_line(error: BaseException) -> str:
    return (brief(error).splitlines() or [type(error).__name__])[0]


class _Listener(logging.Handler):
    """Keeps what streamlink's Twitch plugin says, per thread; passes all of streamlink's talk on as debug."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        text = without_queries(record.getMessage())
        said: list[str] | None = getattr(self.mine, "said", None)
        if said is not None and record.levelno >= logging.WARNING and record.name.endswith("plugins.twitch"):
            said.append(text)
        log.debug("streamlink_said", extra={"by": record.name, "text": text})


_listener = _Listener()
_talk = logging.getLogger("streamlink")
_talk.addHandler(_listener)
_talk.propagate = False  # its words reach people as our errors, or not at all


@contextmanager
def _heard() -> Iterator[list[str]]:
    said: list[str] = []
    _listener.mine.said = said
    try:
        yield said
    finally:
        _listener.mine.said = None
