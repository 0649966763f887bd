"""Live sources against the station, through streamlink's own Twitch plugin and real connections."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from twitchcat.config import Settings
from twitchcat.errors import (
    AdsOnly,
    ChannelOffline,
    Geoblocked,
    IntegrityFailed,
    NetworkError,
    NoSuchChannel,
    SegmentUnreadable,
    StreamUnreadable,
    SubscriberOnly,
    TwitchcatError,
)
from twitchcat.station.server import Station
from twitchcat.twitch.breaker import Breaker
from twitchcat.twitch.helix import HelixClient
from twitchcat.twitch.live import LiveSource, LiveStreams

LOGIN = "chess_s1"
WHOLE = 1 << 24  # more than any segment of the station


def settings_for(station: Station, **twitch: object) -> Settings:
    return Settings.model_validate(
        {"twitch": {**station.settings()["twitch"], "resolves_per_second": 1000, **twitch}}
    )


@pytest.fixture
def helix(station: Station) -> Iterator[HelixClient]:
    with HelixClient(settings_for(station, requests_per_second=1000).twitch) as client:
        yield client


@pytest.fixture
def streams(station: Station, helix: HelixClient) -> Iterator[LiveStreams]:
    with LiveStreams(settings_for(station), live_state=helix.live_state) as opened:
        yield opened


@pytest.fixture
def source(streams: LiveStreams) -> LiveSource:
    return streams.open(LOGIN)


def kinds(station: Station) -> list[str]:
    return [asked.kind for asked in station.requests]


def read_first(source: LiveSource, stop: int = WHOLE) -> bytes:
    return source.read(source.window().segments[0].uri, 0, stop).data


# The whole path


def test_a_stream_is_opened_looked_at_and_read(station: Station, source: LiveSource) -> None:
    assert source.variant.height == 360
    window = source.window()
    assert len(window.segments) == station.options.window
    assert (window.ads, window.dropped, window.unusable, window.ended) == (0, 0, 0, False)

    segment = window.segments[0]
    assert timedelta(0) < datetime.now(UTC) - segment.at < timedelta(minutes=2)
    whole = source.read(segment.uri, 0, WHOLE)
    assert whole.data[:1] == b"\x47"  # the sync byte of MPEG-TS
    assert whole.total == len(whole.data)
    part = source.read(segment.uri, 1000, 3000)
    assert (part.data, part.start, part.total) == (whole.data[1000:3000], 1000, whole.total)
    assert kinds(station) == ["gql", "master", "playlist", "segment", "segment"]
    assert source.bytes_fetched == sum(asked.served for asked in station.requests)


def test_segments_lie_one_after_the_other_in_time(source: LiveSource) -> None:
    segments = source.window().segments
    for one, following in pairwise(segments):
        assert following.number == one.number + 1
        assert abs(following.at - one.at - timedelta(seconds=one.duration_s)) < timedelta(milliseconds=5)


@pytest.mark.parametrize(("wanted", "height"), [("worst", 160), ("100p", 160), ("best", 360), ("4000p", 360)])
def test_the_variant_follows_the_setting(station: Station, wanted: str, height: int) -> None:
    settings = settings_for(station).model_copy(
        update={"capture": Settings().capture.model_copy(update={"variant": wanted})}
    )
    with LiveStreams(settings) as streams:
        assert streams.open(LOGIN).variant.height == height


def test_many_threads_open_and_read_many_streams(station: Station, streams: LiveStreams) -> None:
    logins = [channel.login for channel in station.channels]
    found: dict[str, bytes] = {}

    def visit(login: str) -> None:
        found[login] = read_first(streams.open(login), 100)
        streams.close(login)

    threads = [threading.Thread(target=visit, args=(login,)) for login in logins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.keys() == set(logins)
    assert all(data[:1] == b"\x47" for data in found.values())


def test_a_station_is_reached_past_the_proxy(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with LiveStreams(settings_for(station)) as streams:
        assert read_first(streams.open(LOGIN), 100)


# Opening fails


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("geoblocked", Geoblocked),
        ("subscriber_only", SubscriberOnly),
        ("audio_only", StreamUnreadable),
        ("integrity", IntegrityFailed),
        ("server_error", NetworkError),
    ],
)
def test_every_failure_to_open_has_its_name(
    station: Station, streams: LiveStreams, fault: str, error: type[TwitchcatError]
) -> None:
    station.set_fault(LOGIN, fault)
    with pytest.raises(error) as raised:
        streams.open(LOGIN)
    assert type(raised.value) is error
    station.clear_faults()
    assert streams.open(LOGIN).window().segments


def test_offline_is_told_from_missing(station: Station, streams: LiveStreams) -> None:
    station.set_live(LOGIN, False)
    with pytest.raises(ChannelOffline, match=f"{LOGIN} is not live") as offline:
        streams.open(LOGIN)
    assert not isinstance(offline.value, NoSuchChannel)
    with pytest.raises(NoSuchChannel, match="there is no channel nobody_at_all"):
        streams.open("nobody_at_all")


def test_a_station_that_is_gone_is_a_network_error(start_station: Callable[..., Station]) -> None:
    gone = start_station()
    settings = settings_for(gone)
    gone.__exit__(None, None, None)
    with LiveStreams(settings) as streams, pytest.raises(NetworkError, match="could not be reached"):
        streams.open(LOGIN)


def test_integrity_failures_across_channels_stop_the_asking(station: Station) -> None:
    station.set_fault("*", "integrity")
    now = [datetime(2026, 11, 21, tzinfo=UTC)]
    logins = [channel.login for channel in station.channels]
    with LiveStreams(settings_for(station), breaker=Breaker(clock=lambda: now[0])) as streams:
        for login in logins[:3]:
            with pytest.raises(IntegrityFailed):
                streams.open(login)
        asked = len(station.requests)
        for login in logins:
            with pytest.raises(IntegrityFailed, match="not asked again until"):
                streams.open(login)
        assert len(station.requests) == asked

        station.clear_faults()
        now[0] += timedelta(minutes=10)
        assert streams.open(logins[0]).window().segments


# Looking fails


def test_a_dead_address_is_resolved_anew(station: Station, source: LiveSource) -> None:
    station.set_fault(LOGIN, "token_expiry")
    assert source.window().segments
    assert kinds(station) == ["gql", "master", "playlist", "gql", "master", "playlist"]


def test_a_stream_that_ends_in_mid_visit_is_offline(station: Station, source: LiveSource) -> None:
    segment = source.window().segments[0]
    station.set_fault(LOGIN, "offline")
    with pytest.raises(SegmentUnreadable, match="404"):
        source.read(segment.uri, 0, 100)
    with pytest.raises(ChannelOffline):
        source.window()


def test_a_stream_that_is_switched_off_is_offline(station: Station, source: LiveSource) -> None:
    source.window()
    station.set_live(LOGIN, False)
    with pytest.raises(ChannelOffline):
        source.window()


def test_numbers_that_start_again_are_followed(station: Station, source: LiveSource) -> None:
    before = source.window()
    station.set_fault(LOGIN, "sequence_reset")
    after = source.window()
    assert after.first_number < before.first_number
    assert read_first(source, 100)


@pytest.mark.parametrize(
    ("fault", "error"), [("bad_playlist", StreamUnreadable), ("server_error", NetworkError)]
)
def test_every_failure_to_look_has_its_name(
    station: Station, source: LiveSource, fault: str, error: type[TwitchcatError]
) -> None:
    station.set_fault(LOGIN, fault)
    with pytest.raises(error) as raised:
        source.window()
    assert type(raised.value) is error
    station.clear_faults()
    assert source.window().segments


def test_a_frozen_playlist_still_shows_what_it_did(station: Station, source: LiveSource) -> None:
    station.set_fault(LOGIN, "frozen_playlist")
    assert source.window() == source.window()


# Ads


def test_no_segment_of_an_ad_break_nor_beside_it_is_offered(station: Station, source: LiveSource) -> None:
    station.start_ads(LOGIN, 8, ago_s=16)
    window = source.window()
    assert window.ads >= 4
    assert window.dropped >= 2
    offered = {segment.number for segment in window.segments}
    first = window.first_number
    withheld = [n for n in range(first, first + station.options.window) if n not in offered]
    assert len(withheld) == window.ads + window.dropped
    # The break with its neighbours, in one piece.
    assert withheld == list(range(withheld[0], withheld[-1] + 1))


def test_nothing_but_ads_is_said(station: Station, source: LiveSource) -> None:
    station.set_fault(LOGIN, "ads_only")
    window = source.window()
    assert window.segments == ()
    with pytest.raises(AdsOnly):
        window.require_content()


# Reading


def test_fmp4_comes_with_its_initialization(station: Station, streams: LiveStreams) -> None:
    station.set_fault(LOGIN, "fmp4")
    source = streams.open(LOGIN)
    segment = source.window().segments[0]
    assert segment.init_uri is not None
    assert source.read(segment.init_uri, 0, WHOLE).data[4:8] == b"ftyp"
    assert source.read(segment.uri, 0, 100).data[4:8] in {b"moof", b"styp", b"sidx"}


def test_a_server_that_ignores_ranges_gives_the_whole(station: Station, source: LiveSource) -> None:
    uri = source.window().segments[0].uri
    whole = source.read(uri, 0, WHOLE)
    station.set_fault(LOGIN, "no_ranges")
    assert source.read(uri, 500, 600) == whole


@pytest.mark.parametrize("fault", ["not_found", "server_error"])
def test_a_segment_that_is_not_there_is_unreadable(station: Station, source: LiveSource, fault: str) -> None:
    uri = source.window().segments[0].uri
    station.set_fault(LOGIN, fault)
    with pytest.raises(SegmentUnreadable):
        source.read(uri, 0, 100)


def test_beyond_the_end_there_is_nothing(source: LiveSource) -> None:
    with pytest.raises(SegmentUnreadable, match="416"):
        source.read(source.window().segments[0].uri, WHOLE, WHOLE + 1)


@pytest.mark.parametrize("fault", ["stalled", "slow:60"], ids=["goes quiet", "trickles"])
def test_no_read_takes_longer_than_its_timeout(station: Station, fault: str) -> None:
    with LiveStreams(settings_for(station, timeout="300ms")) as streams:
        source = streams.open(LOGIN)
        uri = source.window().segments[0].uri
        source.read(uri, 0, 1)  # the station has the segment ready now
        station.set_fault(LOGIN, fault)
        started = time.monotonic()
        with pytest.raises(NetworkError, match=r"did not finish its answer in 0\.3 s"):
            source.read(uri, 0, 60_000)
        assert time.monotonic() - started < 2
        station.clear_faults()
        assert len(source.read(uri, 0, 1000).data) == 1000
