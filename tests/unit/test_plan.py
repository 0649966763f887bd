"""Whom to visit next: the category furthest from its target, a channel of it at random, within the rules."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from twitchcat.config import CollectSettings
from twitchcat.dataset.plan import LISTING_S, CategoryPlan, CategoryState, LoginPlan
from twitchcat.dataset.visit import Outcome, VisitOrder, VisitReport
from twitchcat.errors import CredentialsRefused, NetworkError, RateLimited, StoreError, TwitchError
from twitchcat.twitch.entities import Category, Channel, LiveStream

AT = datetime(2026, 11, 20, tzinfo=UTC)
CHESS = Category(id="1", name="Chess")
DOOM = Category(id="2", name="Doom")


def channel(login: str) -> Channel:
    return Channel(id=f"id-{login}", login=login, display_name=login.title())


def live(login: str, category: Category | None = CHESS) -> LiveStream:
    return LiveStream(
        id=f"stream-{login}",
        channel=channel(login),
        category=category,
        title="",
        tags=(),
        language="en",
        viewers=1,
        started_at=AT,
    )


def state(category: Category, *, wanted: int = 100, kept: int = 0, **by_channel: int) -> CategoryState:
    counts = Counter({f"id-{login}": count for login, count in by_channel.items()})
    return CategoryState(category=category, wanted=wanted, kept=kept, by_channel=counts)


def report(order: VisitOrder, *, kept: int, outcome: Outcome = Outcome.KEPT) -> VisitReport:
    return VisitReport(order=order, outcome=outcome, frames_kept=kept, started_at=AT, finished_at=AT)


class Directory:
    """Who is live, and how often it was asked."""

    def __init__(self, **streams: Sequence[LiveStream]) -> None:
        self.streams = {{"chess": CHESS, "doom": DOOM}[name].id: live for name, live in streams.items()}
        self.asked: list[str] = []
        self.error: Exception | None = None

    def live_in(self, category_id: str) -> Sequence[LiveStream]:
        self.asked.append(category_id)
        if self.error is not None:
            raise self.error
        return self.streams.get(category_id, ())


def plan(
    directory: Directory, *states: CategoryState, once: bool = False, frames: int = 6, **settings: Any
) -> CategoryPlan:
    return CategoryPlan(
        states,
        directory.live_in,
        CollectSettings(**{"channel_share": 1.0, **settings}),
        frames_per_visit=frames,
        once=once,
        choose=random.Random(7),
    )


def logins(subject: CategoryPlan, *, count: int, now: float = 0.0) -> list[str | None]:
    orders = [subject.next(now) for _ in range(count)]
    return [order.channel.login if order else None for order in orders]


def test_the_category_furthest_from_its_target_comes_first() -> None:
    directory = Directory(chess=[live("a")], doom=[live("b", DOOM)])
    subject = plan(directory, state(CHESS, kept=90), state(DOOM, kept=10))
    assert logins(subject, count=1) == ["b"]


def test_visits_under_way_count_so_that_no_category_is_flooded() -> None:
    directory = Directory(
        chess=[live(f"c{n}") for n in range(9)], doom=[live(f"d{n}", DOOM) for n in range(9)]
    )
    subject = plan(directory, state(CHESS), state(DOOM))
    chosen = logins(subject, count=8)
    assert Counter(str(login)[0] for login in chosen) == {"c": 4, "d": 4}


def test_no_more_is_ordered_than_is_missing() -> None:
    subject = plan(Directory(chess=[live("a"), live("b")]), state(CHESS, wanted=10, kept=2))
    orders = [subject.next(0.0) for _ in range(3)]
    assert [order.frames if order else None for order in orders] == [6, 2, None]


def test_a_visit_that_brought_nothing_lets_others_be_ordered() -> None:
    subject = plan(Directory(chess=[live("a"), live("b")]), state(CHESS, wanted=6))
    first = subject.next(0.0)
    assert first is not None
    assert subject.next(0.0) is None
    subject.account(report(first, kept=0, outcome=Outcome.OFFLINE))
    second = subject.next(0.0)
    assert second is not None
    assert second.channel != first.channel


def test_every_channel_has_its_turn_in_random_order() -> None:
    directory = Directory(chess=[live(f"c{n}") for n in range(20)])
    chosen = logins(plan(directory, state(CHESS, wanted=1000)), count=20)
    assert sorted(map(str, chosen)) == sorted(f"c{n}" for n in range(20))
    assert chosen != [f"c{n}" for n in range(20)]


def test_a_channel_is_not_visited_again_before_its_time() -> None:
    subject = plan(Directory(chess=[live("a")]), state(CHESS), revisit=60)
    order = subject.next(0.0)
    assert order is not None
    subject.account(report(order, kept=6))
    assert subject.next(59.0) is None
    again = subject.next(61.0)
    assert again is not None
    assert again.channel == order.channel


def test_a_channel_gives_no_more_than_its_share_of_the_target() -> None:
    subject = plan(Directory(chess=[live("a"), live("b")]), state(CHESS, a=18), channel_share=0.2)
    orders = {order.channel.login: order.frames for order in (subject.next(0.0), subject.next(0.0)) if order}
    assert orders == {"a": 2, "b": 6}


def test_a_channel_whose_share_is_taken_is_left_alone() -> None:
    subject = plan(Directory(chess=[live("a")]), state(CHESS, a=20), channel_share=0.2)
    assert subject.next(0.0) is None


@pytest.mark.parametrize(
    ("settings", "visited"),
    [
        pytest.param({"deny": ("A",)}, ["b"], id="denied: never, whatever the case"),
        pytest.param({"allow": ("a",)}, ["a"], id="allowed: only these"),
        pytest.param({"allow": ("a",), "deny": ("a",)}, [], id="denied beats allowed"),
    ],
)
def test_the_operator_decides_which_channels_may_be_visited(
    settings: dict[str, Any], visited: list[str]
) -> None:
    subject = plan(Directory(chess=[live("a"), live("b")]), state(CHESS), **settings)
    assert [login for login in logins(subject, count=3) if login] == visited


def test_a_stream_that_declares_another_category_than_the_listing_is_left_alone() -> None:
    subject = plan(Directory(chess=[live("a", DOOM), live("b", None)]), state(CHESS))
    assert subject.next(0.0) is None


def test_a_category_with_nobody_live_is_set_aside_and_tried_again_later() -> None:
    directory = Directory(chess=[], doom=[live("d", DOOM)])
    chess = state(CHESS)
    subject = plan(directory, chess, state(DOOM, kept=50), set_aside=120)
    assert logins(subject, count=1) == ["d"]
    assert chess.resting_because == "nobody is live"
    assert subject.next(60.0) is None
    assert directory.asked.count(CHESS.id) == 1
    directory.streams[CHESS.id] = [live("a")]
    assert logins(subject, count=1, now=121.0) == ["a"]


def test_a_listing_is_asked_for_again_once_it_is_old() -> None:
    directory = Directory(chess=[live(f"c{n}") for n in range(9)])
    subject = plan(directory, state(CHESS))
    logins(subject, count=2, now=0.0)
    logins(subject, count=1, now=LISTING_S - 1)
    assert len(directory.asked) == 1
    logins(subject, count=1, now=LISTING_S + 1)
    assert len(directory.asked) == 2


def test_a_refusal_of_twitch_lets_the_category_rest() -> None:
    directory = Directory(chess=[live("a")])
    directory.error = TwitchError("no such game")
    chess = state(CHESS)
    subject = plan(directory, chess)
    assert subject.next(0.0) is None
    assert chess.resting_because == "no such game"
    directory.error = None
    assert subject.next(1.0) is None
    assert subject.next(LISTING_S + 1) is not None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(CredentialsRefused(), id="refused credentials"),
        pytest.param(NetworkError(), id="a dead network"),
        pytest.param(RateLimited(), id="a limit on requests"),
    ],
)
def test_what_concerns_every_category_is_raised_at_once(error: TwitchError) -> None:
    directory = Directory()
    directory.error = error
    with pytest.raises(type(error)):
        plan(directory, state(CHESS), state(DOOM)).next(0.0)
    assert len(directory.asked) == 1


def test_it_is_done_when_every_target_is_reached() -> None:
    subject = plan(Directory(chess=[live("a")]), state(CHESS, wanted=6))
    assert subject.done() is None
    order = subject.next(0.0)
    assert order is not None
    assert subject.done() is None
    subject.account(report(order, kept=6))
    assert subject.done() == "every target is reached"


def test_once_means_that_no_channel_is_visited_twice() -> None:
    subject = plan(Directory(chess=[live("a"), live("b")]), state(CHESS), once=True)
    orders = [subject.next(0.0), subject.next(0.0)]
    assert subject.next(0.0) is None
    assert subject.done() is None, "two visits are still under way"
    for order in orders:
        assert order is not None
        subject.account(report(order, kept=1))
    assert subject.next(500.0) is None
    assert subject.done() == "every live channel was visited"


def login_plan(*, once: bool, **streams: LiveStream | None) -> LoginPlan:
    return LoginPlan(
        [channel(login) for login in streams],
        lambda asked: {login: found for login in asked if (found := streams[login])},
        CollectSettings(),
        frames_per_visit=6,
        state_of=state,
        once=once,
    )


def test_named_channels_are_visited_in_turn_live_or_not() -> None:
    subject = login_plan(once=True, a=live("a"), b=None)
    first, second = subject.next(0.0), subject.next(0.0)
    assert first is not None
    assert second is not None
    assert (first.channel.login, first.stream is not None) == ("a", True)
    assert (second.channel.login, second.stream) == ("b", None)
    assert subject.next(0.0) is None
    for order in (first, second):
        subject.account(report(order, kept=0, outcome=Outcome.OFFLINE))
    assert subject.done() == "every channel was visited"


def test_named_channels_are_visited_again_when_due() -> None:
    subject = login_plan(once=False, a=live("a"))
    order = subject.next(0.0)
    assert order is not None
    assert subject.next(30.0) is None
    subject.account(report(order, kept=6))
    assert subject.next(61.0) is not None
    assert subject.done() is None
    assert [(one.category, one.kept) for one in subject.states()] == [(CHESS, 6)]


def test_named_channels_are_visited_until_what_they_declare_has_its_target() -> None:
    subject = login_plan(once=False, a=live("a"))
    order = subject.next(0.0)
    assert order is not None
    subject.account(report(order, kept=100))
    assert subject.done() == "every target is reached"


def test_a_named_channel_without_category_is_visited_too() -> None:
    subject = login_plan(once=True, a=replace(live("a"), category=None))
    order = subject.next(0.0)
    assert order is not None
    subject.account(report(order, kept=0))
    assert list(subject.states()) == []


def test_a_named_channel_whose_order_could_not_be_made_is_tried_again() -> None:
    failures = [StoreError("the database is away")]

    def state_of(category: Category) -> CategoryState:
        if failures:
            raise failures.pop()
        return state(category)

    subject = LoginPlan(
        [channel("a")],
        lambda _: {"a": live("a")},
        CollectSettings(),
        frames_per_visit=6,
        state_of=state_of,
        once=True,
    )
    with pytest.raises(StoreError):
        subject.next(0.0)
    order = subject.next(1.0)
    assert order is not None
    subject.account(report(order, kept=6))
    assert subject.done() == "every channel was visited"
