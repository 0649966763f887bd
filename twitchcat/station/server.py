"""The station as a server: on loopback, in a thread of its own."""

import asyncio
import errno
import socket
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from twitchcat.errors import ConfigError
from twitchcat.station.app import Logged, routes
from twitchcat.station.context import Context, StationOptions
from twitchcat.station.folder import read_folder
from twitchcat.station.lineup import EVERYWHERE, Lineup, OnAir
from twitchcat.station.oauth import Tokens
from twitchcat.station.requests import Asked

HOST = "127.0.0.1"

_LOGGED = 20_000  #: requests remembered
_LAST_WORDS_S = 0.5  #: for answers in hand when the station closes
_LOOK_S = 0.005  #: between looks whether they have ended


class Station:
    """A Twitch that plays `folder`, as a context manager: on the air within `with`.

    `port` 0 takes a free one. Raises ConfigError where there is nothing to play or the port is taken.
    The switches may be thrown from any thread while it runs.
    """

    def __init__(self, folder: Path, *, port: int = 0, options: StationOptions | None = None) -> None:
        self.options = options or StationOptions()
        plan = read_folder(folder, channels=self.options.channels)
        self._lineup = Lineup(plan, window=self.options.window, clock=self.options.clock)
        for login, faults in self.options.faults.items():
            self._lineup.set_fault(login, faults)
        self._tokens = Tokens(self.options)
        self._log: deque[Asked] = deque(maxlen=_LOGGED)
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Go on the air."""
        try:
            listening = socket.create_server((HOST, self._port), backlog=1024)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            raise ConfigError(f"port {self._port} of {HOST} cannot be taken: {error.strerror}") from error
        # Connections inherit it. asyncio sets it only on sockets made with an explicit protocol; without it
        # every answer that is sent in two parts waits 40 ms for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listening.getsockname()[1]
        context = Context(self.options, self._lineup)
        app = Logged(routes(context, self._tokens), context, self._log)
        self._server = _Server(app, context)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="station"
        )
        self._thread.start()
        self._server.up.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go off the air: answers in hand are cut off, the threads end, the port is free again."""
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join()
            self._server = None

    @property
    def url(self) -> str:
        """Its address; known once it is on the air."""
        return f"http://{HOST}:{self._port}"

    def settings(self) -> dict[str, dict[str, str]]:
        """The settings of twitchcat that lead to this station."""
        return {
            "twitch": {
                "rewrite": self.url,
                "helix_url": f"{self.url}/helix",
                "auth_url": f"{self.url}/oauth2",
                "client_id": self.options.client_id,
                "client_secret": self.options.client_secret,
            }
        }

    @property
    def lineup(self) -> Lineup:
        """The channels and their switches."""
        return self._lineup

    @property
    def channels(self) -> tuple[OnAir, ...]:
        """Every channel, live or not."""
        return self._lineup.channels

    @property
    def requests(self) -> tuple[Asked, ...]:
        """What was asked and answered so far, oldest first; the last 20 000."""
        return tuple(self._log)

    def set_fault(self, login: str, fault: str | None) -> None:
        """Replace the faults of a channel (or of all, with `*`): `slow:2,no_ranges`; None ends them."""
        self._lineup.set_fault(login, fault)

    def clear_faults(self) -> None:
        """End every fault."""
        self._lineup.set_fault(EVERYWHERE, None)

    def set_category(self, login: str, category: str | None) -> None:
        """Declare another category from now on, for all with `*`; None is none."""
        self._lineup.set_category(login, category)

    def set_live(self, login: str, live: bool) -> None:
        """Begin or end the broadcast (all of them, with `*`): GQL, usher and Helix all know at once."""
        self._lineup.set_live(login, live)

    def start_ads(self, login: str, seconds: float, *, ago_s: float = 0.0) -> None:
        """Begin an ad break with the next segment, or so many seconds ago: it is in the window then.

        With `*`, on every channel.
        """
        self._lineup.start_ads(login, seconds, ago_s=ago_s)

    def expire_tokens(self) -> None:
        """End every app token given out so far."""
        self._tokens.expire()


class _Server(uvicorn.Server):
    """uvicorn, which tells when it is up, ends at once, and lets go of answers that would never end."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                loop="asyncio",
                http="h11",
                ws="none",
                access_log=False,
                log_config=None,
                log_level="critical",  # a client that hangs up in mid answer is no news here
                timeout_keep_alive=30,
            )
        )
        self.up = threading.Event()
        self._context = context
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Go off the air; from any thread, once it is up."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._context.closing.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.up.set()

    async def main_loop(self) -> None:
        """Keep the Date header right until the end, which uvicorn's own loop notices 0.1 s late."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._context.closing.wait(), timeout=1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut off what trickles, let the rest end if it does so soon, and give the threads back.

        In place of uvicorn's own, which takes 0.1 s at least, and 0.2 s with a connection open.
        """
        self._context.closing.set()
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        try:
            await asyncio.wait_for(self._all_gone(), timeout=_LAST_WORDS_S)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
            for connection in self.server_state.connections:
                connection.transport.abort()
            await self._all_gone()
        self._context.segments.close()

    async def _all_gone(self) -> None:
        """Close each connection when its answer has ended, and wait until there is none."""
        told: set[object] = set()
        while self.server_state.connections or self.server_state.tasks:
            for connection in self.server_state.connections - told:
                connection.shutdown()
                told.add(connection)
            await asyncio.sleep(_LOOK_S)
