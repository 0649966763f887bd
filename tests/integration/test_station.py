"""The station as a server: its switches, its command, its coming and going."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.station_client import LOGIN, helix_client
from twitchcat.errors import ConfigError
from twitchcat.station.context import StationOptions
from twitchcat.station.folder import PACKAGED_CLIPS
from twitchcat.station.server import Station


@pytest.fixture
def helix(station: Station) -> Iterator[httpx.Client]:
    with helix_client(station) as client:
        yield client


class TestControl:
    def test_switches_over_http(self, station: Station, helix: httpx.Client) -> None:
        url = f"{station.url}/station/channels"
        assert len(httpx.get(url).json()) == 12
        change = {"fault": "fmp4", "category": "Chess", "live": True, "ads_s": 30, "ads_ago_s": 1}
        [shown] = httpx.put(f"{url}/{LOGIN}", json=change).json()
        assert (shown["declares"], shown["shows"], shown["ads"]) == ("Chess", "SuperTux", True)
        assert shown["faults"] == ["fmp4"]
        assert helix.get("/streams", params={"user_login": LOGIN}).json()["data"][0]["game_name"] == "Chess"
        assert httpx.put(f"{url}/{LOGIN}", json={"live": False}).json()[0]["faults"] == ["fmp4"]
        everywhere = httpx.put(f"{url}/*", json={"fault": None}).json()
        assert [channel["faults"] for channel in everywhere] == [[]] * 12

    @pytest.mark.parametrize(
        ("switch", "shows"),
        [
            pytest.param({"fault": "slow:2"}, {"faults": ["slow:2"]}, id="faults"),
            pytest.param({"live": False}, {"live": False}, id="offline"),
            pytest.param({"category": "Art"}, {"declares": "Art"}, id="another category"),
            pytest.param({"ads_s": 30, "ads_ago_s": 1}, {"ads": True}, id="an ad break"),
        ],
    )
    def test_every_switch_may_be_thrown_for_all_channels(
        self, station: Station, switch: dict[str, object], shows: dict[str, object]
    ) -> None:
        shown = httpx.put(f"{station.url}/station/channels/*", json=switch).json()
        assert [{name: channel[name] for name in shows} for channel in shown] == [shows] * 12
        assert httpx.get(f"{station.url}/station/channels").json() == shown

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_a_channel_may_declare_no_category(
        self, station: Station, helix: httpx.Client, nothing: str | None
    ) -> None:
        [shown] = httpx.put(f"{station.url}/station/channels/{LOGIN}", json={"category": nothing}).json()
        [stream] = helix.get("/streams", params={"user_login": LOGIN}).json()["data"]
        assert (shown["declares"], stream["game_id"], stream["game_name"]) == ("", "", "")
        station.set_category("*", nothing)
        assert {one["game_name"] for one in helix.get("/streams").json()["data"]} == {""}
        assert helix.get("/games/top").json()["data"] == []
        known = helix.get("/games", params={"name": ["SuperTux", "Doom"]}).json()["data"]
        assert [game["name"] for game in known] == ["Doom", "SuperTux"]

    @pytest.mark.parametrize(
        ("login", "body", "status", "message"),
        [
            pytest.param("nobody", {"live": True}, 404, "no channel nobody", id="no such channel"),
            pytest.param(LOGIN, {"fault": "slwo"}, 400, "did you mean slow", id="no such fault"),
            pytest.param("*", {"fault": "slwo"}, 400, "did you mean slow", id="no such fault for all"),
            pytest.param(LOGIN, {"colour": 1}, 400, "colour", id="no such switch"),
            pytest.param(LOGIN, {"ads_s": -1}, 400, "ads_s", id="a wrong value"),
            pytest.param(LOGIN, [], 400, "object", id="no object"),
        ],
    )
    def test_wrong_switches(
        self, station: Station, login: str, body: object, status: int, message: str
    ) -> None:
        answer = httpx.put(f"{station.url}/station/channels/{login}", json=body)
        assert answer.status_code == status
        assert message in answer.json()["error"]

    def test_tokens_can_be_ended_over_http(self, station: Station, helix: httpx.Client) -> None:
        assert httpx.delete(f"{station.url}/station/tokens").status_code == 204
        assert helix.get("/streams").status_code == 401


class TestServer:
    def test_forty_channels_are_up_in_less_than_two_seconds(
        self, start_station: Callable[..., Station]
    ) -> None:
        begun = time.monotonic()
        station = start_station(channels=40)
        assert len(httpx.get(f"{station.url}/station/channels").json()) == 40
        assert time.monotonic() - begun < 2

    def test_it_leaves_nothing_behind(self) -> None:
        threads = threading.active_count()
        with Station(PACKAGED_CLIPS) as station:
            assert httpx.get(f"{station.url}/station/channels").status_code == 200
            assert threading.active_count() > threads
        assert threading.active_count() == threads
        with pytest.raises(httpx.ConnectError):
            httpx.get(station.url)

    def test_it_closes_at_once_with_connections_open_on_which_nothing_is_asked(self) -> None:
        took_s = []
        for _ in range(3):  # one of them is not held up by what else the machine does
            with Station(PACKAGED_CLIPS) as station, httpx.Client() as kept_alive:
                kept_alive.get(f"{station.url}/station/channels")
                with socket.create_connection(("127.0.0.1", int(station.url.rpartition(":")[2]))) as half:
                    half.sendall(b"GET /station/")
                    begun = time.monotonic()
                    station.__exit__(None, None, None)
                    took_s.append(time.monotonic() - begun)
                    assert half.recv(1) == b""
        assert min(took_s) < 0.1

    def test_an_answer_that_takes_long_is_not_waited_for(self) -> None:
        with Station(PACKAGED_CLIPS, options=StationOptions(latency_s=30)) as station:
            address = ("127.0.0.1", int(station.url.rpartition(":")[2]))
            with socket.create_connection(address) as waiting, socket.create_connection(address) as quick:
                waiting.sendall(b"GET /station/channels HTTP/1.1\r\nHost: station\r\n\r\n")
                quick.sendall(b"nonsense\r\n\r\n")
                assert quick.recv(12) == b"HTTP/1.1 400"  # so the other request has been taken up, too
                begun = time.monotonic()
                station.__exit__(None, None, None)
                assert time.monotonic() - begun < 1.9  # uvicorn would give it two seconds
                assert waiting.recv(1) == b""

    def test_a_port_that_is_taken_is_named(self, station: Station) -> None:
        port = int(station.url.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"port {port} of"), Station(PACKAGED_CLIPS, port=port):
            pass

    def test_latency_comes_before_each_answer(self, start_station: Callable[..., Station]) -> None:
        station = start_station(latency_s=0.2)
        begun = time.monotonic()
        httpx.get(f"{station.url}/station/channels")
        assert time.monotonic() - begun >= 0.2

    def test_the_command_names_what_it_leaves_out_and_what_is_called_otherwise(self, tmp_path: Path) -> None:
        for category in ("Doom", "Chess"):
            (tmp_path / category).mkdir()
            shutil.copy(PACKAGED_CLIPS / "Doom" / "doom_s2.mp4", tmp_path / category / "S1.mp4")
        (tmp_path / "Doom" / "notes.mp4").write_text("buy milk")
        command = [sys.executable, "-c", "from twitchcat.cli import main; main()", "station"]
        with subprocess.Popen(
            [*command, str(tmp_path), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout is not None
            announced = [next(running.stdout).split() for _ in range(3)]
            running.terminate()
            _, told = running.communicate(timeout=10)
        assert announced[0][-1] == "File"
        assert [(row[0], row[-1]) for row in announced[1:]] == [("chess_s1", "S1.mp4"), ("doom_s1", "S1.mp4")]
        assert f"{tmp_path / 'Doom' / 'notes.mp4'} is left out, it cannot be played: " in told

    def test_the_command_serves_until_it_is_told_to_stop(self) -> None:
        command = [sys.executable, "-c", "from twitchcat.cli import main; main()"]
        arguments = ["station", "--port", "0", "--fault", f"{LOGIN}=slow:2", "--json"]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            announced = httpx.Response(200, text=running.stdout.readline()).json()
            assert httpx.get(f"{announced['url']}/station/channels").json() == announced["channels"]
            assert announced["settings"]["twitch"]["rewrite"] == announced["url"]
            running.terminate()
            assert running.wait(10) == 0
