"""Whatever goes wrong at the station: the right outcome is recorded, in time, and no ad is ever stored."""

import io
from dataclasses import dataclass
from typing import NoReturn

import av
import numpy as np
import pytest

from tests.fixtures.collecting import Collecting, is_purple
from twitchcat.dataset.visit import VisitReport
from twitchcat.errors import SegmentUnreadable
from twitchcat.station.cards import ad_card
from twitchcat.station.faults import FaultKind

LOGIN = "chess_s1"
#: Seconds that one request and one visit may take where something never ends, and what a busy machine adds.
REQUEST_S, VISIT_S, BUSY_S = 1.0, 5.0, 3.0


@dataclass(frozen=True)
class Case:
    """What a fault leads to; it begins when the visit is ordered already, unless `known` before."""

    fault: str
    outcome: str
    reason: str | None = None
    kept: int = 0
    skipped: tuple[str, ...] = ()
    known: bool = False
    endless: bool = False


CASES = {
    "segments that are gone: error, segment unreadable": Case(
        "not_found", "error", "segment unreadable", skipped=("segment unreadable",)
    ),
    "bytes that trickle too slowly: error, network": Case(
        "slow:20", "error", "network", skipped=("network",), endless=True
    ),
    "bytes that trickle, but in time: kept": Case("slow:0.2", "kept", kept=3),
    "keyframes cut off: error, segment unreadable": Case(
        "truncated", "error", "segment unreadable", skipped=("segment unreadable",)
    ),
    "random bytes: error, segment unreadable": Case(
        "garbage", "error", "segment unreadable", skipped=("segment unreadable",)
    ),
    "answers that stop half way: error, network": Case(
        "stalled", "error", "network", skipped=("network",), endless=True
    ),
    "ranges ignored: kept all the same": Case("no_ranges", "kept", kept=3),
    "fragmented MP4: kept all the same": Case("fmp4", "kept", kept=3),
    "nothing but ads: ad": Case("ads_only", "ad", skipped=("ad",)),
    "sound alone: error, unreadable": Case("audio_only", "error", "unreadable"),
    "segment numbers that begin again: kept": Case("sequence_reset", "kept", kept=3),
    "a playlist that stands still: kept, what it shows": Case("frozen_playlist", "kept", kept=3),
    "a login page in place of the playlist: error, unreadable": Case("bad_playlist", "error", "unreadable"),
    "playlist addresses that end: kept, resolved anew": Case("token_expiry", "kept", kept=3),
    "gone while it was visited: offline": Case("offline", "offline", "offline"),
    "not shown in this region: error, geoblocked": Case("geoblocked", "error", "geoblocked"),
    "for subscribers only: error, subscriber only": Case("subscriber_only", "error", "subscriber only"),
    "integrity token demanded: error, integrity": Case("integrity", "error", "integrity"),
    "server errors: error, network": Case("server_error", "error", "network"),
    "Helix too busy to say what is declared: error, rate limit": Case(
        "rate_limit", "error", "rate limit", skipped=("error",)
    ),
    "another category at each look: changed": Case(
        "flapping_category", "changed", "now Doom", skipped=("changed",), known=True
    ),
}


def visit(collecting: Collecting, *, login: str = LOGIN, frames: int = 3, fault: str = "") -> VisitReport:
    """Visit a channel; `fault` begins when the visit is ordered already."""
    order = collecting.order(login, frames=frames)
    if fault:
        collecting.station.set_fault(login, fault)
    return collecting.visitor.visit(order)


def visit_amid(case: Case, collecting: Collecting) -> VisitReport:
    """Visit the channel with the fault of a case."""
    if case.known:
        collecting.station.set_fault(LOGIN, case.fault)
        return visit(collecting)
    return visit(collecting, fault=case.fault)


def test_every_fault_of_the_station_is_met_here() -> None:
    assert {case.fault.partition(":")[0] for case in CASES.values()} == set(FaultKind)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_fault_leads_to(case: Case, collecting: Collecting) -> None:
    if case.endless:
        collecting.configure(twitch={"timeout": REQUEST_S}, capture={"timeout": VISIT_S})
    report = visit_amid(case, collecting)
    assert report.seconds < VISIT_S + REQUEST_S + BUSY_S
    (capture,) = collecting.dataset.captures()
    assert (capture.outcome, capture.reason) == (case.outcome, case.reason)
    assert (report.outcome, report.reason) == (case.outcome, case.reason)
    assert capture.frames_kept == report.frames_kept == collecting.dataset.frames() == case.kept
    assert set(capture.skipped) >= set(case.skipped)
    assert collecting.dataset.files() == collecting.dataset.paths()
    if case.outcome == "kept":
        assert capture.skipped == {}
    assert not any(is_purple(picture) for picture in collecting.dataset.pictures())

    collecting.station.clear_faults()
    collecting.clock.ahead_s += 40.0  # none of the segments that were there is left
    after = visit(collecting)
    assert (after.outcome, after.reason, after.frames_kept) == ("kept", None, 3), "the fault is over"


def test_a_visit_ends_when_its_time_is_over(collecting: Collecting) -> None:
    collecting.configure(twitch={"timeout": REQUEST_S}, capture={"timeout": 1.5})
    report = visit(collecting, frames=15, fault="stalled")
    assert (report.outcome, report.reason) == ("error", "network")
    assert report.skipped == {"network": 2, "out of time": 1}
    assert report.seconds < 1.5 + REQUEST_S + BUSY_S


def test_an_open_stream_whose_address_ends_is_resolved_anew(collecting: Collecting) -> None:
    assert visit(collecting).frames_kept == 3
    collecting.clock.ahead_s += 40.0
    assert visit(collecting, fault="token_expiry").frames_kept == 3


def test_an_open_stream_whose_numbers_begin_again_goes_on(collecting: Collecting) -> None:
    assert visit(collecting).frames_kept == 3
    collecting.clock.ahead_s += 40.0
    assert visit(collecting, fault="sequence_reset").frames_kept == 3


def test_a_playlist_that_stands_still_is_not_stored_twice(collecting: Collecting) -> None:
    assert visit(collecting, fault="frozen_playlist").frames_kept == 3
    collecting.clock.ahead_s += 10.0
    again = visit(collecting)
    assert (again.outcome, again.frames_kept) == ("kept", 0)


def test_a_fault_of_one_channel_is_no_fault_of_another(collecting: Collecting) -> None:
    collecting.station.set_fault(LOGIN, "garbage")
    assert visit(collecting, login=LOGIN).outcome == "error"
    assert visit(collecting, login="doom_s2").frames_kept == 3


class EndedStreams:
    """Streams whose pictures cannot be read any more."""

    def open(self, login: str) -> NoReturn:
        raise SegmentUnreadable(f"{login}: Twitch answered 404 to a segment")

    def close(self, _login: str) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("live", "outcome", "reason"),
    [
        pytest.param(False, "offline", "ended during the visit", id="and Helix knows it no more: offline"),
        pytest.param(True, "error", "segment unreadable", id="but it is live: error"),
    ],
)
def test_a_stream_cannot_be_read(live: bool, outcome: str, reason: str, collecting: Collecting) -> None:
    order = collecting.order(LOGIN)
    collecting.station.set_live(LOGIN, live)
    report = collecting.visitor_of(EndedStreams()).visit(order)
    assert (report.outcome, report.reason) == (outcome, reason)


def test_the_ad_card_would_be_noticed() -> None:
    with av.open(io.BytesIO(ad_card(size=(640, 360), fps=30, span_s=0.1)), "r") as card:
        assert is_purple(np.asarray(next(card.decode(video=0)).to_ndarray(format="rgb24"), np.uint8))


@pytest.mark.parametrize("begun_ago_s", [0.0, 7.0, 13.0])
@pytest.mark.parametrize("fault", ["", "fmp4"], ids=["MPEG-TS", "fMP4"])
def test_no_frame_of_an_ad_break_is_ever_stored(
    begun_ago_s: float, fault: str, collecting: Collecting
) -> None:
    """A break of 10 s enters the window, passes through it and leaves it, a visit every few seconds."""
    station, clock, dataset = collecting.station, collecting.clock, collecting.dataset
    station.set_fault(LOGIN, fault)
    visit(collecting, frames=15)
    station.start_ads(LOGIN, 10.0, ago_s=begun_ago_s)
    saw_ads = 0
    for _ in range(12):
        clock.ahead_s += 3.7
        report = visit(collecting, frames=15)
        assert report.outcome in {"kept", "ad"}
        saw_ads += report.skipped.get("ad", 0)
    assert saw_ads > 0, "the break was in the window"
    assert dataset.frames() > 20
    assert not any(is_purple(picture) for picture in dataset.pictures())


def test_a_stream_that_begins_with_ads_is_collected_after_them(collecting: Collecting) -> None:
    collecting.station.start_ads(LOGIN, 60.0, ago_s=60.0)
    assert visit(collecting, frames=15).outcome == "ad"
    collecting.clock.ahead_s += 20.0
    after = visit(collecting, frames=15)
    assert after.outcome == "kept"
    assert after.frames_kept > 0
    assert not any(is_purple(picture) for picture in collecting.dataset.pictures())
