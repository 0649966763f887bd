"""The Helix client against the station, over real connections."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from twitchcat.config import Settings
from twitchcat.errors import ConfigError, CredentialsRefused, NetworkError
from twitchcat.station.server import Station
from twitchcat.twitch.entities import LiveState
from twitchcat.twitch.helix import HelixClient


def client(station: Station, **options: Any) -> HelixClient:
    settings = Settings.model_validate(
        {"twitch": {**station.settings()["twitch"], "requests_per_second": 1000}}
    )
    return HelixClient(settings.twitch, **options)


@pytest.fixture
def helix(station: Station) -> Iterator[HelixClient]:
    with client(station) as opened:
        yield opened


def test_who_is_live_where(station: Station, helix: HelixClient) -> None:
    categories = helix.top_categories(100)
    assert {one.name for one in categories} == {channel.plan.shows for channel in station.channels}
    assert {one.is_game for one in categories} == {True, False}
    live = [stream for one in categories for stream in helix.live_in(one.id)]
    assert {stream.channel.login for stream in live} == {channel.login for channel in station.channels}


def test_a_category_is_found_whatever_its_case_and_missed_with_a_hint(helix: HelixClient) -> None:
    assert helix.categories_named(["chess"])["chess"].name == "Chess"
    with pytest.raises(ConfigError, match="no category 'Ches'; did you mean 'Chess'"):
        helix.categories_named(["Ches"])


def test_a_channel_that_goes_offline_is_seen(station: Station, helix: HelixClient) -> None:
    login = station.channels[0].login
    assert helix.live_state(login) is LiveState.LIVE
    station.set_live(login, False)
    assert helix.live_state(login) is LiveState.OFFLINE
    assert helix.live_state("nobody_at_all") is LiveState.MISSING


def test_a_category_change_is_seen(station: Station, helix: HelixClient) -> None:
    login = station.channels[0].login
    before = helix.live_now([login])[login]
    station.set_category(login, "Doom")
    after = helix.live_now([login])[login]
    assert after.category is not None
    assert (after.category.name, after.id) == ("Doom", before.id)
    station.set_category(login, "")
    assert helix.live_now([login])[login].category is None


def test_revoked_tokens_are_renewed(station: Station, helix: HelixClient) -> None:
    helix.top_categories(1)
    station.expire_tokens()
    assert helix.top_categories(1)
    assert [asked.kind for asked in station.requests] == ["oauth", "helix", "helix", "oauth", "helix"]
    assert helix.validate_token().client_id == station.options.client_id


def test_repeated_entries_and_many_pages_are_no_trouble(start_station: Callable[..., Station]) -> None:
    station = start_station(channels=250, page_overlap=7)
    with client(station) as helix:
        streams = [s for one in helix.top_categories(100) for s in helix.live_in(one.id, limit=1000)]
    assert len(streams) == len({stream.id for stream in streams}) == 250


def test_an_empty_bucket_is_waited_for(start_station: Callable[..., Station]) -> None:
    now = [1_800_000_000.0]
    station = start_station(rate_limit=3, clock=lambda: now[0])
    waits: list[float] = []

    def sleep(seconds: float, _: object) -> None:
        waits.append(seconds)
        now[0] += seconds

    with client(station, clock=lambda: now[0], sleep=sleep) as helix:
        for _ in range(7):
            helix.top_categories(1)
    assert [asked.status for asked in station.requests if asked.kind == "helix"].count(429) <= 1
    assert 0 < sum(waits) < 200


def test_wrong_credentials_are_said(station: Station) -> None:
    settings = Settings.model_validate({"twitch": {**station.settings()["twitch"], "client_secret": "wrong"}})
    with HelixClient(settings.twitch) as helix, pytest.raises(CredentialsRefused, match=r"dev\.twitch\.tv"):
        helix.top_categories(1)


def test_a_helix_in_trouble_is_a_network_error(station: Station) -> None:
    with client(station, sleep=lambda *_: None) as helix:
        helix.top_categories(1)
        station.set_fault("*", "server_error")
        with pytest.raises(NetworkError, match="answered 500"):
            helix.top_categories(1)


def test_a_station_is_reached_past_the_proxy(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{station.url}/helix/streams")
    with client(station) as helix:
        assert helix.top_categories(1)
