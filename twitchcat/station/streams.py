"""What the Twitch plugin of streamlink asks for: GQL, usher, playlists and segments."""

import hashlib
import hmac
import json
import random
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from twitchcat.station.addresses import PlaylistAddress, Rendition, SegmentAddress
from twitchcat.station.context import Context, note
from twitchcat.station.faults import FaultKind
from twitchcat.station.lineup import OnAir
from twitchcat.station.media import Container, Segment
from twitchcat.station.playlists import MediaPlaylist, master, renditions, variant_id
from twitchcat.station.responses import PacedResponse, part_of_body
from twitchcat.station.timeline import AdBreak, Loop, window_at

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPES = {Container.TS: "video/mp2t", Container.MP4: "video/mp4"}

_POD_S = 30.0  #: of a channel that shows nothing but ads
_SLOW_S = 5.0


class Streams:
    """The stream side of the station."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lineup = context.lineup
        self._key = secrets.token_bytes(16)  # signs access tokens

    async def gql(self, request: Request) -> Response:
        """POST /gql: one operation, or a list of them."""
        if self._lineup.fault(None, FaultKind.SERVER_ERROR):
            return _server_error()
        try:
            asked = json.loads(await request.body())
            answers = [
                await self._operation(request, one) for one in (asked if isinstance(asked, list) else [asked])
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            message = 'The "query" or the persisted query of the request is malformed.'
            return JSONResponse({"error": "Bad Request", "status": 400, "message": message}, 400)
        return JSONResponse(answers if isinstance(asked, list) else answers[0])

    async def _operation(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        name, variables = asked["operationName"], asked["variables"]
        login = str(variables.get("login") or variables.get("channelLogin") or "")
        channel = self._lineup.find(login)
        note(request, operation=name, login=login.lower() or None)
        live = channel is not None and channel.live
        match name:
            case "PlaybackAccessToken":
                if self._lineup.fault(channel, FaultKind.INTEGRITY):
                    where = ["streamPlaybackAccessToken"]
                    return {
                        "errors": [{"message": "failed integrity check", "path": where}],
                        "data": {where[0]: None},
                    }
                token = await self._access_token(channel) if channel is not None and live else None
                return {"data": {"streamPlaybackAccessToken": token}}
            case "ChannelShell":
                user = (
                    {"id": channel.plan.user_id, "login": channel.login, "displayName": channel.login}
                    if channel
                    else {}
                )
                return {"data": {"userOrError": user or {"reason": "UNKNOWN", "login": login}}}
            case "StreamMetadata":
                return {"data": {"user": self._metadata(channel) if channel else None}}
        return {"errors": [{"message": "PersistedQueryNotFound"}]}

    def _metadata(self, channel: OnAir) -> dict[str, Any]:
        name = channel.category_at(self._lineup.clock())
        stream = {"id": channel.stream_id, "type": "live", "game": {"name": name} if name else None}
        return {
            "id": channel.plan.user_id,
            "lastBroadcast": {"id": channel.stream_id, "title": channel.plan.title},
            "stream": stream if channel.live else None,
        }

    async def _access_token(self, channel: OnAir) -> dict[str, str]:
        restricted: list[str] = []
        if self._lineup.fault(channel, FaultKind.SUBSCRIBER_ONLY):
            video = await self._context.segments.video(channel.plan.file)
            restricted = [variant_id(video, rendition) for rendition in renditions(video)]
        now = int(self._lineup.clock())
        value = json.dumps(
            {
                "adblock": False,
                "authorization": {"forbidden": False, "reason": ""},
                "blackout_enabled": False,
                "channel": channel.login,
                "channel_id": int(channel.plan.user_id),
                "chansub": {"restricted_bitrates": restricted, "view_until": 1924905600},
                "ci_gb": False,
                "geoblock_reason": "",
                "device_id": secrets.token_hex(8),
                "expires": now + round(self._context.options.access_token_s),
                "extended_history_allowed": False,
                "game": "",
                "hide_ads": False,
                "https_required": True,
                "mature": False,
                "partner": False,
                "platform": "web",
                "player_type": "site",
                "private": {"allowed_to_view": True},
                "privileged": False,
                "role": "",
                "server_ads": True,
                "show_ads": True,
                "subscriber": False,
                "turbo": False,
                "user_id": None,
                "user_ip": "127.0.0.1",
                "version": 2,
            },
            separators=(",", ":"),
        )
        return {"value": value, "signature": self._sign(value)}

    def _sign(self, value: str) -> str:
        return hmac.new(self._key, value.encode(), hashlib.sha1).hexdigest()

    async def usher(self, request: Request) -> Response:
        """GET /api/v2/channel/hls/LOGIN.m3u8: the master playlist, against a good access token."""
        login = request.path_params["login"].lower()
        note(request, login=login)
        channel = self._lineup.find(login)
        token = request.query_params.get("token", "")
        now = self._lineup.clock()
        refusal = self._refusal(login, token, request.query_params.get("sig", ""), now)
        if refusal is not None:
            return _usher_error(request, 403, *refusal)
        if self._lineup.fault(channel, FaultKind.SERVER_ERROR):
            return _server_error()
        if channel is None or not channel.live:
            message = "twirp error not_found: transcode does not exist"
            return _usher_error(request, 404, message, "transcode_does_not_exist")
        if self._lineup.fault(channel, FaultKind.GEOBLOCKED):
            return _usher_error(request, 403, "Content Restricted In Region", "content_geoblocked")
        video = await self._context.segments.video(channel.plan.file)
        offered = renditions(video)
        if any(
            self._lineup.fault(channel, kind) for kind in (FaultKind.AUDIO_ONLY, FaultKind.SUBSCRIBER_ONLY)
        ):
            offered = (Rendition.AUDIO,)
        return PlainTextResponse(master(video, login, offered, now_s=now), media_type=PLAYLIST_TYPE)

    def _refusal(self, login: str, token: str, signature: str, now: float) -> tuple[str, str] | None:
        """What is wrong with an access token: the message and the code; None if nothing is."""
        if not hmac.compare_digest(self._sign(token).encode(), signature.encode()):
            return "signature does not match", "nauth_sig_invalid"
        access = json.loads(token)
        if access["expires"] < now:
            return "token has expired", "nauth_token_expired"
        if access["channel"] != login:
            return "token is of another channel", "nauth_token_invalid"
        return None

    async def playlist(self, request: Request) -> Response:
        """GET /v1/playlist/TOKEN.m3u8: a media playlist."""
        try:
            address = PlaylistAddress.parse(request.path_params["token"])
        except ValueError:
            return PlainTextResponse("Can not find channel", 404)
        note(request, login=address.login, rendition=address.rendition.value)
        channel = self._lineup.find(address.login)
        if self._lineup.fault(channel, FaultKind.SERVER_ERROR):
            return _server_error()
        if channel is None or not self._lineup.is_live(channel):
            return PlainTextResponse("Can not find channel", 404)
        if self._expired(channel, address):
            return PlainTextResponse("Forbidden", 403)
        if self._lineup.fault(channel, FaultKind.BAD_PLAYLIST):
            return HTMLResponse("<!doctype html><title>Welcome</title><p>Please sign in to this network.</p>")
        return PlainTextResponse(
            await self._media_playlist(channel, address.rendition), media_type=PLAYLIST_TYPE
        )

    def _expired(self, channel: OnAir, address: PlaylistAddress) -> bool:
        issued_s, now = address.issued_ms / 1000, self._lineup.clock()
        expiry = self._lineup.fault(channel, FaultKind.TOKEN_EXPIRY)
        if expiry is not None:
            lives_s = expiry.fault.seconds
            if issued_s <= expiry.since_s if lives_s is None else now - issued_s > lives_s:
                return True
        return now - issued_s > self._context.options.playlist_s

    async def _media_playlist(self, channel: OnAir, rendition: Rendition) -> str:
        loop = await self._loop(channel)
        elapsed_s, ads = self._moment(channel), self._ads(channel)
        audio = rendition is Rendition.AUDIO
        mp4 = not audio and self._lineup.fault(channel, FaultKind.FMP4) is not None
        return MediaPlaylist(
            login=channel.login,
            stream_id=channel.stream_id,
            rendition=rendition,
            epoch=channel.epoch,
            container=Container.MP4 if mp4 else Container.TS,
            origin_s=channel.origin_s,
            loop=loop,
            window=window_at(loop, elapsed_s=elapsed_s, size=self._lineup.window, ads=ads),
            ads=ads,
        ).text()

    async def _loop(self, channel: OnAir) -> Loop:
        video = await self._context.segments.video(channel.plan.file)
        return self._context.loop(channel, video)

    def _moment(self, channel: OnAir) -> float:
        frozen = self._lineup.fault(channel, FaultKind.FROZEN_PLAYLIST)
        return (frozen.since_s if frozen else self._lineup.clock()) - channel.origin_s

    def _ads(self, channel: OnAir) -> tuple[AdBreak, ...]:
        """The ad breaks of a channel, in seconds since its segment 0."""
        ads = [AdBreak(one.begin_s - channel.origin_s, one.end_s - channel.origin_s) for one in channel.ads]
        if self._lineup.fault(channel, FaultKind.ADS_ONLY):
            pod = int(self._moment(channel) // _POD_S)
            # Pods enough for the longest window, one after another.
            ads += [
                AdBreak(n * _POD_S, (n + 1) * _POD_S) for n in range(pod - 2 - self._lineup.window, pod + 3)
            ]
        return tuple(ads)

    async def segment(self, request: Request) -> Response:
        """GET /v1/segment/TOKEN.ts or .mp4: a segment, or a range of it."""
        try:
            address = SegmentAddress.parse(request.path_params["token"], request.path_params["container"])
        except ValueError:
            return PlainTextResponse("Not Found", 404)
        note(
            request,
            login=address.login,
            rendition=address.rendition.value,
            number=address.number,
            kind="init" if address.init else "segment",
        )
        channel = self._lineup.find(address.login)
        if self._lineup.fault(channel, FaultKind.SERVER_ERROR):
            return _server_error()
        if (
            channel is None
            or not self._lineup.is_live(channel)
            or self._lineup.fault(channel, FaultKind.NOT_FOUND)
        ):
            return PlainTextResponse("Not Found", 404)
        loop = await self._loop(channel)
        newest = loop.number_at(self._moment(channel)) + 2
        # Segments outlive their place in the playlist by a whole window, as a slow client needs it.
        oldest = newest - 2 * self._lineup.window - 2
        known = address.epoch == channel.epoch and oldest <= address.number <= newest
        if not (known or address.init):
            return PlainTextResponse("Not Found", 404)
        video = await self._context.segments.video(channel.plan.file)
        made = await self._context.segments.segment(video, address, loop.slot(address.number))
        return self._bytes(request, channel, made, SEGMENT_TYPES[address.container])

    def _bytes(self, request: Request, channel: OnAir, made: Segment, media_type: str) -> Response:
        data = made.data
        if self._lineup.fault(channel, FaultKind.TRUNCATED) and made.keyframe:
            data = made.truncated()
        elif self._lineup.fault(channel, FaultKind.GARBAGE):
            data = random.Random(len(data)).randbytes(len(data))  # noqa: S311  noise, no secret
        wanted, status, headers = None, 200, {"accept-ranges": "bytes"}
        if self._lineup.fault(channel, FaultKind.NO_RANGES):
            headers = {}
        else:
            try:
                wanted = part_of_body(request.headers.get("range"), len(data))
            except ValueError:
                return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
        if wanted is not None:
            status = 206
            headers["content-range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{len(data)}"
            data = data[wanted.start : wanted.stop]
        slow = self._lineup.fault(channel, FaultKind.SLOW)
        stalled = self._lineup.fault(channel, FaultKind.STALLED)
        if slow or stalled:
            return PacedResponse(
                data,
                status=status,
                headers=headers,
                media_type=media_type,
                closing=self._context.closing,
                span_s=(slow.fault.seconds or _SLOW_S) if slow else 0.0,
                stop_after=len(data) // 2 if stalled else None,
            )
        return Response(data, status, headers, media_type)


def _server_error() -> Response:
    return PlainTextResponse("Internal Server Error", 500)


def _usher_error(request: Request, status: int, error: str, code: str) -> Response:
    entry = {"url": str(request.url), "error": error, "error_code": code, "type": "error"}
    return JSONResponse([entry], status)
