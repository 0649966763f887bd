"""The collector keeps the pool busy, survives what passes, and ends only when all in hand is finished."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from twitchcat.dataset.collector import PATIENCE_S, REFRESH_S, Collector, Summary, Totals
from twitchcat.dataset.plan import CategoryState
from twitchcat.dataset.visit import Outcome, VisitOrder, VisitReport
from twitchcat.errors import (
    ConfigError,
    CredentialsRefused,
    DiskFull,
    NetworkError,
    StoreError,
    TwitchcatError,
)
from twitchcat.twitch.entities import Channel

AT = datetime(2026, 11, 20, tzinfo=UTC)


def order(number: int) -> VisitOrder:
    login = f"c{number}"
    return VisitOrder(channel=Channel(id=login, login=login, display_name=login), stream=None, frames=6)


def report(of: VisitOrder, error: TwitchcatError | None = None, *, frames: int = 6) -> VisitReport:
    outcome = Outcome.LOST if error else Outcome.KEPT
    kept = 0 if error else frames
    return VisitReport(
        order=of, outcome=outcome, frames_kept=kept, error=error, started_at=AT, finished_at=AT
    )


@dataclass
class Time:
    """Passes only while the pool is waited for."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class FakePlan:
    """Hands out so many orders; each visit it is told of counts."""

    def __init__(self, orders: int) -> None:
        self.left = orders
        self.sent: list[VisitOrder] = []
        self.accounted: list[VisitReport] = []
        self.error: TwitchcatError | None = None
        self.endless = False
        self.state: list[CategoryState] = []

    def next(self, now: float) -> VisitOrder | None:
        del now
        if self.error is not None:
            raise self.error
        if not self.left:
            return None
        self.left -= 1
        self.sent.append(order(len(self.sent)))
        return self.sent[-1]

    def account(self, report: VisitReport) -> None:
        self.accounted.append(report)

    def done(self) -> str | None:
        finished = not self.left and len(self.accounted) == len(self.sent)
        return "all visited" if finished and not self.endless else None

    def states(self) -> Iterable[CategoryState]:
        return self.state


class FakePool:
    """Finishes one visit each time it is waited for, as `answer` says; otherwise time passes."""

    def __init__(self, time: Time, *, size: int = 2) -> None:
        self.size = size
        self.time = time
        self.in_hand: deque[VisitOrder] = deque()
        self.most = 0
        self.answer: Callable[[VisitOrder], VisitReport | None] = report

    def submit(self, order: VisitOrder) -> None:
        self.in_hand.append(order)
        self.most = max(self.most, len(self.in_hand))

    def wait(self, timeout_s: float) -> VisitReport | None:
        self.time.now += timeout_s
        if not timeout_s or not self.in_hand:
            return None
        done = self.answer(self.in_hand[0])
        if done is not None:
            self.in_hand.popleft()
        return done

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Watching:
    """An observer that remembers."""

    visits: list[VisitReport] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    most_in_hand: int = 0
    at_visit: Callable[[VisitReport], None] = lambda _: None

    def visited(self, report: VisitReport, totals: Totals) -> None:
        del totals
        self.visits.append(report)
        self.at_visit(report)

    def waiting(self, why: str, seconds: float) -> None:
        self.waits.append((why, seconds))

    def tick(self, states: Iterable[CategoryState], totals: Totals, in_hand: int) -> None:
        del states, totals
        self.most_in_hand = max(self.most_in_hand, in_hand)


class Scene:
    """A collector among fakes."""

    def __init__(self, *, orders: int = 3, size: int = 2) -> None:
        self.time = Time()
        self.plan = FakePlan(orders)
        self.pool = FakePool(self.time, size=size)
        self.watching = Watching()
        self.stop = threading.Event()
        self.refreshed: list[float] = []
        self.refresh_error: Callable[[], StoreError | None] = lambda: None
        self.held: Callable[[], float] = lambda: 0.0

    def refresh(self, _: Iterable[CategoryState]) -> None:
        self.refreshed.append(self.time.now)
        if error := self.refresh_error():
            raise error

    def run(self, **options: Any) -> Summary:
        return Collector(
            self.plan,
            self.pool,
            observer=self.watching,
            stop=self.stop,
            refresh=self.refresh,
            held_for=lambda: self.held(),  # noqa: PLW0108 - it changes while the collector runs
            clock=self.time,
            **options,
        ).run()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_ends_when_the_plan_is_done_and_says_why(scene: Scene) -> None:
    summary = scene.run()
    assert summary.why == "all visited"
    assert [one.order.channel.login for one in scene.watching.visits] == ["c0", "c1", "c2"]
    assert summary.totals.frames == 18
    assert summary.totals.visits == {"kept": 3}


def test_the_pool_is_kept_full_and_never_overfull() -> None:
    scene = Scene(orders=9, size=4)
    scene.run()
    assert scene.pool.most == 4
    assert scene.watching.most_in_hand <= 4


def test_after_a_stop_nothing_is_sent_out_and_all_in_hand_is_counted() -> None:
    scene = Scene(orders=100, size=3)
    scene.watching.at_visit = lambda _: scene.stop.set()
    summary = scene.run()
    assert summary.why == "stopped"
    assert len(scene.plan.sent) == 3
    assert len(scene.plan.accounted) == 3
    assert summary.totals.frames == 18


def test_after_the_time_given_nothing_is_sent_out() -> None:
    scene = Scene(orders=10_000, size=2)
    summary = scene.run(seconds=10.0)
    assert summary.why == "the time is over"
    assert 10.0 <= summary.seconds < 11.0
    assert not scene.pool.in_hand


def test_progress_of_others_is_read_now_and_then(scene: Scene) -> None:
    scene.plan.endless = True
    scene.run(seconds=3.5 * REFRESH_S)
    assert [round(at / REFRESH_S) for at in scene.refreshed] == [1, 2, 3]


def test_it_ends_only_if_the_dataset_itself_says_that_the_targets_are_reached(scene: Scene) -> None:
    """A visit that is stored but not reported yet is counted twice by a refresh in between."""

    def count_again(_: Iterable[CategoryState]) -> None:
        if not counted:  # one visit was counted twice: so one more is needed
            counted.append(True)
            scene.plan.left = 1

    counted: list[bool] = []
    scene.refresh = count_again  # type: ignore[method-assign]  # a scene is made to be changed
    summary = scene.run()
    assert summary.why == "all visited"
    assert len(scene.plan.accounted) == 4


def test_while_twitch_refuses_every_stream_nothing_is_sent_out(scene: Scene) -> None:
    scene.held = lambda: max(0.0, 30.0 - scene.time.now)
    scene.run()
    assert scene.watching.waits == [("Twitch refuses every stream", 30.0)]
    assert scene.time.now >= 30.0
    assert len(scene.plan.accounted) == 3


def test_a_refusal_of_twitch_is_waited_out(scene: Scene) -> None:
    scene.plan.error = NetworkError("gone fishing")

    def mend(why: str, seconds: float) -> None:
        scene.watching.waits.append((why, seconds))
        scene.plan.error = None

    scene.watching.waiting = mend  # type: ignore[method-assign]  # see above
    assert scene.run().why == "all visited"
    assert scene.watching.waits == [("gone fishing", 10.0)]


def failing_until(scene: Scene, at: float, error: TwitchcatError) -> Callable[[VisitOrder], VisitReport]:
    return lambda of: report(of, error if scene.time.now < at else None)


def test_a_database_that_comes_back_is_waited_for_ever_longer() -> None:
    scene = Scene(orders=1000)
    scene.pool.answer = failing_until(scene, 60.0, StoreError("down"))
    summary = scene.run(seconds=100.0)
    pauses = [seconds for why, seconds in scene.watching.waits if why == "down"]
    assert pauses[0] == 1.0
    assert max(pauses) == 15.0
    assert pauses == sorted(pauses)
    assert sum(pauses) > 45.0, "most of the time it waits"
    assert summary.totals.frames > 0, "it went on when the database was back"


def test_a_database_that_stays_away_ends_it_with_its_error() -> None:
    scene = Scene(orders=1000)
    scene.pool.answer = lambda of: report(of, StoreError("down"))
    with pytest.raises(StoreError, match="down"):
        scene.run()
    assert PATIENCE_S < scene.time.now < PATIENCE_S + 30.0
    assert not scene.pool.in_hand


def test_a_refresh_that_fails_is_tried_again_after_a_pause(scene: Scene) -> None:
    scene.plan.endless = True
    scene.refresh_error = lambda: StoreError("down") if scene.time.now < 40.0 else None
    scene.run(seconds=60.0)
    gaps = [after - before for before, after in zip(scene.refreshed, scene.refreshed[1:], strict=False)]
    assert min(gaps) >= 1.0, "not hammered"
    assert scene.refreshed[-1] > 40.0


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(DiskFull("full"), id="a full disk"),
        pytest.param(CredentialsRefused("refused"), id="refused credentials"),
    ],
)
def test_what_will_not_pass_ends_it_once_all_in_hand_is_finished(error: TwitchcatError) -> None:
    scene = Scene(orders=100, size=3)
    scene.pool.answer = lambda of: report(of, error if of.channel.login == "c0" else None)
    with pytest.raises(type(error), match=str(error)):
        scene.run()
    assert len(scene.plan.sent) == 3
    assert [one.frames_kept for one in scene.plan.accounted] == [0, 6, 6]


@pytest.mark.parametrize("kind", [ConfigError, CredentialsRefused])
def test_a_plan_that_cannot_go_on_ends_it_once_all_in_hand_is_finished(kind: type[TwitchcatError]) -> None:
    scene = Scene(orders=2, size=2)
    scene.plan.endless = True

    def fail(_: VisitReport) -> None:
        scene.plan.error = kind("no way")

    scene.watching.at_visit = fail
    with pytest.raises(kind, match="no way"):
        scene.run()
    assert len(scene.plan.accounted) == 2


def test_an_error_that_no_report_tells_is_raised(scene: Scene) -> None:
    def broken(_: VisitOrder) -> VisitReport:
        raise ZeroDivisionError

    scene.pool.answer = broken
    with pytest.raises(ZeroDivisionError):
        scene.run()


def test_totals_tell_errors_and_what_was_left_out_apart() -> None:
    totals = Totals()
    for outcome, reason, skipped in (
        (Outcome.ERROR, "network", {"network": 3}),
        (Outcome.OFFLINE, "offline", {}),
        (Outcome.ERROR, "network", {"network": 1, "blank": 2}),
    ):
        totals.add(
            VisitReport(
                order=order(1),
                outcome=outcome,
                reason=reason,
                skipped=skipped,
                bytes_fetched=10,
                started_at=AT,
                finished_at=AT,
            )
        )
    assert totals.visits == {"error": 2, "offline": 1}
    assert totals.reasons == {"network": 2}
    assert totals.skipped == {"network": 4, "blank": 2}
    assert totals.bytes_fetched == 30
