"""`twitchcat collect` put together: who is asked, what is visited, where it is kept."""

import os
import random
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from twitchcat.config import Settings
from twitchcat.dataset.collector import Collector, Observer, Summary
from twitchcat.dataset.database import Database, open_database
from twitchcat.dataset.identity import bind
from twitchcat.dataset.images import ImageStore
from twitchcat.dataset.importing.categories import adopt
from twitchcat.dataset.locks import ChannelClaims
from twitchcat.dataset.plan import CategoryPlan, CategoryState, LoginPlan, Plan, is_permitted
from twitchcat.dataset.pool import LocalPool
from twitchcat.dataset.recorder import Recorder, save_categories
from twitchcat.dataset.tally import refresh, tally
from twitchcat.dataset.visit import VisitOrder, VisitReport
from twitchcat.dataset.visitor import Visitor
from twitchcat.errors import ConfigError, NoSuchChannel
from twitchcat.twitch.entities import Category, Channel
from twitchcat.twitch.helix import HelixClient
from twitchcat.twitch.live import LiveStreams

#: Streams of a category that one listing asks for, the most watched ones; a channel is drawn from these.
LISTED = 300
#: Streams taken from at once, per core: most of a visit is waiting for the network.
CHANNELS_PER_CORE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectRequest:
    """What to collect; unset parts come from the settings."""

    categories: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    once: bool = False  #: no channel twice
    duration: timedelta | None = None  #: None: until every target is reached


def collect(
    settings: Settings, request: CollectRequest, *, observer: Observer, stop: threading.Event
) -> Summary:
    """Collect frames of live streams into the dataset until done or stopped.

    Raises ConfigError, StoreError, TwitchError; NoSuchChannel if none of the logins is a channel's.
    """
    with ExitStack() as stack:
        helix = stack.enter_context(HelixClient(settings.twitch, stop=stop))
        database = stack.enter_context(open_database(settings))
        streams = stack.enter_context(LiveStreams(settings, live_state=helix.live_state, stop=stop))
        claims = stack.enter_context(ChannelClaims(database))
        store = image_store(settings)
        bind(database, store)
        channels, unknown = _channels(settings, request.logins, helix)
        plan = _plan(settings, request, channels, helix, database)
        visitor = Visitor(
            settings,
            live_now=helix.live_now,
            streams=streams,
            recorder=Recorder(database, store),
            claims=claims,
            stop=stop,
        )
        size = settings.capture.channels or CHANNELS_PER_CORE * (os.cpu_count() or 1)
        pool: LocalPool[VisitOrder, VisitReport] = stack.enter_context(LocalPool(visitor.visit, size=size))
        collector = Collector(
            plan,
            pool,
            observer=observer,
            stop=stop,
            refresh=partial(refresh, database),
            held_for=streams.held_for,
            patient=not request.once,
            seconds=request.duration.total_seconds() if request.duration else None,
        )
        return replace(collector.run(), unknown=unknown)


def image_store(settings: Settings) -> ImageStore:
    """The image store that these settings name."""
    return ImageStore(settings.data_dir / "images")


def _plan(
    settings: Settings,
    request: CollectRequest,
    channels: Sequence[Channel],
    helix: HelixClient,
    database: Database,
) -> Plan:
    wanted = settings.collect.per_category

    def state_of(category: Category) -> CategoryState:
        by_channel = tally(database, [category.id])[category.id]
        return CategoryState(category=category, wanted=wanted, kept=by_channel.total(), by_channel=by_channel)

    if request.logins:
        return LoginPlan(
            channels,
            helix.live_now,
            settings.collect,
            frames_per_visit=settings.capture.frames,
            state_of=state_of,
            once=request.once,
        )
    categories = _categories(settings, request, helix)
    with database.begin() as connection:
        save_categories(connection, categories)
        adopt(connection, categories)
    return CategoryPlan(
        [state_of(category) for category in categories],
        partial(helix.live_in, languages=settings.collect.languages, limit=LISTED),
        settings.collect,
        frames_per_visit=settings.capture.frames,
        once=request.once,
        choose=random.Random(),  # noqa: S311 - a fair choice, not a secret
    )


def _categories(settings: Settings, request: CollectRequest, helix: HelixClient) -> Sequence[Category]:
    names = request.categories or settings.collect.categories
    if names:
        found = helix.categories_named(names)
        return list({category.id: category for category in found.values()}.values())
    # Of the top ones some are no games: ask for more than are wanted.
    wanted, games_only = settings.collect.top, settings.collect.games_only
    top = helix.top_categories(2 * wanted if games_only else wanted)
    chosen = [category for category in top if category.is_game or not games_only][:wanted]
    if not chosen:
        raise ConfigError("Twitch names no category to collect; name some with --category")
    return chosen


def _channels(
    settings: Settings, logins: Sequence[str], helix: HelixClient
) -> tuple[Sequence[Channel], tuple[str, ...]]:
    """The channels of these logins, and the logins that are nobody's."""
    users = helix.users(logins) if logins else {}
    unknown = tuple(login for login in logins if login not in users)
    if unknown and not users:
        raise NoSuchChannel(f"no such channel: {', '.join(unknown)}")
    refused = [login for login, channel in users.items() if not is_permitted(channel, settings.collect)]
    if refused:
        raise ConfigError(f"collect.deny or collect.allow forbid visiting {', '.join(refused)}")
    return list(users.values()), unknown
