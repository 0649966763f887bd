import threading

import pytest

from twitchcat.errors import Interrupted
from twitchcat.twitch.pace import Pace, Transient, backing_off, pause


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float, _: threading.Event | None) -> None:
        self.waits.append(seconds)


def test_the_first_goes_at_once_and_the_others_wait_their_turn() -> None:
    time = Time()
    pace = Pace(4, clock=time.clock, pause=time.pause)
    for _ in range(4):
        pace.wait()
    assert time.waits == [0.25, 0.5, 0.75]


def test_time_that_passed_is_not_saved_up() -> None:
    time = Time()
    pace = Pace(4, clock=time.clock, pause=time.pause)
    pace.wait()
    time.now = 100
    pace.wait()
    pace.wait()
    assert time.waits == [0.25]


def test_a_pause_ends_at_once_when_the_program_stops() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="stopped"):
        pause(3600, stop)


def test_a_pause_passes() -> None:
    pause(0, None)
    pause(-1, threading.Event())


def test_what_is_transient_is_tried_again_and_then_raised() -> None:
    time = Time()
    tries = []

    def fail() -> None:
        tries.append(1)
        raise Transient

    with pytest.raises(Transient):
        backing_off(3, longest_s=2, pause=time.pause)(fail)
    assert len(tries) == 3
    assert all(0 <= wait <= 2 for wait in time.waits)
    assert len(time.waits) == 2


def test_what_is_not_transient_is_raised_at_once() -> None:
    time = Time()
    with pytest.raises(KeyError):
        backing_off(3, longest_s=2, pause=time.pause)({}.__getitem__, "x")
    assert time.waits == []
