"""The app token that Helix wants: fetched by client credentials, renewed when it is refused or old.

Source: dev.twitch.tv/docs/authentication/getting-tokens-oauth, client credentials grant flow.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from pydantic import BaseModel, Field, SecretStr, ValidationError

from twitchcat.config import TwitchSettings
from twitchcat.errors import ConfigError, CredentialsRefused, TwitchcatError, TwitchError

WHERE_TO_GET_THEM = "Create an application at https://dev.twitch.tv/console to get both."

#: For so long a failure to get a token is everyone's: those who waited for it do not each repeat it.
_FAILED_S = 5.0

#: Sends a request to the token endpoint, backing off; raises NetworkError.
Send = Callable[[], httpx.Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What Twitch says about the token in use."""

    client_id: str
    expires_in_s: int


class _Grant(BaseModel):
    access_token: SecretStr = Field(min_length=1)
    expires_in: int = 0


@dataclass(slots=True)
class AppToken:
    """One token for all threads. Its text is in no repr, no log and no error."""

    send: Send
    clock: Callable[[], float] = time.monotonic
    _token: SecretStr | None = field(default=None, init=False)
    _renew_at: float = field(default=float("inf"), init=False)
    _failure: TwitchcatError | None = field(default=None, init=False)
    _failed_until: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def get(self) -> SecretStr:
        """Return the token, fetching it the first time and shortly before it ends.

        Raises CredentialsRefused, TwitchError, NetworkError: for some seconds the same one to everybody.
        """
        with self._lock:
            if self._token is None or self.clock() >= self._renew_at:
                self._token = self._fetch_or_fail()
            return self._token

    def renew(self, refused: SecretStr) -> SecretStr:
        """Return a newer token than the refused one; one thread fetches it, the others get the same."""
        with self._lock:
            if self._token is None or self._token == refused:
                self._token = self._fetch_or_fail()
            return self._token

    def _fetch_or_fail(self) -> SecretStr:
        if self._failure is not None and self.clock() < self._failed_until:
            raise type(self._failure)(str(self._failure)) from self._failure
        try:
            token = self._fetch()
        except TwitchcatError as error:
            self._failure, self._failed_until = error, self.clock() + _FAILED_S
            raise
        self._failure = None
        return token

    def _fetch(self) -> SecretStr:
        answer = self.send()
        if answer.status_code in {400, 401, 403}:
            raise CredentialsRefused(
                f"Twitch refused twitch.client_id or twitch.client_secret ({_said(answer)}). "
                f"{WHERE_TO_GET_THEM}"
            )
        if answer.status_code != 200:
            raise TwitchError(f"Twitch gave no app token: it answered {answer.status_code}")
        try:
            grant = _Grant.model_validate_json(answer.content)
        except ValidationError:
            # Not chained: the validation error quotes the answer, which may hold the token.
            raise TwitchError("Twitch gave no app token: its answer is not what it documents") from None
        # A tenth of its life early, so that no request is sent with a token that ends on the way.
        self._renew_at = self.clock() + grant.expires_in * 0.9 if grant.expires_in > 0 else float("inf")
        return grant.access_token


def credentials(settings: TwitchSettings) -> tuple[str, SecretStr]:
    """Return client id and secret. Raises ConfigError that says how to set what is missing."""
    client_id, secret = settings.client_id, settings.client_secret
    missing = [
        f"twitch.{name} (or TWITCHCAT_TWITCH__{name.upper()})"
        for name, value in (
            ("client_id", client_id),
            ("client_secret", secret and secret.get_secret_value()),
        )
        if not value
    ]
    if missing or client_id is None or secret is None:
        raise ConfigError(f"set {' and '.join(missing)}. {WHERE_TO_GET_THEM}")
    return client_id, secret


def _said(answer: httpx.Response) -> str:
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
    return f"{answer.status_code} {message}"
