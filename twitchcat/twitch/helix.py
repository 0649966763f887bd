"""A thin client of Helix, Twitch's API: who is live, in which category.

Source: dev.twitch.tv/docs/api/guide and /reference. One request costs one point of a bucket whose state comes
back in the headers of every answer.
"""

import difflib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from twitchcat.config import TwitchSettings
from twitchcat.errors import ConfigError, CredentialsRefused, NetworkError, RateLimited, TwitchError
from twitchcat.twitch import answers
from twitchcat.twitch.entities import Category, Channel, LiveState, LiveStream
from twitchcat.twitch.http import http_client
from twitchcat.twitch.pace import Pace, Pause, Transient, backing_off, pause
from twitchcat.twitch.token import AppToken, TokenInfo, credentials

log = logging.getLogger(__name__)

_BATCH = 100  # names, ids or logins in one request, and items on one page
_ATTEMPTS = 4  # of one request that meets 5xx or a dead network
_REFUSALS = 3  # 429s in a row that are waited out
_LONGEST_WAIT_S = 61.0  # the bucket refills within a minute; a longer wait is a wrong clock
_LOGIN = re.compile(r"[a-z0-9_]{1,50}")  # Helix answers 400 to a batch that holds anything else

Params = list[tuple[str, str | int]]


class HelixClient:
    """Asks Helix. Safe for use from several threads at once.

    Every method raises CredentialsRefused, RateLimited, NetworkError, Interrupted (when `stop` is set while
    it waits) or TwitchError. The constructor raises ConfigError when client id or secret are missing.
    """

    def __init__(
        self,
        settings: TwitchSettings,
        *,
        transport: httpx.BaseTransport | None = None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Pause = pause,
    ) -> None:
        self._client_id, secret = credentials(settings)
        self._helix = settings.helix_url.rstrip("/")
        self._auth = settings.auth_url.rstrip("/")
        self._stop, self._clock, self._sleep = stop, clock, sleep
        self._http = http_client(settings, transport)
        self._pace = Pace(settings.requests_per_second, pause=sleep)
        self._bucket = _Bucket()
        form = {"client_id": self._client_id, "grant_type": "client_credentials"}
        self._token = AppToken(
            lambda: self._send(
                "POST",
                f"{self._auth}/token",
                data={**form, "client_secret": secret.get_secret_value()},
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def top_categories(self, limit: int) -> list[Category]:
        """Return the categories with the most viewers now, most first, at most `limit`."""
        return [game.entity() for game in answers.items(answers.Game, self._all("/games/top", [], limit))]

    def categories_named(self, names: Iterable[str]) -> dict[str, Category]:
        """Return the category of each name; the keys are the names as given, whatever their case.

        Raises ConfigError that lists the names Twitch does not know, each with the nearest it does.
        """
        wanted = {name: name.strip().casefold() for name in names}
        exact = self._by_ids_or_names("name", [name.strip() for name in wanted if name.strip()])
        known = {category.name.casefold(): category for category in exact}
        missing = [name for name, folded in wanted.items() if folded not in known]
        suggestions = {name: self._search(name) for name in missing}
        found = {
            category.name.casefold(): category.id
            for name in missing
            for category in suggestions[name]
            if category.name.casefold() == wanted[name]
        }
        if found:  # asked again by id: the search does not say which are games
            known |= {one.name.casefold(): one for one in self._by_ids_or_names("id", list(found.values()))}
        unknown = [name for name in missing if wanted[name] not in known]
        if unknown:
            raise ConfigError("\n".join(self._explain(name, suggestions[name]) for name in unknown))
        return {name: known[folded] for name, folded in wanted.items()}

    def live_in(
        self, category_id: str, *, languages: Sequence[str] = (), limit: int = 100
    ) -> list[LiveStream]:
        """Return the live streams of a category, most viewers first, at most `limit`."""
        params: Params = [("game_id", category_id), *(("language", one) for one in languages[:_BATCH])]
        return self._streams(params, limit)

    def live_now(self, logins: Iterable[str]) -> dict[str, LiveStream]:
        """Return the streams of those channels that are live, by login in lower case."""
        streams = [
            stream
            for batch in _batches(_valid(logins))
            for stream in self._streams([("user_login", login) for login in batch], _BATCH)
        ]
        return {stream.channel.login: stream for stream in streams}

    def users(self, logins: Iterable[str]) -> dict[str, Channel]:
        """Return the channels that exist, by login in lower case."""
        raw = [
            item
            for batch in _batches(_valid(logins))
            for item in self._page("/users", [("login", login) for login in batch]).data
        ]
        return {user.login.lower(): user.entity() for user in answers.items(answers.User, raw)}

    def live_state(self, login: str) -> LiveState:
        """Say whether the channel is live, offline or does not exist."""
        if self.live_now([login]):
            return LiveState.LIVE
        return LiveState.OFFLINE if self.users([login]) else LiveState.MISSING

    def validate_token(self) -> TokenInfo:
        """Ask Twitch about the token in use, renewing it once if it is dead."""
        answer = self._authorized("GET", f"{self._auth}/validate", [], scheme="OAuth")
        try:
            said = answers.Validation.model_validate_json(answer.content)
        except ValidationError as error:
            raise TwitchError("Twitch answered the validation of the token with something unknown") from error
        return TokenInfo(client_id=said.client_id, expires_in_s=said.expires_in)

    def _streams(self, params: Params, limit: int) -> list[LiveStream]:
        raw = [item for item in self._all("/streams", params, limit) if item.get("type", "live") == "live"]
        return [stream.entity() for stream in answers.items(answers.Stream, raw)]

    def _by_ids_or_names(self, key: str, values: Sequence[str]) -> list[Category]:
        raw = [
            item
            for batch in _batches(values)
            for item in self._page("/games", [(key, value) for value in batch]).data
        ]
        return [game.entity() for game in answers.items(answers.Game, raw)]

    def _search(self, name: str) -> list[Category]:
        if not name.strip():
            return []
        raw = self._page("/search/categories", [("query", name.strip()), ("first", _BATCH)]).data
        return [game.entity() for game in answers.items(answers.Game, raw)]

    def _explain(self, name: str, found: Sequence[Category]) -> str:
        # The search wants every word to occur, so a slip of the finger finds nothing: then the popular ones.
        names = [category.name for category in found or self.top_categories(_BATCH)]
        folded = {one.casefold(): one for one in names}
        close = difflib.get_close_matches(name.strip().casefold(), list(folded), n=3, cutoff=0.5)
        nearest = [folded[one] for one in close] or [category.name for category in found[:3]]
        hint = f"; did you mean {' or '.join(repr(one) for one in nearest)}?" if nearest else ""
        return f"Twitch has no category {name!r}{hint}"

    def _all(self, path: str, params: Params, limit: int) -> list[dict[str, Any]]:
        """Return up to `limit` items, each id once: the order moves while it is paged through."""
        seen: dict[str, dict[str, Any]] = {}
        for item in self._items(path, params, limit):
            seen.setdefault(str(item.get("id")), item)
            if len(seen) >= limit:
                break
        return list(seen.values())

    def _items(self, path: str, params: Params, limit: int) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        # Twice the pages that full ones would take: short pages are normal, an endless cursor is not.
        for _ in range(2 * -(-limit // _BATCH)):
            after: Params = [("after", cursor)] if cursor else []
            page = self._page(path, [*params, ("first", min(limit, _BATCH)), *after])
            yield from page.data
            if not page.pagination.cursor or page.pagination.cursor == cursor:
                return
            cursor = page.pagination.cursor

    def _page(self, path: str, params: Params) -> answers.Page:
        return answers.page(self._authorized("GET", f"{self._helix}{path}", params, scheme="Bearer").content)

    def _authorized(self, method: str, url: str, params: Params, *, scheme: str) -> httpx.Response:
        token = self._token.get()
        for renewed in (False, True):
            headers = {"Authorization": f"{scheme} {token.get_secret_value()}", "Client-Id": self._client_id}
            answer = self._send(method, url, params=params, headers=headers)
            if answer.status_code != 401:
                break
            if renewed:
                raise CredentialsRefused(f"Twitch refuses a fresh app token: {_message(answer)}")
            token = self._token.renew(token)
        if answer.status_code >= 400:
            raise TwitchError(f"Helix refused {urlsplit(url).path}: {_message(answer)}")
        return answer

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Send at the allowed pace, waiting out 429 and trying again on 5xx and a dead network."""
        for _ in range(_REFUSALS):
            self._bucket.wait(self._clock, self._sleep, self._stop)
            try:
                answer: httpx.Response = backing_off(
                    _ATTEMPTS, longest_s=8, pause=self._sleep, stop=self._stop
                )(self._once, method, url, **request)
            except Transient as error:
                raise NetworkError(str(error)) from error.__cause__
            if answer.status_code != 429:
                return answer
            log.info("helix_rate_limited", extra={"reset": answer.headers.get("Ratelimit-Reset")})
            self._bucket.refused(self._clock())
        raise RateLimited(f"Twitch still asks for fewer requests after {_REFUSALS} waits")

    def _once(self, method: str, url: str, **request: Any) -> httpx.Response:
        self._pace.wait()  # not cut short: it is brief, and who has begun is to finish
        where = urlsplit(url)
        try:
            answer = self._http.request(method, url, **request)
        except (httpx.TransportError, httpx.DecodingError, httpx.TooManyRedirects) as error:
            why = str(error) or type(error).__name__
            raise Transient(f"{where.hostname} could not be reached: {why}") from error
        except (httpx.InvalidURL, UnicodeError) as error:  # no IP address after all; a name that is none
            raise ConfigError(f"{url} cannot be asked: {error}") from error
        self._bucket.heard(answer.headers)
        if answer.status_code >= 500:
            raise Transient(f"{where.hostname} answered {answer.status_code} to {where.path}")
        return answer


class _Bucket:
    """What the last answer said about the points left; written and read under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._remaining: int | None = None
        self._reset_at = 0.0  # Unix seconds

    def heard(self, headers: httpx.Headers) -> None:
        try:
            remaining, reset_at = int(headers["Ratelimit-Remaining"]), float(headers["Ratelimit-Reset"])
        except (KeyError, ValueError):
            return
        with self._lock:
            self._remaining, self._reset_at = remaining, reset_at

    def refused(self, now: float) -> None:
        """A 429: nothing is left, whatever the headers say; without a useful Reset, try in a second."""
        with self._lock:
            self._remaining, self._reset_at = 0, max(self._reset_at, now + 1)

    def wait(self, clock: Callable[[], float], sleep: Pause, stop: threading.Event | None) -> None:
        with self._lock:
            seconds = self._reset_at - clock() if self._remaining == 0 else 0.0
        if seconds > 0:
            sleep(min(seconds, _LONGEST_WAIT_S), stop)
        with self._lock:
            if self._remaining == 0:
                self._remaining = None  # until the next answer says


def _valid(logins: Iterable[str]) -> list[str]:
    lower = dict.fromkeys(login.strip().lower() for login in logins)
    return [login for login in lower if _LOGIN.fullmatch(login)]


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _message(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code} {answer.json()['message']}"
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
