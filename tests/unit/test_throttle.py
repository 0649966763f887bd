import pytest

from twitchcat.twitch.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock=clock)


def test_nobody_is_held_before_a_refusal(throttle: Throttle) -> None:
    assert throttle.held_for() == 0


def test_a_refusal_holds_for_a_while(throttle: Throttle, clock: Clock) -> None:
    throttle.refused()
    assert throttle.held_for() == 10
    clock.now += 4
    assert throttle.held_for() == 6
    clock.now += 6
    assert throttle.held_for() == 0


def test_refusals_of_those_on_their_way_are_one(throttle: Throttle, clock: Clock) -> None:
    throttle.refused()
    clock.now += 3
    throttle.refused()
    assert throttle.held_for() == 7


def test_every_further_refusal_holds_for_twice_as_long_up_to_ten_minutes(
    throttle: Throttle, clock: Clock
) -> None:
    spans = []
    for _ in range(8):
        throttle.refused()
        spans.append(throttle.held_for())
        clock.now += throttle.held_for() + 1
    assert spans == [10, 20, 40, 80, 160, 320, 600, 600]


def test_after_a_quiet_time_it_starts_anew(throttle: Throttle, clock: Clock) -> None:
    throttle.refused()
    clock.now += 11
    throttle.refused()
    clock.now += 20 + 20
    throttle.refused()
    assert throttle.held_for() == 10


@pytest.mark.parametrize(
    ("retry_after", "held"),
    [
        pytest.param("45", 45, id="longer than the usual"),
        pytest.param("1", 10, id="shorter"),
        pytest.param("86400", 600, id="a day"),
        pytest.param("Mon, 01 Jan 2024 00:00:00 GMT", 10, id="a date that is over"),
        pytest.param("soon", 10, id="no time"),
        pytest.param("Mon, 99 Jan 99999 00:00:00 GMT", 10, id="no date"),
        pytest.param("", 10, id="nothing"),
    ],
)
def test_what_twitch_asks_for_counts_within_reason(throttle: Throttle, retry_after: str, held: float) -> None:
    throttle.refused(retry_after)
    assert throttle.held_for() == held
