"""What is on air: the channels' state, and the switches that change it while the station runs."""

import difflib
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from twitchcat.errors import ConfigError
from twitchcat.station.faults import Fault, FaultKind, parse_faults
from twitchcat.station.folder import ChannelPlan, Folder, number_for
from twitchcat.station.media import SEGMENT_S
from twitchcat.station.timeline import AdBreak

EVERYWHERE = "*"

_YOUNGEST_S = 1800  # a broadcast began this long ago at least, so that its window is full
_OLDEST_S = 3 * 3600


@dataclass(frozen=True, slots=True)
class Active:
    """A fault that is set."""

    fault: Fault
    since_s: float  #: Unix time

    @property
    def kind(self) -> FaultKind:
        """Its kind."""
        return self.fault.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAir:
    """One channel at a moment. Times are Unix times in seconds."""

    plan: ChannelPlan
    started_s: float  #: of the broadcast, as Helix names it
    origin_s: float  #: when segment 0 began
    epoch: int = 0  #: how often the segment numbers have started again
    live: bool = True
    categories: tuple[tuple[float, str], ...]  #: (from when, category), oldest first; the first always holds
    ads: tuple[AdBreak, ...] = ()
    faults: Mapping[FaultKind, Active] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """The channel's name in its address."""
        return self.plan.login

    @property
    def stream_id(self) -> str:
        """Twitch's id of the broadcast."""
        return str(number_for(f"stream {self.login} {self.started_s:.0f}", digits=11))

    def category_at(self, now_s: float) -> str:
        """The category declared at a moment; "" where there is none."""
        return next((name for since, name in reversed(self.categories) if since <= now_s), self.plan.declares)


class Lineup:
    """The channels by login. Every switch may be thrown from any thread."""

    def __init__(self, folder: Folder, *, window: int, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.window = window
        self.clock = clock
        self._switching = threading.Lock()
        self._opened_s = clock()
        self._everywhere: Mapping[FaultKind, Active] = {}
        self._on_air = {plan.login: self._begin(plan) for plan in folder.channels}
        self._flaps = itertools.count()

    def _begin(self, plan: ChannelPlan) -> OnAir:
        now = self._opened_s
        # Each broadcast has another age, down to the millisecond, and so another rhythm of segments.
        age_s = _YOUNGEST_S + number_for(f"age {plan.login}") / 1000 % (_OLDEST_S - _YOUNGEST_S)
        return OnAir(
            plan=plan,
            started_s=now - age_s,
            origin_s=now - age_s,
            live=plan.live,
            categories=tuple(sorted((now + after, name) for after, name in plan.timetable)),
            ads=tuple(AdBreak(now + after, now + after + span) for after, span in plan.ads),
            faults={fault.kind: Active(fault, now) for fault in parse_faults(plan.faults)},
        )

    @property
    def channels(self) -> tuple[OnAir, ...]:
        """Every channel, live or not."""
        return tuple(self._on_air.values())

    def find(self, login: str) -> OnAir | None:
        """The channel of a login, in any case."""
        return self._on_air.get(login.lower())

    def fault(self, channel: OnAir | None, kind: FaultKind) -> Active | None:
        """The fault of a kind that is set for all or for a channel; None asks for the former alone."""
        return self._everywhere.get(kind) or (channel.faults.get(kind) if channel else None)

    def faults_of(self, channel: OnAir) -> tuple[Fault, ...]:
        """Every fault that is set for a channel, those set for all included."""
        return tuple(active.fault for active in {**channel.faults, **self._everywhere}.values())

    def is_live(self, channel: OnAir) -> bool:
        """Whether Helix lists the channel's broadcast."""
        return channel.live and self.fault(channel, FaultKind.OFFLINE) is None

    def declared(self, channel: OnAir) -> str:
        """The category that Helix names now; it changes at each call while it flaps."""
        if self.fault(channel, FaultKind.FLAPPING_CATEGORY) is None:
            return channel.category_at(self.clock())
        names = self.categories()
        return names[next(self._flaps) % len(names)]

    def categories(self) -> tuple[str, ...]:
        """Every category that the station knows, by name."""
        known = {plan.shows for plan in self.folder.channels} | {
            plan.declares for plan in self.folder.channels
        }
        known |= {name for channel in self.channels for _, name in channel.categories}
        return tuple(sorted(known - {""}))

    def set_fault(self, login: str, fault: str | None) -> None:
        """Replace the faults of a channel, or with `*` of all; None or "" ends them. Raises ConfigError."""
        now = self.clock()
        faults = {one.kind: Active(one, now) for one in parse_faults(fault or "")}
        if login == EVERYWHERE:
            with self._switching:
                self._everywhere = faults
                if not faults:
                    self._on_air = {name: replace(one, faults={}) for name, one in self._on_air.items()}
        else:
            self._change(login, lambda channel: replace(channel, faults=faults))
        if FaultKind.SEQUENCE_RESET in faults:
            self._change(login, self._reset)

    def _reset(self, channel: OnAir) -> OnAir:
        # The broadcaster came back a whole window ago; the numbers count from there.
        origin_s = self.clock() - self.window * SEGMENT_S
        return replace(channel, origin_s=origin_s, epoch=channel.epoch + 1)

    def set_category(self, login: str, category: str | None) -> None:
        """Declare another category from now on; None or "" is none.

        `*` is for all channels. Raises ConfigError for an unknown one.
        """
        change = (self.clock(), category or "")
        self._change(
            login,
            lambda channel: replace(
                channel, categories=tuple(sorted((*channel.categories, change), key=lambda one: one[0]))
            ),
        )

    def set_live(self, login: str, live: bool) -> None:
        """Begin or end the broadcast, all of them with `*`. Raises ConfigError for an unknown channel."""
        self._change(login, lambda channel: replace(channel, live=live))

    def start_ads(self, login: str, seconds: float, *, ago_s: float = 0.0) -> None:
        """Begin an ad break with the next segment, or so many seconds ago: then it is in the window already.

        `*` is for all channels. Raises ConfigError for an unknown one.
        """
        begin_s = self.clock() - ago_s
        ads = AdBreak(begin_s, begin_s + seconds)
        self._change(login, lambda channel: replace(channel, ads=(*channel.ads, ads)))

    def _change(self, login: str, change: Callable[[OnAir], OnAir]) -> None:
        with self._switching:
            if login == EVERYWHERE:
                self._on_air = {name: change(channel) for name, channel in self._on_air.items()}
                return
            channel = self.find(login)
            if channel is None:
                near = difflib.get_close_matches(login, list(self._on_air), n=1)
                raise ConfigError(
                    f"there is no channel {login}" + (f"; did you mean {near[0]}?" if near else "")
                )
            self._on_air[channel.login] = change(channel)
