import threading
from datetime import UTC, datetime, timedelta

import pytest

from twitchcat.errors import ChannelOffline, IntegrityFailed, NetworkError, RateLimited, TwitchcatError
from twitchcat.twitch.breaker import Breaker, Circuit

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock=clock)


def attempt(breaker: Breaker, channel: str, outcome: TwitchcatError | None = None) -> None:
    with breaker.attempt(channel):
        if outcome:
            raise outcome


def refuse(breaker: Breaker, *channels: str) -> None:
    for channel in channels:
        with pytest.raises(IntegrityFailed, match="integrity token"):
            attempt(breaker, channel, IntegrityFailed())


def is_open(breaker: Breaker) -> bool:
    return not breaker.circuit.may_try(breaker.clock())


def test_three_different_channels_refused_in_a_row_open_it(breaker: Breaker) -> None:
    refuse(breaker, "a", "b")
    assert not is_open(breaker)
    refuse(breaker, "c")
    assert is_open(breaker)


def test_one_channel_refused_again_and_again_does_not(breaker: Breaker) -> None:
    refuse(breaker, "a", "a", "a", "a")
    assert not is_open(breaker)


def test_too_many_requests_count_as_refusals(breaker: Breaker) -> None:
    for channel in "abc":
        with pytest.raises(RateLimited):
            attempt(breaker, channel, RateLimited())
    assert is_open(breaker)


@pytest.mark.parametrize("answer", [None, ChannelOffline()], ids=["a stream", "offline"])
def test_any_answer_starts_the_count_again(breaker: Breaker, answer: TwitchcatError | None) -> None:
    refuse(breaker, "a", "b")
    if answer is None:
        attempt(breaker, "c")
    else:
        with pytest.raises(ChannelOffline):
            attempt(breaker, "c", answer)
    refuse(breaker, "d")
    assert not is_open(breaker)


def test_a_dead_network_says_nothing_either_way(breaker: Breaker) -> None:
    refuse(breaker, "a", "b")
    with pytest.raises(NetworkError):
        attempt(breaker, "c", NetworkError())
    assert not is_open(breaker)
    refuse(breaker, "d")
    assert is_open(breaker)


def test_while_open_nobody_tries_and_the_error_says_until_when(breaker: Breaker, clock: Clock) -> None:
    refuse(breaker, "a", "b", "c")
    until = (T0 + timedelta(minutes=10)).astimezone()
    clock.pass_(minutes=9, seconds=59)
    with pytest.raises(IntegrityFailed, match=f"not asked again until {until:%H:%M:%S}"):
        attempt(breaker, "d", ChannelOffline())


def test_then_one_may_probe_and_the_others_wait_for_it(breaker: Breaker, clock: Clock) -> None:
    refuse(breaker, "a", "b", "c")
    clock.pass_(minutes=10)
    with breaker.attempt("d"), pytest.raises(IntegrityFailed, match="not asked again"):
        attempt(breaker, "e")
    attempt(breaker, "e")  # the probe went well


def test_everyone_is_held_until_the_time_is_over_and_while_a_probe_is_under_way(
    breaker: Breaker, clock: Clock
) -> None:
    assert breaker.held_for() == 0
    refuse(breaker, "a", "b", "c")
    assert breaker.held_for() == 600
    clock.pass_(minutes=10)
    assert breaker.held_for() == 0  # somebody may probe
    with breaker.attempt("d"):
        assert breaker.held_for() == 1
    assert breaker.held_for() == 0


def test_every_refused_probe_doubles_the_wait_up_to_an_hour(breaker: Breaker, clock: Clock) -> None:
    refuse(breaker, "a", "b", "c")
    spans = []
    for _ in range(5):
        until = breaker.circuit.until
        assert until is not None
        spans.append((until - clock.now) / timedelta(minutes=1))
        clock.now = until
        refuse(breaker, "d")
    assert spans == [10, 20, 40, 60, 60]


def test_a_good_probe_forgets_the_long_waits(breaker: Breaker, clock: Clock) -> None:
    refuse(breaker, "a", "b", "c")
    clock.pass_(minutes=10)
    refuse(breaker, "d")
    clock.pass_(minutes=20)
    attempt(breaker, "e")
    refuse(breaker, "a", "b", "c")
    assert breaker.circuit.until == clock.now + timedelta(minutes=10)


@pytest.mark.parametrize("end", [NetworkError(), KeyboardInterrupt()], ids=["no network", "interrupted"])
def test_a_probe_that_finds_nothing_out_leaves_its_place_to_the_next(
    breaker: Breaker, clock: Clock, end: BaseException
) -> None:
    refuse(breaker, "a", "b", "c")
    clock.pass_(minutes=10)
    with pytest.raises(type(end)), breaker.attempt("d"):
        raise end
    attempt(breaker, "e")
    assert breaker.circuit == Circuit()


def test_those_on_their_way_when_it_opened_change_nothing(breaker: Breaker) -> None:
    with breaker.attempt("late"):
        refuse(breaker, "a", "b", "c")
    assert is_open(breaker)


def test_of_many_threads_one_probes(breaker: Breaker, clock: Clock) -> None:
    refuse(breaker, "a", "b", "c")
    clock.pass_(minutes=10)
    go = threading.Barrier(8)
    refused = threading.Semaphore(0)
    let_through = []

    def probe(n: int) -> None:
        go.wait()
        try:
            with breaker.attempt(str(n)):
                let_through.append(n)
                for _ in range(7):  # hold the place until all the others were refused
                    assert refused.acquire(timeout=10)
        except IntegrityFailed:
            refused.release()

    threads = [threading.Thread(target=probe, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_through) == 1
