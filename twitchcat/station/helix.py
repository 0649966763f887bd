"""The Helix API, as far as twitchcat asks for it. Shapes and limits are those of Twitch's reference."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from twitchcat.station.bucket import Bucket
from twitchcat.station.context import Context, note
from twitchcat.station.faults import FaultKind
from twitchcat.station.folder import number_for
from twitchcat.station.lineup import OnAir
from twitchcat.station.oauth import Tokens
from twitchcat.station.playlists import moment

_MOST = 100  #: of a page, and of a filter's values
_RESET_AHEAD_S = 1.5  #: while the rate_limit fault holds

Item = dict[str, Any]


class Refused(Exception):
    """A call that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def category_id(name: str) -> str:
    """Twitch's id of a category; always the same for a name, "" for none."""
    return str(number_for(f"category {name}")) if name else ""


class Helix:
    """The API side of the station."""

    def __init__(self, context: Context, tokens: Tokens) -> None:
        self._context = context
        self._lineup = context.lineup
        self._tokens = tokens
        self._bucket = Bucket(per_minute=context.options.rate_limit, now_s=context.options.clock())
        self._calls: dict[str, Callable[[Request], Item]] = {
            "games/top": self._games_top,
            "games": self._games,
            "search/categories": self._search,
            "streams": self._streams,
            "users": self._users,
            "channels": self._channels,
        }

    async def call(self, request: Request) -> Response:
        """GET /helix/…: one call, its token checked and its point taken."""
        now = self._lineup.clock()
        try:
            if self._lineup.fault(None, FaultKind.SERVER_ERROR):
                return PlainTextResponse("Service Unavailable", 500)
            self._check_token(request)
            reset_s = self._limited(request, now)
            if reset_s is not None:
                headers = self._rate_headers(remaining=0, reset_s=reset_s)
                return _error(429, "Request limit exceeded", headers)
            call = self._calls.get(request.path_params["call"], _unknown)
            return JSONResponse(call(request), headers=self._headers(now))
        except Refused as refused:
            return _error(refused.status, str(refused), self._headers(now))

    def _check_token(self, request: Request) -> None:
        client_id = request.headers.get("client-id")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not client_id or not token or scheme.lower() != "bearer":
            raise Refused(401, "Missing Client ID or OAuth token")
        if not self._tokens.is_good(token) or client_id != self._context.options.client_id:
            raise Refused(401, "Invalid OAuth token")

    def _limited(self, request: Request, now: float) -> float | None:
        """When the caller may come again, if it may not now."""
        named = [self._lineup.find(login) for login in self._logins(request)]
        for channel in (None, *named):
            active = self._lineup.fault(channel, FaultKind.RATE_LIMIT)
            if active is not None:
                lasts_s = active.fault.seconds
                if lasts_s is None:
                    return now + _RESET_AHEAD_S
                if now < active.since_s + lasts_s:
                    return active.since_s + lasts_s
        return None if self._bucket.take(now) else self._bucket.full_at(now)

    def _headers(self, now: float) -> dict[str, str]:
        return self._rate_headers(remaining=self._bucket.points(now), reset_s=self._bucket.full_at(now))

    def _rate_headers(self, *, remaining: int, reset_s: float) -> dict[str, str]:
        return {
            "Ratelimit-Limit": str(self._context.options.rate_limit),
            "Ratelimit-Remaining": str(remaining),
            "Ratelimit-Reset": str(int(reset_s) + 1),  # whole seconds: never too early
        }

    def _logins(self, request: Request) -> list[str]:
        """The channels that a call names, by login or by id."""
        query = request.query_params
        logins = [login.lower() for name in ("user_login", "login") for login in query.getlist(name)]
        ids = {one for name in ("user_id", "id", "broadcaster_id") for one in query.getlist(name)}
        if ids:
            logins += [channel.login for channel in self._lineup.channels if channel.plan.user_id in ids]
        if logins:
            note(request, login=",".join(logins))
        return logins

    # The calls, each from a request to the body of its answer.

    def _games_top(self, request: Request) -> Item:
        viewers: dict[str, int] = {}
        for channel in self._live():
            name = self._lineup.declared(channel)
            viewers[name] = viewers.get(name, 0) + channel.plan.viewers
        names = sorted(viewers.keys() - {""}, key=lambda name: (-viewers[name], name))
        return self._page(request, [self._game(name) for name in names])

    def _games(self, request: Request) -> Item:
        ids, names = _values(request, "id"), _values(request, "name")
        if not ids and not names and not _values(request, "igdb_id"):
            raise Refused(400, 'Missing required parameter "id", "name" or "igdb_id"')
        _at_most(len(ids) + len(names), "id")
        known = self._lineup.categories()
        return {"data": [self._game(name) for name in known if name in names or category_id(name) in ids]}

    def _search(self, request: Request) -> Item:
        words = request.query_params.get("query", "").casefold().split()
        if not words:
            raise Refused(400, 'Missing required parameter "query"')
        found = [name for name in self._lineup.categories() if all(word in name.casefold() for word in words)]
        return self._page(
            request,
            [
                {"id": category_id(name), "name": name, "box_art_url": _box_art(name, "52x72")}
                for name in found
            ],
        )

    def _streams(self, request: Request) -> Item:
        ids, logins = _values(request, "user_id"), [one.lower() for one in _values(request, "user_login")]
        games, languages = _values(request, "game_id"), _values(request, "language")
        for name, values in (
            ("user_id", ids),
            ("user_login", logins),
            ("game_id", games),
            ("language", languages),
        ):
            _at_most(len(values), name)
        live = [
            self._stream(channel)
            for channel in self._live()
            if (not (ids or logins) or channel.plan.user_id in ids or channel.login in logins)
            and (not languages or channel.plan.language in languages)
        ]
        wanted = [stream for stream in live if not games or stream["game_id"] in games]
        wanted.sort(key=lambda stream: (-stream["viewer_count"], stream["id"]))
        return self._page(request, wanted)

    def _users(self, request: Request) -> Item:
        ids, logins = _values(request, "id"), [one.lower() for one in _values(request, "login")]
        if not ids and not logins:
            raise Refused(400, "Must provide an ID, Login or OAuth Token.")
        _at_most(len(ids) + len(logins), "id")
        return {
            "data": [
                _user(channel)
                for channel in self._lineup.channels
                if channel.plan.user_id in ids or channel.login in logins
            ]
        }

    def _channels(self, request: Request) -> Item:
        ids = _values(request, "broadcaster_id")
        if not ids:
            raise Refused(400, 'Missing required parameter "broadcaster_id"')
        _at_most(len(ids), "broadcaster_id")
        return {
            "data": [
                self._channel(channel) for channel in self._lineup.channels if channel.plan.user_id in ids
            ]
        }

    def _live(self) -> list[OnAir]:
        return [channel for channel in self._lineup.channels if self._lineup.is_live(channel)]

    def _game(self, name: str) -> Item:
        igdb = str(number_for(f"igdb {name}", digits=5)) if self._lineup.folder.is_game(name) else ""
        return {
            "id": category_id(name),
            "name": name,
            "box_art_url": _box_art(name, "{width}x{height}"),
            "igdb_id": igdb,
        }

    def _stream(self, channel: OnAir) -> Item:
        category = self._lineup.declared(channel)
        return {
            "id": channel.stream_id,
            "user_id": channel.plan.user_id,
            "user_login": channel.login,
            "user_name": channel.login,
            "game_id": category_id(category),
            "game_name": category,
            "type": "live",
            "title": channel.plan.title,
            "tags": ["Station"],
            "viewer_count": channel.plan.viewers,
            "started_at": moment(int(channel.started_s)).replace(".000Z", "Z"),
            "language": channel.plan.language,
            "thumbnail_url": "https://static-cdn.jtvnw.net/previews-ttv/live_user_"
            f"{channel.login}-{{width}}x{{height}}.jpg",
            "tag_ids": [],
            "is_mature": False,
        }

    def _channel(self, channel: OnAir) -> Item:
        category = self._lineup.declared(channel)
        return {
            "broadcaster_id": channel.plan.user_id,
            "broadcaster_login": channel.login,
            "broadcaster_name": channel.login,
            "broadcaster_language": channel.plan.language,
            "game_id": category_id(category),
            "game_name": category,
            "title": channel.plan.title,
            "delay": 0,
            "tags": ["Station"],
            "content_classification_labels": [],
            "is_branded_content": False,
        }

    def _page(self, request: Request, items: Sequence[Item]) -> Item:
        """One page; the cursor is the position behind it."""
        try:
            first = int(request.query_params.get("first", "20"))
        except ValueError:
            first = 0
        if not 1 <= first <= _MOST:
            raise Refused(400, 'The parameter "first" was malformed: the value must be between 1 and 100')
        after, before = request.query_params.get("after"), request.query_params.get("before")
        start = _position(after) if after else max(0, _position(before) - 2 * first) if before else 0
        end = start + first
        overlap = min(self._context.options.page_overlap, first - 1)
        more = end < len(items)
        return {"data": items[start:end], "pagination": {"cursor": _cursor(end - overlap)} if more else {}}


def _unknown(_request: Request) -> Item:
    raise Refused(404, "")


def _values(request: Request, name: str) -> list[str]:
    return request.query_params.getlist(name)


def _at_most(count: int, name: str) -> None:
    if count > _MOST:
        raise Refused(400, f'The parameter "{name}" was malformed: there may be {_MOST} values at most')


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"station:{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        name, _, position = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if name == "station":
            return int(position)
    except (binascii.Error, ValueError):
        pass
    raise Refused(400, "The cursor is not valid")


def _box_art(name: str, size: str) -> str:
    return f"https://static-cdn.jtvnw.net/ttv-boxart/{category_id(name)}-{size}.jpg"


def _user(channel: OnAir) -> Item:
    return {
        "id": channel.plan.user_id,
        "login": channel.login,
        "display_name": channel.login,
        "type": "",
        "broadcaster_type": "affiliate",
        "description": f"Plays {channel.plan.file.name} over and over.",
        "profile_image_url": "",
        "offline_image_url": "",
        "view_count": 0,
        "created_at": "2020-01-01T00:00:00Z",
    }


def _error(status: int, message: str, headers: dict[str, str]) -> Response:
    names = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
    return JSONResponse({"error": names[status], "status": status, "message": message}, status, headers)
