"""Which channel is visited next: the category furthest from its target, a channel of it at random.

Nothing here knows the network: who is live is asked of a function, and time is passed in.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twitchcat.config import CollectSettings
from twitchcat.dataset.visit import VisitOrder, VisitReport
from twitchcat.errors import ConfigError, CredentialsRefused, NetworkError, RateLimited, TwitchError
from twitchcat.twitch.entities import Category, Channel, LiveStream

#: Who is live changes slowly beside a visit, and what they declare is asked again after it.
LISTING_S = 30.0
#: Channels whose last visit is remembered.
REMEMBERED = 20_000


@dataclass(slots=True, kw_only=True)
class CategoryState:
    """How far one category is."""

    category: Category
    wanted: int  #: frames; its target
    kept: int = 0  #: frames in the dataset, by whomever collected
    added: int = 0  #: frames added by this process
    bytes_fetched: int = 0  #: by this process
    skipped: Counter[str] = field(default_factory=Counter)  #: frames and segments left out, by reason
    in_hand: int = 0  #: frames that visits under way may bring
    resting_until: float = 0.0  #: nobody to visit before this
    resting_because: str = ""
    exhausted: bool = False  #: nobody left to visit in this pass
    by_channel: Counter[str] = field(default_factory=Counter)  #: frames in the dataset, by channel id

    @property
    def missing(self) -> int:
        """Frames still to be ordered."""
        return self.wanted - self.kept - self.in_hand

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.kept >= self.wanted

    def order(self, frames: int) -> None:
        """Count frames that a visit was sent for."""
        self.in_hand += frames

    def account(self, report: VisitReport) -> None:
        """Count what a visit brought."""
        self.in_hand -= report.order.frames
        self.kept += report.frames_kept
        self.added += report.frames_kept
        self.by_channel[report.order.channel.id] += report.frames_kept
        self.bytes_fetched += report.bytes_fetched
        self.skipped.update(report.skipped)


class Plan(Protocol):
    """Says whom to visit next."""

    def next(self, now: float) -> VisitOrder | None:
        """The next visit, None if there is nobody to visit at this moment."""

    def account(self, report: VisitReport) -> None:
        """Take a finished visit into account."""

    def done(self) -> str | None:
        """Why there will be nobody to visit any more; None while there may be."""

    def states(self) -> Iterable[CategoryState]:
        """How far each category is."""


@dataclass(slots=True)
class Visited:
    """When channels were last visited by this process, and which are being visited now."""

    revisit_s: float
    remembered: float = math.inf  #: channels; past that, those that may be visited again are forgotten
    at: dict[str, float] = field(default_factory=dict)
    now: set[str] = field(default_factory=set)

    def begin(self, channel: Channel, now: float) -> None:
        """Note that a visit begins."""
        if len(self.at) >= self.remembered:  # in months of running
            self.at = {key: at for key, at in self.at.items() if now - at < self.revisit_s or key in self.now}
        self.at[channel.id] = now
        self.now.add(channel.id)

    def end(self, channel: Channel) -> None:
        """Note that a visit has ended."""
        self.now.discard(channel.id)

    def may(self, channel: Channel, now: float, *, once: bool) -> bool:
        """Whether the channel may be visited now."""
        if channel.id in self.now:
            return False
        last = self.at.get(channel.id)
        return last is None or (not once and now - last >= self.revisit_s)

    def first_due(self, channels: Iterable[Channel]) -> float:
        """When the first of these channels may be visited again; infinity if there are none."""
        return min(
            (self.at[one.id] + self.revisit_s for one in channels if one.id in self.at), default=math.inf
        )


Listing = Callable[[str], Sequence[LiveStream]]


class CategoryPlan:
    """Collects categories up to a target each. For one thread."""

    def __init__(
        self,
        states: Sequence[CategoryState],
        live_in: Listing,
        settings: CollectSettings,
        *,
        frames_per_visit: int,
        once: bool,
        choose: random.Random,
    ) -> None:
        """`live_in` says who is live in a category, by its id; `once`: no channel is visited twice."""
        self._states = {state.category.id: state for state in states}
        self._live_in = live_in
        self._settings = settings
        self._frames = frames_per_visit
        self._once = once
        self._choose = choose
        self._visited = Visited(settings.revisit.total_seconds(), math.inf if once else REMEMBERED)
        self._listings: dict[str, tuple[float, Sequence[LiveStream]]] = {}

    def states(self) -> Iterable[CategoryState]:
        """How far each category is."""
        return self._states.values()

    def next(self, now: float) -> VisitOrder | None:
        """The next visit: of the category furthest from its target whose channels can be visited.

        Raises ConfigError, CredentialsRefused, NetworkError and RateLimited; any other refusal of Twitch lets
        a category rest.
        """
        for state in self._furthest_first(now):
            try:
                streams = self._live(state.category.id, now)
            except (ConfigError, CredentialsRefused, NetworkError, RateLimited):
                raise  # it would be the same with every category
            except TwitchError as error:
                self._rest(state, now + LISTING_S, str(error))
                continue
            open_to = [stream for stream in streams if self._may_visit(stream, state, now)]
            if open_to:
                return self._order(self._choose.choice(open_to), state, now)
            state.exhausted = self._once
            again = self._visited.first_due(stream.channel for stream in streams)
            rested = now + self._settings.set_aside.total_seconds()
            why = "nobody new to visit" if streams else "nobody is live"
            self._rest(state, max(now + 1.0, min(again, rested)), why)
        return None

    def account(self, report: VisitReport) -> None:
        """Take a finished visit into account."""
        self._visited.end(report.order.channel)
        if report.category is not None:
            self._states[report.category.id].account(report)

    def done(self) -> str | None:
        """Why there will be nobody to visit any more."""
        if all(state.reached for state in self._states.values()):
            return "every target is reached"
        if all(state.reached or (state.exhausted and not state.in_hand) for state in self._states.values()):
            return "every live channel was visited"
        return None

    def _furthest_first(self, now: float) -> Iterator[CategoryState]:
        ready = [
            state
            for state in self._states.values()
            if state.missing > 0 and state.resting_until <= now and not state.exhausted
        ]
        # In shares of the target; the shuffle decides between equals.
        self._choose.shuffle(ready)
        return iter(sorted(ready, key=lambda state: state.missing / state.wanted, reverse=True))

    def _live(self, category_id: str, now: float) -> Sequence[LiveStream]:
        at, streams = self._listings.get(category_id, (-math.inf, ()))
        if now - at > LISTING_S:
            streams = self._live_in(category_id)
            self._listings[category_id] = (now, streams)
        return streams

    def _may_visit(self, stream: LiveStream, state: CategoryState, now: float) -> bool:
        return (
            is_permitted(stream.channel, self._settings)
            and stream.category is not None
            and stream.category.id == state.category.id
            and self._quota(stream.channel, state) > 0
            and self._visited.may(stream.channel, now, once=self._once)
        )

    def _quota(self, channel: Channel, state: CategoryState) -> int:
        """Frames that may still come from this channel."""
        return math.ceil(state.wanted * self._settings.channel_share) - state.by_channel[channel.id]

    def _order(self, stream: LiveStream, state: CategoryState, now: float) -> VisitOrder:
        frames = min(self._frames, state.missing, self._quota(stream.channel, state))
        state.order(frames)
        self._visited.begin(stream.channel, now)
        # Our own visits are further apart than this; it keeps us from where another process has just been.
        return VisitOrder(
            channel=stream.channel,
            stream=stream,
            frames=frames,
            unless_visited_within=self._settings.revisit / 2,
        )

    def _rest(self, state: CategoryState, until: float, because: str) -> None:
        state.resting_until = until
        state.resting_because = because


class LoginPlan:
    """Collects from exactly these channels, whatever they declare. For one thread."""

    def __init__(
        self,
        channels: Sequence[Channel],
        live_now: Callable[[Sequence[str]], Mapping[str, LiveStream]],
        settings: CollectSettings,
        *,
        frames_per_visit: int,
        state_of: Callable[[Category], CategoryState],
        once: bool,
    ) -> None:
        """`state_of` tells how far a category is when it is first met."""
        self._channels = channels
        self._live_now = live_now
        self._frames = frames_per_visit
        self._state_of = state_of
        self._once = once
        self._visited = Visited(settings.revisit.total_seconds())
        self._states: dict[str, CategoryState] = {}

    def states(self) -> Iterable[CategoryState]:
        """How far each category met so far is."""
        return self._states.values()

    def next(self, now: float) -> VisitOrder | None:
        """The next visit: the channels in turn, each when it is due. Raises TwitchError, StoreError."""
        due = [one for one in self._channels if self._visited.may(one, now, once=self._once)]
        if not due:
            return None
        channel = due[0]
        stream = self._live_now([channel.login]).get(channel.login)
        if stream is not None and stream.category is not None:
            if stream.category.id not in self._states:
                self._states[stream.category.id] = self._state_of(stream.category)
            self._states[stream.category.id].order(self._frames)
        self._visited.begin(channel, now)  # last: an order that could not be made is tried again
        return VisitOrder(channel=channel, stream=stream, frames=self._frames)

    def account(self, report: VisitReport) -> None:
        """Take a finished visit into account."""
        self._visited.end(report.order.channel)
        if report.category is not None:
            self._states[report.category.id].account(report)

    def done(self) -> str | None:
        """Why there will be nobody to visit any more."""
        if self._visited.now:
            return None
        if len(self._visited.at) < len(self._channels):
            return None
        if self._once:
            return "every channel was visited"
        if self._states and all(state.reached for state in self._states.values()):
            return "every target is reached"
        return None


def is_permitted(channel: Channel, settings: CollectSettings) -> bool:
    """Whether the operator lets this channel be visited: not denied, and allowed if any are named."""
    return channel.login not in settings.deny and (not settings.allow or channel.login in settings.allow)
