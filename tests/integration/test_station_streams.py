"""The station as streamlink's own Twitch plugin sees it: renditions, playlists, segments, ads."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from streamlink import Streamlink

from tests.integration.station_client import (
    LOGIN,
    content,
    difference,
    first_pts_s,
    is_ad_card,
    picture,
    pixels,
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


class TestStreams:
    def test_the_plugin_finds_the_renditions_with_the_requests_it_makes_of_twitch(
        self, station: Station, streamlink: Streamlink
    ) -> None:
        assert list(streams_of(streamlink)) == ["160p30", "360p15", "worst", "best"]
        assert [(asked.method, asked.host, asked.kind) for asked in station.requests] == [
            ("POST", "gql.twitch.tv", "gql"),
            ("GET", "usher.ttvnw.net", "master"),
            ("GET", "use12.playlist.ttvnw.net", "playlist"),
            ("GET", "use12.playlist.ttvnw.net", "playlist"),
        ]
        assert {asked.login for asked in station.requests} == {LOGIN}
        assert station.requests[0].operation == "PlaybackAccessToken"

    def test_reading_gives_the_pictures_of_the_file(self, streamlink: Streamlink) -> None:
        fd = streams_of(streamlink)["360p15"].open()  # type: ignore[no-untyped-call]  # streamlink's own
        data = fd.read(1)
        while len(data) < 200_000:
            data += fd.read(65_536)
        fd.close()
        shown = picture(data)
        with av.open(str(PACKAGED_CLIPS / "SuperTux" / f"{LOGIN}.mp4")) as container:
            clip = [pixels(frame) for frame in container.decode(video=0) if frame.key_frame]
        assert min(difference(shown, frame) for frame in clip) == 0

    @pytest.mark.parametrize(("name", "size"), [("360p15", (360, 640)), ("160p30", (160, 284))])
    def test_times_go_on_from_segment_to_segment_and_over_the_loop(
        self, streamlink: Streamlink, name: str, size: tuple[int, int]
    ) -> None:
        segments = content(playlist_of(streamlink, streams_of(streamlink)[name]))
        data = [streamlink.http.get(segment.uri).content for segment in segments[:13]]  # the clip has 12
        pts_s = [first_pts_s(one) for one in data]
        assert np.diff(pts_s) == pytest.approx([2.0] * 12, abs=1e-4)
        assert {picture(one).shape[:2] for one in data} == {size}
        assert difference(picture(data[0]), picture(data[12])) == 0

    def test_segments_begin_with_their_one_keyframe(self, streamlink: Streamlink) -> None:
        for stream in ("360p15", "160p30"):
            segment = content(playlist_of(streamlink, streams_of(streamlink)[stream]))[-1]
            with av.open(io.BytesIO(streamlink.http.get(segment.uri).content), "r") as container:
                keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
            assert keys == [True] + [False] * 29

    def test_the_playlist_moves_on_with_the_clock(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(clock=lambda: now_s[0])
        session = plugin_session(station)
        stream = streams_of(session)["360p15"]
        before = content(playlist_of(session, stream))
        now_s[0] += 6.0
        after = content(playlist_of(session, stream))
        session.http.close()
        assert (len(before), len(after)) == (15, 15)
        assert after[0].num == before[0].num + 3
        assert [one.uri for one in after[:12]] == [one.uri for one in before[3:]]
        assert after[0].date == before[3].date

    def test_the_plugin_reads_title_and_category(self, streamlink: Streamlink) -> None:
        _, plugin, url = streamlink.resolve_url(f"https://www.twitch.tv/{LOGIN}")
        channel = plugin(streamlink, url)
        assert (channel.get_author(), channel.get_category()) == (LOGIN, "SuperTux")
        assert str(channel.get_id()).isdecimal()

    @pytest.mark.parametrize("login", ["nobody_here", "chess_s1"])
    def test_no_such_channel_and_offline_look_alike(
        self, station: Station, streamlink: Streamlink, login: str
    ) -> None:
        station.set_live("chess_s1", False)
        assert streams_of(streamlink, login) == {}
        assert [asked.kind for asked in station.requests] == ["gql"]

    def test_ranges_are_parts_of_one_segment(self, station: Station, streamlink: Streamlink) -> None:
        uri = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))[-1].uri
        whole = raw_get(station, uri)
        assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
        size = len(whole.content)
        part = raw_get(station, uri, Range="bytes=0-65535")
        assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 0-65535/{size}")
        rest = raw_get(station, uri, Range="bytes=65536-")
        assert part.content + rest.content == whole.content
        beyond = raw_get(station, uri, Range=f"bytes={size}-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        assert [(one.status, one.range, one.served) for one in station.requests if one.kind == "segment"] == [
            (200, None, size),
            (206, "bytes=0-65535", 65_536),
            (206, "bytes=65536-", size - 65_536),
            (416, f"bytes={size}-", 0),
        ]

    def test_segments_expire(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(clock=lambda: now_s[0])
        session = plugin_session(station)
        uri = content(playlist_of(session, streams_of(session)["360p15"]))[0].uri
        session.http.close()
        assert raw_get(station, uri).status_code == 200
        now_s[0] += 60
        assert raw_get(station, uri).status_code == 404

    @pytest.mark.parametrize(
        "path", ["/v1/segment/bm90aGluZw.ts", "/v1/segment/x.exe", "/v1/playlist/x.m3u8", "/else"]
    )
    def test_addresses_of_nothing_are_not_found(self, station: Station, path: str) -> None:
        assert httpx.get(station.url + path).status_code == 404

    def test_usher_wants_the_access_token_it_signed(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(clock=lambda: now_s[0])
        question = {"operationName": "PlaybackAccessToken", "variables": {"login": LOGIN}}
        answer = httpx.post(f"{station.url}/gql", json=question).json()["data"]["streamPlaybackAccessToken"]
        good = {"sig": answer["signature"], "token": answer["value"]}

        def usher(login: str = LOGIN, **params: str) -> str:
            found = httpx.get(f"{station.url}/api/v2/channel/hls/{login}.m3u8", params={**good, **params})
            return "good" if found.status_code == 200 else str(found.json()[0]["error_code"])

        assert usher() == "good"
        assert usher(sig="0" * 40) == "nauth_sig_invalid"
        assert usher(token=answer["value"].replace("supertux", "superfix")) == "nauth_sig_invalid"
        assert usher("doom_s2") == "nauth_token_invalid"
        now_s[0] += 1201
        assert usher() == "nauth_token_expired"

    @pytest.mark.parametrize("body", ["no json", "{}", "[1]", '{"operationName": 1, "variables": 2}'])
    def test_a_malformed_question_is_a_bad_request(self, station: Station, body: str) -> None:
        assert httpx.post(f"{station.url}/gql", content=body).status_code == 400

    def test_a_video_of_another_codec_is_encoded_as_h264(
        self, tmp_path: Path, start_station: Callable[..., Station]
    ) -> None:
        (tmp_path / "Art").mkdir()
        with av.open(str(tmp_path / "Art" / "painter.mkv"), "w") as writer:
            stream = writer.add_stream("mpeg4", rate=10, width=320, height=180, pix_fmt="yuv420p")
            stream.options = {"g": "10"}
            for position in range(60):
                shade = np.full((180, 320, 3), position * 4, np.uint8)
                frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
                frame.pts = position
                writer.mux(stream.encode(frame))
            writer.mux(stream.encode(None))
        station = start_station(tmp_path)
        session = plugin_session(station)
        streams = streams_of(session, "painter")
        segment = content(playlist_of(session, streams["180p10"]))[-1]
        data = session.http.get(segment.uri).content
        session.http.close()
        with av.open(io.BytesIO(data)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
        assert picture(data).shape == (180, 320, 3)


class TestAds:
    @pytest.mark.parametrize("fault", [None, "fmp4"])
    def test_ads_and_their_edges_show_the_card(
        self, station: Station, streamlink: Streamlink, fault: str | None
    ) -> None:
        station.set_fault(LOGIN, fault)
        station.start_ads(LOGIN, 6.0, ago_s=16.0)
        segments = content(playlist_of(streamlink, streams_of(streamlink)["360p15"]))
        marked = [segment.ad for segment in segments]
        first = marked.index(True)
        assert marked == [False] * first + [True] * 3 + [False] * (12 - first)
        shown = []
        for segment in segments:
            init = streamlink.http.get(segment.map.uri).content if segment.map else b""
            shown.append(is_ad_card(picture(init + streamlink.http.get(segment.uri).content)))
        assert shown == [False] * (first - 1) + [True] * 5 + [False] * (11 - first)

    def test_a_break_begins_with_the_next_segment(self, start_station: Callable[..., Station]) -> None:
        now_s = [1_790_000_000.0]
        station = start_station(clock=lambda: now_s[0])
        session = plugin_session(station)
        stream = streams_of(session)["360p15"]
        station.start_ads(LOGIN, 30.0)
        ads = []
        for step_s in (0, 4, 14, 60):
            now_s[0] += step_s
            ads.append(sum(segment.ad for segment in content(playlist_of(session, stream))))
        session.http.close()
        assert ads == [0, 1, 8, 0]

    def test_the_card_is_sized_like_the_rendition(self, station: Station, streamlink: Streamlink) -> None:
        station.set_fault(LOGIN, "ads_only")
        segments = content(playlist_of(streamlink, streams_of(streamlink)["160p30"]))
        assert [segment.ad for segment in segments] == [True] * 15
        rgb = picture(streamlink.http.get(segments[-1].uri).content)
        assert rgb.shape == (160, 284, 3)
        assert is_ad_card(rgb)
