"""The text of playlists, read back by streamlink's own parser of Twitch."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from streamlink.plugins.twitch import TwitchM3U8Parser

from twitchcat.station.addresses import PlaylistAddress, Rendition, SegmentAddress
from twitchcat.station.media import Container, Video
from twitchcat.station.playlists import MediaPlaylist, master, moment, renditions
from twitchcat.station.timeline import AdBreak, Loop, Part, window_at

NOW_S = 1_790_000_000.0
LOOP = Loop.of([2.0] * 12)


def video(*, width: int = 640, height: int = 360) -> Video:
    return Video(
        path=Path("clip.mp4"),
        width=width,
        height=height,
        fps=15.0,
        begins=(0,),
        end=30_720,
        time_base=Fraction(1, 15_360),
        codecs="avc1.640016",
        bandwidth=250_000,
        copied=True,
    )


def media_playlist(
    *, ads: tuple[AdBreak, ...] = (), container: Container = Container.TS, loop: Loop = LOOP
) -> MediaPlaylist:
    return MediaPlaylist(
        login="some_channel",
        stream_id="40952121085",
        rendition=Rendition.SOURCE,
        epoch=0,
        container=container,
        origin_s=NOW_S,
        loop=loop,
        window=window_at(loop, elapsed_s=3601.0, size=15, ads=ads),
        ads=ads,
    )


def parsed(text: str) -> Any:
    return TwitchM3U8Parser("https://usher.ttvnw.net/playlist.m3u8").parse(text)


def test_the_master_names_each_rendition_as_the_plugin_reads_it() -> None:
    text = master(video(), "some_channel", renditions(video()), now_s=NOW_S)
    playlists = parsed(text).playlists
    assert [playlist.media[0].name for playlist in playlists] == ["360p15", "160p30"]
    assert [tuple(playlist.stream_info.resolution) for playlist in playlists] == [(640, 360), (284, 160)]
    assert all(playlist.uri.startswith("https://") for playlist in playlists)


def test_a_small_video_is_offered_as_it_is_alone() -> None:
    assert renditions(video(width=284, height=160)) == (Rendition.SOURCE,)


def test_every_segment_carries_its_programme_time() -> None:
    playlist = parsed(media_playlist().text())
    segments = [segment for segment in playlist.segments if not segment.prefetch]
    assert len(segments) == 15
    assert segments[0].num == 3600 / 2 - 15
    begun = datetime.fromtimestamp(NOW_S, UTC)
    assert [segment.date for segment in segments] == [begun + timedelta(seconds=2 * s.num) for s in segments]
    assert {(segment.duration, segment.title, segment.ad) for segment in segments} == {(2.0, "live", False)}


def test_two_segments_are_prefetched() -> None:
    assert [segment.prefetch for segment in parsed(media_playlist().text()).segments[-3:]] == [
        False,
        True,
        True,
    ]


def test_the_target_duration_is_twitchs_unless_keyframes_are_rarer() -> None:
    assert parsed(media_playlist().text()).targetduration == 6
    assert parsed(media_playlist(loop=Loop.of([8.5])).text()).targetduration == 9


def test_an_ad_break_is_seen_as_one_by_the_plugin() -> None:
    playlist = parsed(media_playlist(ads=(AdBreak(3579.5, 3585.0),)).text())
    segments = [segment for segment in playlist.segments if not segment.prefetch]
    assert [segment.num for segment in segments if segment.ad] == [1790, 1791, 1792]
    assert [segment.num for segment in segments if segment.discontinuity] == [1790, 1793]
    [daterange] = playlist.dateranges_ads
    assert daterange.duration == timedelta(seconds=6)
    assert daterange.x["X-TV-TWITCH-AD-POD-FILLED-DURATION"] == "6.000"


@pytest.mark.parametrize(
    "ads",
    [
        pytest.param(AdBreak(3000.0, 3030.0), id="over before the window"),
        pytest.param(AdBreak(3700.0, 3730.0), id="long after the window"),
    ],
)
def test_a_break_outside_the_window_is_not_mentioned(ads: AdBreak) -> None:
    assert parsed(media_playlist(ads=(ads,)).text()).dateranges_ads == []


def test_fragmented_mp4_names_one_init_section_for_the_stream_and_another_for_ads() -> None:
    text = media_playlist(container=Container.MP4, ads=(AdBreak(3580.0, 3584.0),)).text()
    segments = [segment for segment in parsed(text).segments if not segment.prefetch]
    maps = [segment.map.uri for segment in segments]
    assert len(set(maps)) == 2
    cards = [segment.num for segment in segments if segment.map.uri != maps[0]]
    assert cards == [1789, 1790, 1791, 1792]  # the two ads, and the edge on either side


def test_addresses_are_read_back() -> None:
    playlist = PlaylistAddress("some_channel", Rendition.LOW, 1_790_000_000_123)
    assert PlaylistAddress.parse(token_of(playlist.url)) == playlist
    segment = SegmentAddress("some_channel", Rendition.SOURCE, 2, 1790, Part.EDGE, Container.MP4, init=True)
    assert SegmentAddress.parse(token_of(segment.url), "mp4") == segment


@pytest.mark.parametrize("token", ["", "x", "AAAA", "c29tZQ", "////", "é"])
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the sentence is for nobody
        PlaylistAddress.parse(token)
    with pytest.raises(ValueError):  # noqa: PT011  the sentence is for nobody
        SegmentAddress.parse(token, "ts")


def test_a_moment_is_utc_with_milliseconds() -> None:
    assert moment(1_699_419_314.423) == "2023-11-08T04:55:14.423Z"
    assert moment(1_699_419_314.0) == "2023-11-08T04:55:14.000Z"


def token_of(url: str) -> str:
    return url.rpartition("/")[2].rpartition(".")[0]
