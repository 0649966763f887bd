from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.twitch_wire import PLAYLIST_URI, START, ad_range, master_playlist, media_playlist, stamp
from twitchcat.errors import AdsOnly, StreamUnreadable
from twitchcat.twitch.playlist import PlaylistWindow, Segment, parse_window


def parse(text: str) -> PlaylistWindow:
    return parse_window(text, PLAYLIST_URI)


def numbers(window: PlaylistWindow) -> list[int]:
    return [segment.number - window.first_number for segment in window.segments]


@pytest.mark.parametrize(
    ("kinds", "usable", "ads", "dropped"),
    [
        pytest.param("......", [0, 1, 2, 3, 4, 5], 0, 0, id="content only"),
        pytest.param("...AA...", [0, 1, 6, 7], 2, 2, id="a break: one segment each side goes too"),
        pytest.param("AAA...", [4, 5], 3, 1, id="a pre-roll"),
        pytest.param("...AAA", [0, 1], 3, 1, id="a break at the live edge"),
        pytest.param("A.A.A", [], 3, 2, id="content between ads is never far from one"),
        pytest.param("AAAA", [], 4, 0, id="nothing but ads"),
        pytest.param("....PP", [0, 1, 2, 3], 0, 0, id="prefetch lines are left out"),
        pytest.param("", [], 0, 0, id="no segment yet"),
    ],
)
def test_only_content_away_from_ads_is_usable(kinds: str, usable: list[int], ads: int, dropped: int) -> None:
    window = parse(media_playlist(kinds))
    assert (numbers(window), window.ads, window.dropped) == (usable, ads, dropped)


def test_a_segment_says_where_and_when() -> None:
    window = parse(media_playlist("..", first=2037))
    assert window.segments[1] == Segment(
        uri="https://video-edge.ttvnw.net/v1/segment/2038.ts",
        number=2038,
        at=START + timedelta(seconds=2),
        duration_s=2.0,
    )
    assert (window.first_number, window.target_duration_s, window.ended) == (2037, 6.0, False)


def test_an_ended_stream_says_so() -> None:
    assert parse(media_playlist("..", tail="#EXT-X-ENDLIST")).ended


def test_times_are_utc_whatever_their_zone() -> None:
    local = START.astimezone(timezone(timedelta(hours=9))).isoformat()
    window = parse(media_playlist(".").replace(stamp(START), local))
    assert window.segments[0].at == START
    assert window.segments[0].at.tzinfo is UTC


def test_a_time_without_zone_is_taken_as_utc() -> None:
    window = parse(media_playlist(".").replace(stamp(START), stamp(START).rstrip("Z")))
    assert window.segments[0].at == START


def without_times_after(text: str, kept: int) -> str:
    lines = text.splitlines()
    timed = [n for n, line in enumerate(lines) if line.startswith("#EXT-X-PROGRAM-DATE-TIME")]
    return "\n".join(line for n, line in enumerate(lines) if n not in timed[kept:])


def test_a_time_given_once_carries_on() -> None:
    window = parse(without_times_after(media_playlist("...."), 1))
    assert [segment.at for segment in window.segments] == [START + timedelta(seconds=2 * n) for n in range(4)]


def test_an_ad_is_found_by_the_time_carried_on() -> None:
    text = media_playlist("......", head=[ad_range(START + timedelta(seconds=4), 4)])
    window = parse(without_times_after(text, 1))
    assert (numbers(window), window.ads, window.dropped) == ([0, 5], 2, 2)


def test_without_any_time_nothing_is_usable() -> None:
    window = parse(without_times_after(media_playlist("...."), 0))
    assert (window.segments, window.unusable) == ((), 4)


def test_a_time_does_not_carry_over_a_discontinuity() -> None:
    text = without_times_after(media_playlist("..AA..", head=[]), 4)
    window = parse(text)
    assert (numbers(window), window.ads, window.unusable) == ([0], 2, 2)


@pytest.mark.parametrize(
    ("begins_s", "lasts_s", "usable"),
    [
        pytest.param(-4, 4, [1, 2, 3], id="an ad that has just left the window"),
        pytest.param(8, 15, [0, 1, 2], id="an ad announced for the end of the window"),
        pytest.param(3.7, 2.2, [0, 4], id="announced a little beside the segments"),
        pytest.param(-60, 15, [0, 1, 2, 3], id="an ad long gone"),
    ],
)
def test_an_announced_ad_is_kept_away_from(begins_s: float, lasts_s: float, usable: list[int]) -> None:
    head = [ad_range(START + timedelta(seconds=begins_s), lasts_s)]
    assert numbers(parse(media_playlist("....." if lasts_s == 2.2 else "....", head=head))) == usable


def test_after_a_discontinuity_at_the_start_an_ad_may_have_been() -> None:
    text = media_playlist("...").replace(
        "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME", 1
    )
    assert numbers(parse(text)) == [1, 2]


def test_a_bogus_discontinuity_in_content_is_no_edge() -> None:
    text = media_playlist("...").replace("#EXTINF:2.000,live", "#EXT-X-DISCONTINUITY\n#EXTINF:2.000,live")
    assert numbers(parse(text)) == [1, 2]


def test_a_prefetch_line_after_a_discontinuity_announces_an_ad() -> None:
    text = (
        media_playlist("...")
        + "#EXT-X-DISCONTINUITY\n#EXT-X-TWITCH-PREFETCH:https://video-edge.ttvnw.net/9.ts\n"
    )
    assert numbers(parse(text)) == [0, 1]


def test_fmp4_names_its_initialization() -> None:
    head = ['#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@16"']
    window = parse(media_playlist("..", head=head))
    assert {(one.init_uri, one.init_range) for one in window.segments} == {
        ("https://abc.playlist.ttvnw.net/v1/playlist/init.mp4", (16, 736))
    }


def test_parts_of_one_file_follow_each_other() -> None:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", f"#EXT-X-PROGRAM-DATE-TIME:{stamp(START)}"]
    for part in ("1000@500", "2000", "300"):
        lines += ["#EXTINF:2.0,live", f"#EXT-X-BYTERANGE:{part}", "all.ts"]
    ranges = [segment.byte_range for segment in parse("\n".join(lines)).segments]
    assert ranges == [(500, 1500), (1500, 3500), (3500, 3800)]


def test_encrypted_segments_are_unusable_until_the_key_is_lifted() -> None:
    text = media_playlist("....", head=['#EXT-X-KEY:METHOD=AES-128,URI="https://key.ttvnw.net/k"'])
    third = f"#EXT-X-PROGRAM-DATE-TIME:{stamp(START + timedelta(seconds=4))}"
    window = parse(text.replace(third, f"#EXT-X-KEY:METHOD=NONE\n{third}"))
    assert (numbers(window), window.unusable) == ([2, 3], 2)


def test_ads_only_is_an_error_for_those_who_ask() -> None:
    with pytest.raises(AdsOnly, match="nothing but ads"):
        parse(media_playlist("AAAA")).require_content()
    for kinds in ("....", ""):
        window = parse(media_playlist(kinds))
        assert window.require_content() is window


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("<html>busy</html>", id="a page"),
        pytest.param("#EXTM3U\n", id="a header alone"),
        pytest.param(master_playlist(), id="a list of qualities"),
        pytest.param(media_playlist().replace("SEQUENCE:100", "SEQUENCE:?"), id="a number that is none"),
        pytest.param(media_playlist().replace("https://video", "http://video"), id="unencrypted addresses"),
        pytest.param(media_playlist("....", head=["#EXT-X-DATERANGE:DURATION=1e999"]), id="an endless ad"),
    ],
)
def test_what_is_no_media_playlist_is_unreadable(text: str) -> None:
    with pytest.raises(StreamUnreadable, match="playlist could not be read"):
        parse(text)


TAGS = st.sampled_from(
    [
        line
        for line in media_playlist("..A..P", head=["#EXT-X-MAP:URI=x", "#EXT-X-BYTERANGE:1"]).splitlines()
        if line
    ]
)


@given(st.lists(TAGS | st.text(max_size=30), max_size=30))
def test_no_text_breaks_the_reading(lines: list[str]) -> None:
    try:
        window = parse("\n".join(["#EXTM3U", *lines]))
    except StreamUnreadable:
        return
    assert all(segment.at.tzinfo is UTC for segment in window.segments)


def test_a_segment_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Segment(uri="x", number=0, at=datetime(2026, 1, 1), duration_s=2)  # noqa: DTZ001 - that is the case
