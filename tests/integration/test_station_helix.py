"""The station's Helix, as a plain client sees it."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.integration.station_client import LOGIN, app_token_form, helix_client
from twitchcat.station.server import Station


@pytest.fixture
def helix(station: Station) -> Iterator[httpx.Client]:
    with helix_client(station) as client:
        yield client


class TestHelix:
    def test_live_streams_have_twitchs_shape_and_order(self, helix: httpx.Client) -> None:
        answer = helix.get("/streams").raise_for_status()
        streams = answer.json()["data"]
        assert len(streams) == 12
        assert answer.json()["pagination"] == {}
        viewers = [stream["viewer_count"] for stream in streams]
        assert viewers == sorted(viewers, reverse=True)
        [stream] = [stream for stream in streams if stream["user_login"] == LOGIN]
        assert (stream["game_name"], stream["type"], stream["language"]) == ("SuperTux", "live", "en")
        assert all(stream[name].isdecimal() for name in ("id", "user_id", "game_id"))
        assert stream["started_at"].endswith("Z")
        assert answer.headers["ratelimit-limit"] == "800"
        assert int(answer.headers["ratelimit-remaining"]) == 799

    def test_streams_are_found_by_login_id_game_and_language(
        self, station: Station, helix: httpx.Client
    ) -> None:
        [chess] = helix.get("/games", params={"name": "Chess"}).json()["data"]
        [user] = helix.get("/users", params={"login": "CHESS_S1"}).json()["data"]

        def logins(**params: str | list[str]) -> set[str]:
            return {one["user_login"] for one in helix.get("/streams", params=params).json()["data"]}

        assert logins(game_id=chess["id"]) == {"chess_s1", "chess_s2"}
        assert logins(user_id=user["id"]) == {"chess_s1"}
        assert logins(user_login=["chess_s1", LOGIN, "nobody"]) == {"chess_s1", LOGIN}
        assert logins(language="de") == set()
        station.set_category(LOGIN, "Chess")
        assert logins(game_id=chess["id"]) == {"chess_s1", "chess_s2", LOGIN}

    def test_pages_follow_the_cursor_to_the_end(self, helix: httpx.Client) -> None:
        seen, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            params = {"first": "5"} | ({"after": cursor} if cursor else {})
            page = helix.get("/streams", params=params).json()
            seen += [stream["id"] for stream in page["data"]]
            cursor = page["pagination"].get("cursor")
            pages += 1
        assert pages == 3
        assert len(seen) == len(set(seen)) == 12

    def test_pages_may_overlap_as_they_do_on_twitch(self, start_station: Callable[..., Station]) -> None:
        station = start_station(page_overlap=2)
        with helix_client(station) as client:
            first = client.get("/streams", params={"first": 5}).json()
            second = client.get(
                "/streams", params={"first": 5, "after": first["pagination"]["cursor"]}
            ).json()
        assert [one["id"] for one in second["data"][:2]] == [one["id"] for one in first["data"][3:]]

    def test_categories(self, helix: httpx.Client) -> None:
        top = helix.get("/games/top").json()["data"]
        assert {game["name"] for game in top} == {
            *("Chess", "Doom", "Dungeon Crawl Stone Soup"),
            *("Software and Game Development", "SuperTux", "SuperTuxKart"),
        }
        assert [game["name"] for game in top if not game["igdb_id"]] == ["Software and Game Development"]
        found = helix.get("/search/categories", params={"query": "SUPER tux"}).json()["data"]
        assert {game["name"] for game in found} == {"SuperTux", "SuperTuxKart"}
        assert all("{width}" not in game["box_art_url"] for game in found)
        by_id = helix.get("/games", params={"id": [found[0]["id"], "1"]}).json()
        assert [game["name"] for game in by_id["data"]] == [found[0]["name"]]
        assert "pagination" not in by_id

    def test_channels_declare_their_category_when_offline_too(
        self, station: Station, helix: httpx.Client
    ) -> None:
        station.set_live(LOGIN, False)
        station.set_category(LOGIN, "")
        [user] = helix.get("/users", params={"login": LOGIN}).json()["data"]
        [channel] = helix.get("/channels", params={"broadcaster_id": user["id"]}).json()["data"]
        assert (channel["broadcaster_login"], channel["game_id"], channel["game_name"]) == (LOGIN, "", "")

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            pytest.param("/streams?first=101", 400, id="a page too large"),
            pytest.param("/streams?first=x", 400, id="a page of no size"),
            pytest.param("/streams?after=eHh4", 400, id="a cursor from elsewhere"),
            pytest.param("/streams?" + "user_login=a&" * 101, 400, id="too many logins"),
            pytest.param("/games", 400, id="games without a filter"),
            pytest.param("/users", 400, id="users without a filter"),
            pytest.param("/channels", 400, id="channels without a filter"),
            pytest.param("/search/categories", 400, id="a search for nothing"),
            pytest.param("/eventsub", 404, id="what the station does not have"),
        ],
    )
    def test_wrong_calls_are_refused_in_twitchs_words(
        self, helix: httpx.Client, path: str, status: int
    ) -> None:
        answer = helix.get(path)
        assert answer.status_code == status
        assert answer.json().keys() == {"error", "status", "message"}

    def test_tokens(self, station: Station, helix: httpx.Client) -> None:
        auth_url = station.settings()["twitch"]["auth_url"]
        token = helix.headers["authorization"].removeprefix("Bearer ")
        valid = httpx.get(f"{auth_url}/validate", headers={"Authorization": f"OAuth {token}"}).json()
        assert valid["client_id"] == station.options.client_id
        assert valid["expires_in"] > 5_000_000
        bare = httpx.get(f"{station.url}/helix/streams")
        assert (bare.status_code, bare.json()["message"]) == (401, "Missing Client ID or OAuth token")
        other = helix.get("/streams", headers={"Client-Id": "other"})
        assert (other.status_code, other.json()["message"]) == (401, "Invalid OAuth token")
        station.expire_tokens()
        assert helix.get("/streams").status_code == 401
        dead = httpx.get(f"{auth_url}/validate", headers={"Authorization": f"OAuth {token}"})
        assert dead.status_code == 401

    @pytest.mark.parametrize(
        ("wrong", "status", "message"),
        [
            pytest.param({"client_id": "x"}, 400, "invalid client", id="client id"),
            pytest.param({"client_secret": "x"}, 403, "invalid client secret", id="secret"),
            pytest.param({"grant_type": "x"}, 400, "invalid grant type", id="grant"),
        ],
    )
    def test_wrong_credentials(
        self, station: Station, wrong: dict[str, str], status: int, message: str
    ) -> None:
        url = station.settings()["twitch"]["auth_url"]
        answer = httpx.post(f"{url}/token", data=app_token_form(station) | wrong)
        assert (answer.status_code, answer.json()) == (status, {"status": status, "message": message})

    def test_the_bucket_runs_dry_and_fills_again(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(rate_limit=3, clock=lambda: now_s[0])
        with helix_client(station) as client:
            codes = [client.get("/streams").status_code for _ in range(4)]
            reset_s = int(client.get("/streams").headers["ratelimit-reset"])
            assert codes == [200, 200, 200, 429]
            assert 60 <= reset_s - now_s[0] <= 61
            now_s[0] = reset_s
            assert client.get("/streams").headers["ratelimit-remaining"] == "2"
