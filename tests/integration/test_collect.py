"""Collecting from a station into Postgres: what is visited, what is kept, and when it ends."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.collecting import Collecting, Heard
from twitchcat.dataset.collector import Summary
from twitchcat.dataset.plan import CategoryState
from twitchcat.dataset.visit import Outcome, VisitReport
from twitchcat.errors import ConfigError, CredentialsRefused, NoSuchChannel
from twitchcat.station.folder import PACKAGED_CLIPS
from twitchcat.station.server import Station

GAMES = {"Chess", "Doom", "Dungeon Crawl Stone Soup", "SuperTux", "SuperTuxKart"}
FRAMES_BY_CATEGORY = "SELECT category, count(*) FROM frame_index GROUP BY 1 ORDER BY 1"
FRAMES_BY_CHANNEL = "SELECT channel, count(*) FROM frame_index GROUP BY 1 ORDER BY 1"


def moving_on(collecting: Collecting, seconds: float) -> Heard:
    """An observer that moves the station on after each visit, so that there is always something new."""

    def move_on(_: VisitReport) -> None:
        collecting.clock.ahead_s += seconds

    return Heard(at_visit=move_on)


def test_named_categories_are_collected_up_to_their_target(collecting: Collecting) -> None:
    collecting.configure(collect={"per_category": 10})
    summary = collecting.collect(categories=["Chess", "doom"], heard=moving_on(collecting, 10.0))
    dataset = collecting.dataset
    assert summary.why == "every target is reached"
    assert dataset.rows(FRAMES_BY_CATEGORY) == [("Chess", 10), ("Doom", 10)]
    assert summary.totals.frames == 20
    assert [(state.kept, state.added) for state in summary.states] == [(10, 10), (10, 10)]
    assert dataset.files() == dataset.paths()


def test_what_is_there_already_counts_towards_the_target(collecting: Collecting) -> None:
    collecting.configure(collect={"per_category": 6})
    collecting.collect(categories=["Chess"], heard=moving_on(collecting, 10.0))
    again = collecting.collect(categories=["Chess"])
    assert again.why == "every target is reached"
    assert again.totals.visits == {}
    collecting.configure(collect={"per_category": 9})
    collecting.clock.ahead_s += 40.0
    more = collecting.collect(categories=["Chess"], heard=moving_on(collecting, 10.0))
    assert more.totals.frames == 3


def test_without_names_the_top_categories_are_collected_games_only(collecting: Collecting) -> None:
    collecting.collect(once=True)
    assert {category for category, _ in collecting.dataset.rows(FRAMES_BY_CATEGORY)} == GAMES


def test_other_categories_are_collected_when_the_setting_says_so(collecting: Collecting) -> None:
    collecting.configure(collect={"games_only": False})
    collecting.collect(once=True)
    found = {category for category, _ in collecting.dataset.rows(FRAMES_BY_CATEGORY)}
    assert found == {*GAMES, "Software and Game Development"}


def test_only_so_many_top_categories_are_collected(collecting: Collecting) -> None:
    collecting.configure(collect={"top": 2})
    summary = collecting.collect(once=True)
    assert len(summary.states) == len(collecting.dataset.rows(FRAMES_BY_CATEGORY)) == 2


def test_once_visits_every_live_channel_once(collecting: Collecting) -> None:
    collecting.station.set_live("doom_s3", False)
    heard = Heard()
    summary = collecting.collect(categories=["Chess", "Doom"], once=True, heard=heard)
    assert summary.why == "every live channel was visited"
    visits = Counter(report.order.channel.login for report in heard.reports)
    assert visits == {"chess_s1": 1, "chess_s2": 1, "doom_s2": 1}


def test_named_channels_and_no_others_are_visited(collecting: Collecting) -> None:
    heard = Heard()
    summary = collecting.collect(logins=["chess_s1", "gamedev_s2"], once=True, heard=heard)
    assert summary.why == "every channel was visited"
    assert heard.logins == {"chess_s1", "gamedev_s2"}
    assert collecting.dataset.rows(FRAMES_BY_CHANNEL) == [
        ("chess_s1", 4),
        ("gamedev_s2", 4),
    ]


def test_a_named_channel_that_is_offline_is_recorded_as_offline(collecting: Collecting) -> None:
    collecting.station.set_live("chess_s1", False)
    summary = collecting.collect(logins=["chess_s1"], once=True)
    assert summary.totals.visits == {"offline": 1}
    (capture,) = collecting.dataset.captures()
    assert (capture.outcome, capture.broadcast_id, capture.bytes_fetched) == ("offline", None, 0)


def test_where_no_login_is_a_channels_nothing_is_visited(collecting: Collecting) -> None:
    with pytest.raises(NoSuchChannel, match="nobody_of_that_name"):
        collecting.collect(logins=["nobody_of_that_name"], once=True)


def test_a_login_that_is_no_channels_is_told_and_the_others_are_visited(collecting: Collecting) -> None:
    summary = collecting.collect(logins=["chess_s1", "nobody_of_that_name"], once=True)
    assert summary.unknown == ("nobody_of_that_name",)
    assert summary.totals.visits == {"kept": 1}


def test_an_unknown_category_is_an_error_that_names_the_nearest(collecting: Collecting) -> None:
    with pytest.raises(ConfigError, match="did you mean 'Chess'"):
        collecting.collect(categories=["Ches"])


def test_wrong_credentials_are_an_error(collecting: Collecting) -> None:
    collecting.configure(twitch={"client_secret": "wrong"})
    with pytest.raises(CredentialsRefused):
        collecting.collect(once=True)


def test_no_channel_gives_more_than_its_share_of_a_category(collecting: Collecting) -> None:
    collecting.configure(collect={"per_category": 20, "channel_share": 0.25}, capture={"frames": 3})
    stop, heard = threading.Event(), moving_on(collecting, 20.0)

    def stop_when_nobody_is_left(states: Iterable[CategoryState]) -> None:
        if any(state.resting_because == "nobody new to visit" and state.kept >= 10 for state in states):
            stop.set()

    heard.at_tick = stop_when_nobody_is_left
    collecting.collect(categories=["Chess"], heard=heard, stop=stop)
    assert collecting.dataset.rows(FRAMES_BY_CHANNEL) == [("chess_s1", 5), ("chess_s2", 5)]


@pytest.mark.parametrize(
    ("rule", "visited"),
    [
        pytest.param({"deny": ["Chess_S1"]}, {"chess_s2"}, id="denied: never"),
        pytest.param({"allow": ["chess_s1"]}, {"chess_s1"}, id="some allowed: no others"),
        pytest.param({"allow": ["chess_s1"], "deny": ["chess_s1"]}, set(), id="denied and allowed: never"),
    ],
)
def test_the_operator_decides_whom_to_visit(
    rule: dict[str, list[str]], visited: set[str], collecting: Collecting
) -> None:
    collecting.configure(collect=rule)
    heard = Heard()
    collecting.collect(categories=["Chess"], once=True, heard=heard)
    assert heard.logins == visited


def test_a_denied_channel_cannot_be_named_either(collecting: Collecting) -> None:
    collecting.configure(collect={"deny": ["chess_s1"]})
    with pytest.raises(ConfigError, match="chess_s1"):
        collecting.collect(logins=["chess_s1"], once=True)


def test_only_streams_in_the_languages_wanted_are_visited(
    start_station: Callable[..., Station], tmp_path: Path, collecting: Collecting
) -> None:
    folder = tmp_path / "videos"
    (folder / "Chess").mkdir(parents=True)
    for name in ("german", "english", "czech"):
        (folder / "Chess" / f"{name}.mp4").symlink_to(PACKAGED_CLIPS / "Chess" / "chess_s1.mp4")
    languages = {"german": "de", "english": "en", "czech": "cs"}
    sections = "".join(f'[channels.{name}]\nlanguage = "{code}"\n' for name, code in languages.items())
    (folder / "station.toml").write_text(sections)
    collecting.configure(**start_station(folder).settings())
    collecting.configure(collect={"languages": ["de", "cs"]})
    heard = Heard()
    collecting.collect(categories=["Chess"], once=True, heard=heard)
    assert heard.logins == {"german", "czech"}
    found = collecting.dataset.rows("SELECT DISTINCT channel, language FROM frame_index ORDER BY 1")
    assert found == [("czech", "cs"), ("german", "de")]


def test_a_channel_that_changes_its_category_meanwhile_gives_nothing(collecting: Collecting) -> None:
    collecting.station.set_fault("chess_s1", "flapping_category")
    summary = collecting.collect(logins=["chess_s1"], once=True)
    assert summary.totals.visits == {"changed": 1}
    (capture,) = collecting.dataset.captures()
    assert capture.outcome == "changed"
    assert capture.reason is not None
    assert capture.category_id != capture.category_after_id
    assert capture.bytes_fetched > 0
    assert collecting.dataset.files() == set()


def test_a_category_with_nobody_live_rests_while_others_are_collected(collecting: Collecting) -> None:
    for login in ("chess_s1", "chess_s2"):
        collecting.station.set_live(login, False)
    collecting.configure(collect={"per_category": 4})
    stop, resting = threading.Event(), set()

    def look(states: Iterable[CategoryState]) -> None:
        by_name = {state.category.name: state for state in states}
        resting.add(by_name["Chess"].resting_because)
        if by_name["Doom"].reached:
            stop.set()

    heard = moving_on(collecting, 10.0)
    heard.at_tick = look
    summary = collecting.collect(categories=["Chess", "Doom"], heard=heard, stop=stop)
    assert summary.why == "stopped"
    assert "nobody is live" in resting
    assert collecting.dataset.rows(FRAMES_BY_CATEGORY) == [("Doom", 4)]


def test_every_visit_is_a_row_that_says_how_it_ended(collecting: Collecting) -> None:
    station = collecting.station
    station.set_fault("chess_s1", "ads_only")
    station.set_fault("chess_s2", "garbage")
    station.set_fault("doom_s2", "subscriber_only")
    summary = collecting.collect(categories=["Chess", "Doom"], once=True)
    rows = collecting.dataset.rows(
        "SELECT login, outcome, reason FROM captures JOIN channels ON channels.id = channel_id ORDER BY 1"
    )
    assert rows == [
        ("chess_s1", "ad", None),
        ("chess_s2", "error", "segment unreadable"),
        ("doom_s2", "error", "subscriber only"),
        ("doom_s3", "kept", None),
    ]
    assert summary.totals.reasons == {"segment unreadable": 1, "subscriber only": 1}
    assert summary.totals.bytes_fetched == collecting.dataset.value("SELECT sum(bytes_fetched) FROM captures")


def test_what_is_blank_or_seen_before_is_left_out_and_counted(collecting: Collecting) -> None:
    collecting.configure(collect={"blank": 1000.0})
    summary = collecting.collect(logins=["chess_s1"], once=True)
    assert summary.totals.frames == 0
    assert summary.totals.skipped == {"blank": 4}
    collecting.configure(collect={"blank": 0.0, "near_identical": 64})
    summary = collecting.collect(logins=["chess_s1"], once=True)
    assert summary.totals.frames == 1
    assert summary.totals.skipped.total() == 3
    assert collecting.dataset.captures()[-1].skipped == dict(summary.totals.skipped)


def test_pictures_are_stored_as_the_settings_say(collecting: Collecting) -> None:
    collecting.configure(images={"height": 90, "quality": 30}, capture={"variant": "best"})
    collecting.collect(logins=["chess_s1"], once=True)
    small = collecting.dataset.rows("SELECT DISTINCT width, height FROM frames")
    assert small == [(160, 90)]
    assert {picture.shape for picture in collecting.dataset.pictures()} == {(90, 160, 3)}


def test_a_stop_finishes_what_is_in_hand_however_busy_helix_is(collecting: Collecting) -> None:
    """Visits wait for their turn at Helix to ask what is declared now; a stop must not take their frames."""
    collecting.configure(twitch={"requests_per_second": 4.0}, capture={"channels": 6, "frames": 2})
    stop = threading.Event()
    heard = Heard(at_visit=lambda _: stop.set())
    summary = collecting.collect(categories=sorted(GAMES)[:3], heard=heard, stop=stop)
    assert summary.why == "stopped"
    begun = [report for report in heard.reports if report.reason != "stopped"]
    assert begun, "one had finished when it was told to stop"
    assert len(heard.reports) == 6, "the others had been sent out"
    assert [capture.outcome for capture in collecting.dataset.captures()] == ["kept"] * len(begun)


def test_two_collectors_share_the_work(collecting: Collecting) -> None:
    collecting.configure(collect={"per_category": 24}, capture={"channels": 6})
    lock, summaries, failures = threading.Lock(), list[Summary](), list[BaseException]()
    heard = [Heard(), Heard()]

    def move_on(_: VisitReport) -> None:
        with lock:
            collecting.clock.ahead_s += 3.0

    def run(number: int) -> None:
        heard[number].at_visit = move_on
        try:
            summaries.append(collecting.collect(categories=sorted(GAMES)[:3], heard=heard[number]))
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dataset = collecting.dataset
    assert failures == []
    assert [summary.why for summary in summaries] == ["every target is reached"] * 2
    assert all(one.reports for one in heard)
    by_category = dict(dataset.rows(FRAMES_BY_CATEGORY))
    assert set(by_category) == set(sorted(GAMES)[:3])
    assert min(by_category.values()) >= 24
    assert dataset.frames() == sum(summary.totals.frames for summary in summaries)
    assert dataset.rows("SELECT outcome FROM captures WHERE outcome = 'error'") == []
    # No two visits to a channel at the same time.
    overlapping = (
        "SELECT count(*) FROM captures a JOIN captures b ON a.channel_id = b.channel_id AND a.id < b.id"
        " AND a.started_at < b.finished_at AND b.started_at < a.finished_at"
    )
    assert dataset.value(overlapping) == 0
    assert dataset.files() == dataset.paths()


def test_what_was_shown_before_a_change_of_category_is_not_taken_for_the_new_one(
    collecting: Collecting,
) -> None:
    collecting.configure(capture={"frames": 15})
    first = collecting.collect(logins=["chess_s1"], once=True)
    assert first.totals.frames > 0
    collecting.station.set_category("chess_s1", "Doom")
    collecting.clock.ahead_s += 20.0
    at_once = collecting.collect(logins=["chess_s1"], once=True)
    assert at_once.totals.skipped["before the category"] > 0
    change = collecting.dataset.value(
        "SELECT min(started_at) FROM captures JOIN categories c ON c.id = category_id WHERE c.name = 'Doom'"
    )
    oldest = "SELECT min(captured_at) FROM frame_index WHERE category = 'Doom'"
    assert collecting.dataset.value(oldest) is None or collecting.dataset.value(oldest) >= change
    collecting.clock.ahead_s += 30.0
    later = collecting.collect(logins=["chess_s1"], once=True)
    assert later.totals.frames > 0
    assert collecting.dataset.value(oldest) >= change


def test_a_channel_that_declares_no_category_gives_no_frames_and_costs_nothing(
    collecting: Collecting,
) -> None:
    collecting.station.set_category("chess_s1", "")
    summary = collecting.collect(logins=["chess_s1"], once=True)
    assert summary.totals.reasons == {"no category": 1}
    assert summary.totals.bytes_fetched == 0
    assert collecting.dataset.files() == set()


def test_what_nobody_foresaw_ends_one_visit_and_not_the_others(collecting: Collecting) -> None:
    order = collecting.order("chess_s1")
    assert order.stream is not None
    odd = replace(order, stream=replace(order.stream, title="a NUL: \x00"))
    report = collecting.visitor.visit(odd)
    assert report.outcome is Outcome.LOST
    assert "NUL" in str(report.error)
    assert collecting.visitor.visit(order).outcome is Outcome.KEPT
