"""App tokens: given out for the client id and secret, and good for a while."""

import secrets
import threading
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from twitchcat.station.context import StationOptions


class Tokens:
    """The tokens that are good now. May be used from any thread."""

    def __init__(self, options: StationOptions) -> None:
        self._options = options
        self._clock: Callable[[], float] = options.clock
        self._giving = threading.Lock()
        self._ends_s: dict[str, float] = {}

    def is_good(self, token: str) -> bool:
        """Whether a token was given out and has not ended."""
        with self._giving:
            return self._ends_s.get(token, 0.0) > self._clock()

    def expire(self) -> None:
        """End every token given out so far."""
        with self._giving:
            self._ends_s.clear()

    async def token(self, request: Request) -> Response:
        """POST /oauth2/token: client credentials, in a form or in the query."""
        form = parse_qs((await request.body()).decode(errors="replace"))
        asked = {name: values[-1] for name, values in form.items()} | dict(request.query_params)
        if asked.get("client_id") != self._options.client_id:
            return _refused(400, "invalid client")
        if asked.get("client_secret") != self._options.client_secret:
            return _refused(403, "invalid client secret")
        if asked.get("grant_type") != "client_credentials":
            return _refused(400, "invalid grant type")
        token = secrets.token_hex(15)
        with self._giving:
            self._ends_s[token] = self._clock() + self._options.app_token_s
        return JSONResponse(
            {"access_token": token, "expires_in": int(self._options.app_token_s), "token_type": "bearer"}
        )

    async def validate(self, request: Request) -> Response:
        """GET /oauth2/validate: whose token it is, and how long it lives."""
        token = request.headers.get("authorization", "").partition(" ")[2]
        if not self.is_good(token):
            return _refused(401, "invalid access token")
        with self._giving:
            left_s = self._ends_s.get(token, 0.0) - self._clock()
        return JSONResponse({"client_id": self._options.client_id, "scopes": [], "expires_in": int(left_s)})


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"status": status, "message": message}, status)
