"""Each fault of the station, as the plugin or a plain client meets it."""

import io
import logging
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import pytest
from streamlink import Streamlink
from streamlink.exceptions import PluginError

from tests.integration.station_client import (
    LOGIN,
    content,
    first_pts_s,
    helix_client,
    keyframe_bytes,
    picture,
    playlist_of,
    plugin_session,
    raw_get,
    streams_of,
)
from twitchcat.station.folder import PACKAGED_CLIPS
from twitchcat.station.server import Station


@pytest.fixture
def streamlink(station: Station) -> Iterator[Streamlink]:
    session = plugin_session(station)
    yield session
    session.http.close()


@pytest.fixture
def helix(station: Station) -> Iterator[httpx.Client]:
    with helix_client(station) as client:
        yield client


class TestFaults:
    """Each kind of trouble, as the plugin or a client meets it."""

    def test_not_found(self, station: Station, streamlink: Streamlink) -> None:
        segment = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1]
        station.set_fault(LOGIN, "not_found")
        assert raw_get(station, segment.uri).status_code == 404
        station.clear_faults()
        assert raw_get(station, segment.uri).status_code == 200

    def test_truncated_segments_are_consistently_short_and_without_a_whole_keyframe(
        self, station: Station, streamlink: Streamlink
    ) -> None:
        for faults in ("truncated", "truncated,fmp4"):
            station.set_fault(LOGIN, faults.replace("truncated,", "").replace("truncated", ""))
            segment = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1]
            whole = raw_get(station, segment.uri).content
            station.set_fault(LOGIN, faults)
            part = raw_get(station, segment.uri, Range="bytes=0-499999")
            assert part.headers["content-range"] == f"bytes 0-{len(part.content) - 1}/{len(part.content)}"
            assert whole.startswith(part.content)
            keyframe = keyframe_bytes(LOGIN, int(segment.num))
            assert 0.3 * keyframe < len(part.content) < 0.9 * keyframe

    def test_garbage_is_no_video(self, station: Station, streamlink: Streamlink) -> None:
        segment = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1]
        whole = raw_get(station, segment.uri).content
        station.set_fault(LOGIN, "garbage")
        noise = raw_get(station, segment.uri).content
        assert len(noise) == len(whole)
        with pytest.raises(av.error.FFmpegError):
            picture(noise)

    def test_slow_segments_trickle(self, station: Station, streamlink: Streamlink) -> None:
        segment = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1]
        whole = raw_get(station, segment.uri).content
        station.set_fault(LOGIN, "slow:0.4")
        begun = time.monotonic()
        assert raw_get(station, segment.uri).content == whole
        assert 0.35 < time.monotonic() - begun < 5

    def test_stalled_segments_stop_half_way_and_hold_the_connection(
        self, station: Station, streamlink: Streamlink
    ) -> None:
        segment = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1]
        raw_get(station, segment.uri)  # made by now, so that only the fault takes time
        station.set_fault(LOGIN, "stalled")
        asked = urlsplit(segment.uri)
        got: list[int] = []
        with (
            httpx.Client(timeout=httpx.Timeout(5, read=0.5)) as client,
            client.stream("GET", station.url + asked.path, headers={"Range": "bytes=0-9999"}) as answer,
        ):
            assert answer.headers["content-length"] == "10000"
            chunks = answer.iter_raw(1)
            with pytest.raises(httpx.ReadTimeout):
                got.extend(chunk[0] for chunk in chunks)
        assert len(got) == 5000

    def test_a_stalled_answer_does_not_keep_the_station_open(self) -> None:
        with Station(PACKAGED_CLIPS) as station, httpx.Client() as client:
            station.set_fault("*", "stalled")
            session = plugin_session(station)
            uri = content(playlist_of(session, streams_of(session)["360p15"]))[-1].uri
            session.http.close()
            request = client.build_request("GET", station.url + urlsplit(uri).path)
            answer = client.send(request, stream=True)
            begun = time.monotonic()
            station.__exit__(None, None, None)
            assert time.monotonic() - begun < 0.45  # at half a second it would be cut off by force
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()

    def test_ranges_ignored(self, station: Station, streamlink: Streamlink) -> None:
        station.set_fault(LOGIN, "no_ranges")
        segment = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1]
        answer = raw_get(station, segment.uri, Range="bytes=0-99")
        assert answer.status_code == 200
        assert "accept-ranges" not in answer.headers
        assert len(answer.content) > 10_000

    def test_fragmented_mp4(self, station: Station, streamlink: Streamlink) -> None:
        station.set_fault(LOGIN, "fmp4")
        for name, size in (("360p15", (360, 640)), ("160p30", (160, 284))):
            segments = content(playlist_of(streamlink, streams_of(streamlink)[name]))
            assert len({segment.map.uri for segment in segments}) == 1
            init = streamlink.http.get(segments[0].map.uri).content
            assert init[4:8] == b"ftyp"
            data = [init + streamlink.http.get(segment.uri).content for segment in segments[:3]]
            assert picture(data[0]).shape[:2] == size
            assert np.diff([first_pts_s(one) for one in data]) == pytest.approx([2.0, 2.0], abs=1e-3)

    def test_audio_only(self, station: Station, streamlink: Streamlink) -> None:
        station.set_fault(LOGIN, "audio_only")
        streams = streams_of(streamlink)
        assert "audio_only" in streams
        assert not {"360p15", "160p30"} & streams.keys()
        segment = content(playlist_of(streamlink, streams["audio_only"]))[-1]
        with av.open(io.BytesIO(streamlink.http.get(segment.uri).content), "r") as container:
            sound = list(container.decode(audio=0))
            assert [stream.type for stream in container.streams] == ["audio"]
            assert sum(frame.samples for frame in sound) == pytest.approx(96_000, rel=0.05)

    def test_sequence_reset(self, station: Station, streamlink: Streamlink) -> None:
        stream = streams_of(streamlink)["360p15"]
        before = content(playlist_of(streamlink, stream))
        station.set_fault(LOGIN, "sequence_reset")
        after = content(playlist_of(streamlink, stream))
        assert before[0].num > 800
        assert after[0].num == 0
        assert len(after) == 15
        assert not {segment.date for segment in before} & {segment.date for segment in after}
        assert raw_get(station, before[-1].uri).status_code == 404
        assert picture(raw_get(station, after[-1].uri).content).shape == (360, 640, 3)

    def test_frozen_playlist(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(clock=lambda: now_s[0])
        session = plugin_session(station)
        stream = streams_of(session)["360p15"]
        station.set_fault(LOGIN, "frozen_playlist")
        before = session.http.get(stream.url).text
        now_s[0] += 600
        assert session.http.get(stream.url).text == before
        session.http.close()

    def test_bad_playlist(self, station: Station, streamlink: Streamlink) -> None:
        stream = streams_of(streamlink)["360p15"]
        station.set_fault(LOGIN, "bad_playlist")
        with pytest.raises(ValueError, match="EXTM3U"):
            playlist_of(streamlink, stream)
        assert streams_of(streamlink) == {}

    def test_expired_playlists_are_forbidden_until_resolved_again(
        self, station: Station, streamlink: Streamlink
    ) -> None:
        stream = streams_of(streamlink)["360p15"]
        station.set_fault(LOGIN, "token_expiry")
        assert raw_get(station, stream.url).status_code == 403
        assert raw_get(station, streams_of(streamlink)["360p15"].url).status_code == 200

    def test_playlists_live_for_so_many_seconds(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(clock=lambda: now_s[0], faults={"*": "token_expiry:5"})
        session = plugin_session(station)
        url = streams_of(session)["360p15"].url
        session.http.close()
        now_s[0] += 5
        assert raw_get(station, url).status_code == 200
        now_s[0] += 1
        assert raw_get(station, url).status_code == 403

    def test_offline_in_mid_visit(
        self, station: Station, streamlink: Streamlink, helix: httpx.Client
    ) -> None:
        stream = streams_of(streamlink)["360p15"]
        segment = content(playlist_of(streamlink, stream))[-1]
        station.set_fault(LOGIN, "offline")
        assert raw_get(station, stream.url).status_code == 404
        assert raw_get(station, segment.uri).status_code == 404
        assert helix.get("/streams", params={"user_login": LOGIN}).json()["data"] == []
        assert helix.get("/users", params={"login": LOGIN}).json()["data"][0]["login"] == LOGIN
        assert streams_of(streamlink) == {}

    def test_geoblocked(
        self, station: Station, streamlink: Streamlink, caplog: pytest.LogCaptureFixture
    ) -> None:
        station.set_fault(LOGIN, "geoblocked")
        with caplog.at_level(logging.ERROR, "streamlink.plugins.twitch"):
            assert streams_of(streamlink) == {}
        assert "Content Restricted In Region" in caplog.text
        assert [asked.status for asked in station.requests if asked.kind == "master"] == [403]

    def test_subscriber_only(
        self, station: Station, streamlink: Streamlink, caplog: pytest.LogCaptureFixture
    ) -> None:
        station.set_fault(LOGIN, "subscriber_only")
        with caplog.at_level(logging.WARNING, "streamlink.plugins.twitch"):
            assert set(streams_of(streamlink)) & {"360p15", "160p30"} == set()
        assert "'360p15' is not available since it requires a subscription" in caplog.text

    def test_integrity(self, station: Station, streamlink: Streamlink) -> None:
        station.set_fault(LOGIN, "integrity")
        with pytest.raises(PluginError, match="failed integrity check"):
            streams_of(streamlink)
        assert list(streams_of(streamlink, "doom_s2")) != []

    def test_server_error(self, station: Station, streamlink: Streamlink, helix: httpx.Client) -> None:
        stream = streams_of(streamlink)["360p15"]
        segment = content(playlist_of(streamlink, stream))[-1]
        station.set_fault(LOGIN, "server_error")
        assert [raw_get(station, url).status_code for url in (stream.url, segment.uri)] == [500, 500]
        assert streams_of(streamlink) == {}
        assert helix.get("/games/top").status_code == 200
        station.set_fault("*", "server_error")
        assert helix.get("/games/top").status_code == 500

    def test_rate_limit_holds_for_calls_that_name_the_channel(
        self, station: Station, helix: httpx.Client
    ) -> None:
        station.set_fault(LOGIN, "rate_limit")
        limited = helix.get("/streams", params={"user_login": LOGIN})
        assert (limited.status_code, limited.headers["ratelimit-remaining"]) == (429, "0")
        assert 0 < int(limited.headers["ratelimit-reset"]) - time.time() <= 3
        assert limited.json() == {
            "error": "Too Many Requests",
            "status": 429,
            "message": "Request limit exceeded",
        }
        user_id = helix.get("/users", params={"login": "doom_s2"}).json()["data"][0]["id"]
        assert helix.get("/streams", params={"user_id": user_id}).status_code == 200
        station.set_fault("*", "rate_limit")
        assert helix.get("/games/top").status_code == 429

    def test_flapping_category(self, station: Station, helix: httpx.Client) -> None:
        station.set_fault(LOGIN, "flapping_category")
        calls = [helix.get("/streams", params={"user_login": LOGIN}).json()["data"][0] for _ in range(6)]
        assert len({call["game_name"] for call in calls}) == 6
