"""The station's own switches over HTTP: GET and PUT /station/channels."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from twitchcat.errors import ConfigError
from twitchcat.station.context import note
from twitchcat.station.lineup import EVERYWHERE, Lineup, OnAir
from twitchcat.station.oauth import Tokens


class Switches(BaseModel):
    """What a PUT may change; what it leaves out stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str | None = None  #: null or "" ends the channel's faults
    category: str | None = None  #: null or "" declares none
    live: bool | None = None
    ads_s: Annotated[float, Field(gt=0)] | None = None  #: an ad break of so many seconds
    ads_ago_s: Annotated[float, Field(ge=0)] = 0.0  #: that began so long ago


class Control:
    """The switches."""

    def __init__(self, lineup: Lineup, tokens: Tokens) -> None:
        self._lineup = lineup
        self._tokens = tokens

    async def channels(self, _request: Request) -> Response:
        """GET /station/channels."""
        return JSONResponse([describe(self._lineup, channel) for channel in self._lineup.channels])

    async def switch(self, request: Request) -> Response:
        """PUT /station/channels/LOGIN; with * for the login it is for all."""
        login = request.path_params["login"]
        note(request, login=login)
        known = bool(self._channels(login))
        try:
            switches = Switches.model_validate_json(await request.body())
            self._throw(login, switches)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return JSONResponse({"error": f"{where}: {first['msg']}".removeprefix(": ")}, 400)
        except ConfigError as error:
            return JSONResponse({"error": str(error)}, 400 if known else 404)
        return JSONResponse([describe(self._lineup, channel) for channel in self._channels(login)])

    def _channels(self, login: str) -> Sequence[OnAir]:
        if login == EVERYWHERE:
            return self._lineup.channels
        found = self._lineup.find(login)
        return [] if found is None else [found]

    def _throw(self, login: str, switches: Switches) -> None:
        if "fault" in switches.model_fields_set:
            self._lineup.set_fault(login, switches.fault)
        if "category" in switches.model_fields_set:
            self._lineup.set_category(login, switches.category)
        if switches.live is not None:
            self._lineup.set_live(login, switches.live)
        if switches.ads_s is not None:
            self._lineup.start_ads(login, switches.ads_s, ago_s=switches.ads_ago_s)

    async def expire_tokens(self, _request: Request) -> Response:
        """DELETE /station/tokens: every app token ends, as when Twitch revokes them."""
        self._tokens.expire()
        return Response(status_code=204)


def describe(lineup: Lineup, channel: OnAir) -> dict[str, Any]:
    """A channel as JSON shows it."""
    now = lineup.clock()
    return {
        "login": channel.login,
        "shows": channel.plan.shows,
        "declares": channel.category_at(now),
        "live": lineup.is_live(channel),
        "viewers": channel.plan.viewers,
        "language": channel.plan.language,
        "ads": any(one.begin_s <= now < one.end_s for one in channel.ads),
        "faults": [str(fault) for fault in lineup.faults_of(channel)],
        "file": str(channel.plan.file),
    }
