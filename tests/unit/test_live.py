import logging
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import urllib3
from streamlink import Streamlink
from streamlink.plugins.twitch import Twitch

from tests.unit.twitch_wire import (
    INTEGRITY,
    NO_TOKEN,
    SEGMENT_HOST,
    FakeTwitch,
    Reply,
    master_playlist,
    media_playlist,
    token,
)
from twitchcat.config import Settings, TwitchSettings
from twitchcat.errors import (
    ChannelOffline,
    ConfigError,
    Geoblocked,
    IntegrityFailed,
    Interrupted,
    NetworkError,
    NoSuchChannel,
    RateLimited,
    SegmentUnreadable,
    StreamUnreadable,
    SubscriberOnly,
    TwitchcatError,
    TwitchError,
)
from twitchcat.twitch.breaker import Breaker, Circuit
from twitchcat.twitch.connections import RewritingAdapter, TimedAdapter, shared_adapter
from twitchcat.twitch.entities import LiveState
from twitchcat.twitch.live import Chunk, LiveSource, LiveStreams
from twitchcat.twitch.resolve import AskLiveState, _warn_once

URI = f"{SEGMENT_HOST}/100.ts"
TRANSCODE_GONE = [{"error": "twirp error not_found: transcode does not exist", "type": "error"}]
GEOBLOCKED = [{"error": "Content Restricted In Region", "error_code": "content_geoblocked", "type": "error"}]
SUBSCRIBERS = [{"error": "Access denied", "error_code": "unauthorized_entitlements", "type": "error"}]


class Hours:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now * 3600


def live_streams(
    twitch: FakeTwitch,
    *,
    live_state: AskLiveState | None = None,
    breaker: Breaker | None = None,
    clock: Hours | None = None,
) -> LiveStreams:
    settings = Settings(twitch=TwitchSettings(resolves_per_second=1e6, timeout=timedelta(seconds=5)))
    return LiveStreams(
        settings, adapter=twitch, live_state=live_state, breaker=breaker, clock=clock or Hours()
    )


def opened(twitch: FakeTwitch, **options: Any) -> LiveSource:
    return live_streams(twitch, **options).open("somebody")


class Renamed(Twitch):
    """A later plugin, whose private method has gone. Its public way works."""

    @property
    def _access_token(self) -> Any:
        raise AttributeError("_access_token")

    def _get_hls_streams_live(self, channel: str) -> Any:
        original: Any = Twitch._access_token
        signature, value, restricted = original(self, True, channel)
        url = self.usher.channel(channel, sig=signature, token=value, fast_bread=True)
        return self._get_hls_streams(url, restricted)


class Reshaped(Renamed):
    """A later plugin, whose private method gives something else."""

    def _access_token(self, *_: Any) -> Any:
        return "one", "two", "three", "four"


def take_the_public_way(monkeypatch: pytest.MonkeyPatch, plugin: type[Twitch] = Renamed) -> None:
    monkeypatch.setattr("twitchcat.twitch.resolve.Twitch", plugin)


@pytest.fixture(params=["step by step", "publicly"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "publicly":
        take_the_public_way(monkeypatch)
    return str(request.param)


# Opening


def test_opening_asks_for_a_token_and_the_qualities_only() -> None:
    twitch = FakeTwitch()
    source = opened(twitch)
    assert (source.login, source.variant.name, source.variant.height) == ("somebody", "360p30", 360)
    assert twitch.asked == ["gql", "usher"]


@pytest.mark.parametrize("plugin", [Renamed, Reshaped])
def test_when_streamlink_changes_its_public_way_takes_over(
    plugin: type[Twitch], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take_the_public_way(monkeypatch, plugin)
    _warn_once.cache_clear()
    twitch = FakeTwitch()
    for _ in range(2):
        assert opened(twitch).variant.name == "360p30"
        assert twitch.asked[-6:] == ["gql", "usher", *["playlist"] * 4]
    assert [record.message for record in caplog.records] == ["streamlink_changed"]  # said once


def test_a_streamlink_that_cannot_be_used_is_a_twitch_error(monkeypatch: pytest.MonkeyPatch) -> None:
    take_the_public_way(monkeypatch)
    monkeypatch.delattr(Streamlink, "streams")
    with pytest.raises(TwitchError, match="installed streamlink cannot be used"):
        opened(FakeTwitch())


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        pytest.param({"gql": Reply(body=NO_TOKEN)}, ChannelOffline, id="no token: offline"),
        pytest.param({"usher": Reply(404, TRANSCODE_GONE)}, ChannelOffline, id="just ended"),
        pytest.param({"gql": Reply(body=INTEGRITY)}, IntegrityFailed, id="integrity"),
        pytest.param(
            {"gql": Reply(401, {"error": "Unauthorized", "message": "bad"})},
            IntegrityFailed,
            id="token refused",
        ),
        pytest.param({"gql": Reply(body="<html>")}, IntegrityFailed, id="token answer is a page"),
        pytest.param(
            {"gql": Reply(body={"errors": [{"message": "PersistedQueryNotFound"}]})},
            IntegrityFailed,
            id="streamlink is out of date",
        ),
        pytest.param({"gql": Reply(429)}, RateLimited, id="too many tokens"),
        pytest.param({"gql": Reply(503)}, NetworkError, id="token: 503"),
        pytest.param({"gql": requests.ConnectionError("refused")}, NetworkError, id="no network"),
        pytest.param({"gql": requests.ReadTimeout("slow")}, NetworkError, id="token: too slow"),
        pytest.param({"usher": requests.ConnectTimeout("slow")}, NetworkError, id="qualities: too slow"),
        pytest.param({"usher": Reply(body="<html>")}, StreamUnreadable, id="qualities: a page"),
        pytest.param(
            {"usher": Reply(body=master_playlist(["audio_only"]))}, StreamUnreadable, id="sound only"
        ),
        pytest.param(
            {"gql": Reply(body=token(["1080p60"])), "usher": Reply(body=master_playlist(["audio_only"]))},
            SubscriberOnly,
            id="every picture is for subscribers",
        ),
    ],
)
def test_every_failure_to_open_has_its_name(
    way: str, replies: dict[str, Any], error: type[TwitchcatError]
) -> None:
    with pytest.raises(error) as raised:
        opened(FakeTwitch(**replies))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(Reply(403, GEOBLOCKED), Geoblocked, id="geoblocked"),
        pytest.param(Reply(403, SUBSCRIBERS), SubscriberOnly, id="subscribers only"),
        pytest.param(Reply(403, "<html>"), StreamUnreadable, id="403 without a reason"),
        pytest.param(Reply(429), RateLimited, id="too many"),
        pytest.param(Reply(502), NetworkError, id="502"),
    ],
)
def test_what_usher_refuses_is_told_by_its_words(answer: Reply, error: type[TwitchcatError]) -> None:
    with pytest.raises(error) as raised:
        opened(FakeTwitch(usher=answer))
    assert type(raised.value) is error


def test_the_public_way_hears_that_a_stream_is_geoblocked(monkeypatch: pytest.MonkeyPatch) -> None:
    take_the_public_way(monkeypatch)
    metadata = [
        {"data": {"userOrError": {"displayName": "x"}}},
        {"data": {"user": {"lastBroadcast": {"title": "t"}, "stream": {"id": "1", "game": None}}}},
    ]
    first, second = Reply(body=token()), Reply(body=metadata)
    with pytest.raises(Geoblocked):
        opened(FakeTwitch(gql=[first, second], usher=Reply(403, GEOBLOCKED)))


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (LiveState.OFFLINE, ChannelOffline),
        (LiveState.MISSING, NoSuchChannel),
        (LiveState.LIVE, StreamUnreadable),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "replies",
    [{"gql": Reply(body=NO_TOKEN)}, {"usher": Reply(404, TRANSCODE_GONE)}],
    ids=["no token", "no transcode"],
)
def test_helix_tells_apart_what_streamlink_cannot(
    way: str, replies: dict[str, Any], state: LiveState, error: type[TwitchcatError]
) -> None:
    asked = []

    def live_state(login: str) -> LiveState:
        asked.append(login)
        return state

    with pytest.raises(error) as raised:
        opened(FakeTwitch(**replies), live_state=live_state)
    assert type(raised.value) is error
    assert asked == ["somebody"]


def test_a_helix_that_cannot_say_why_is_no_reason_to_stop_asking_for_tokens() -> None:
    def live_state(_: str) -> LiveState:
        raise RateLimited

    breaker = Breaker()
    with live_streams(
        FakeTwitch(gql=Reply(body=NO_TOKEN)), live_state=live_state, breaker=breaker
    ) as streams:
        for login in ("a_a", "b_b", "c_c"):
            with pytest.raises(StreamUnreadable, match="why could not be asked: Twitch asked for fewer"):
                streams.open(login)
    assert breaker.circuit == Circuit()


def test_qualities_for_subscribers_are_left_alone() -> None:
    source = opened(FakeTwitch(gql=Reply(body=token(["360p30"]))))
    assert source.variant.name == "1080p60"


def test_streamlink_keeps_quiet(way: str) -> None:
    heard: list[str] = []

    class Terminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.name)

    terminal = Terminal(logging.WARNING)
    logging.getLogger().addHandler(terminal)
    try:
        with pytest.raises(IntegrityFailed):
            opened(FakeTwitch(gql=Reply(body=INTEGRITY)))
    finally:
        logging.getLogger().removeHandler(terminal)
    assert [name for name in heard if name.startswith("streamlink")] == []


USHER = "/api/v2/channel/hls/x.m3u8?platform=web&sig=SECRET&token=%7B%22SECRET%22%7D&fast_bread=True"
NO_ROUTE = urllib3.exceptions.NewConnectionError(
    urllib3.connection.HTTPConnection("usher.ttvnw.net"), "[Errno 113] No route to host"
)
NOT_REACHED = urllib3.exceptions.MaxRetryError(
    urllib3.HTTPSConnectionPool("usher.ttvnw.net"), USHER, NO_ROUTE
)


@pytest.mark.parametrize(
    "usher",
    [
        pytest.param(requests.ConnectionError(NOT_REACHED), id="not reached"),
        pytest.param(requests.TooManyRedirects(f"gave up at https://usher.ttvnw.net{USHER}"), id="redirects"),
        pytest.param(OSError(f"https://usher.ttvnw.net{USHER} is odd"), id="an error of another kind"),
        pytest.param(Reply(403, f"<a href=https://usher.ttvnw.net{USHER}>"), id="refused with a page"),
        pytest.param(Reply(body=f"https://usher.ttvnw.net{USHER}"), id="a list that is none"),
        pytest.param(Reply(500), id="500"),
    ],
)
def test_neither_signature_nor_token_is_said_or_logged(
    way: str, usher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(TwitchcatError) as raised:
        opened(FakeTwitch(usher=usher), live_state=lambda _: LiveState.LIVE)
    said = [str(vars(record)) for record in caplog.records if record.name.startswith("twitchcat")]
    assert "SECRET" not in f"{raised.value} {said}"


def test_what_was_not_reached_is_said_in_a_few_words() -> None:
    with pytest.raises(NetworkError) as raised:
        opened(FakeTwitch(usher=requests.ConnectionError(NOT_REACHED)))
    assert str(raised.value) == "Twitch could not be reached: [Errno 113] No route to host"


def test_a_segment_whose_address_has_no_host_is_said_to_have_none() -> None:
    source = opened(FakeTwitch(segment=requests.exceptions.InvalidURL("no host")))
    with pytest.raises(NetworkError, match="an address without a host could not be reached"):
        source.read("https:///x.ts", 0, 3)


def test_a_pool_that_is_full_keeps_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with closing(shared_adapter(None, connections=1)) as adapter:
        assert isinstance(adapter, TimedAdapter)
        pool = adapter.poolmanager.connection_from_url("http://127.0.0.1")
        for connection in [pool._get_conn(), pool._get_conn()]:
            pool._put_conn(connection)
    assert caplog.messages == []


@pytest.mark.parametrize("channels", [3, 200])
def test_every_visit_may_keep_its_connection(channels: int) -> None:
    with LiveStreams(Settings.model_validate({"capture": {"channels": channels}})) as streams:
        kept = streams._adapter.poolmanager.connection_from_url("http://127.0.0.1").pool
        assert kept is not None
        assert kept.maxsize >= channels


@pytest.mark.parametrize("login", ["", "two words", "a/b", "x" * 51, "http://x"])
def test_what_is_no_login_is_refused_before_anything_is_asked(login: str) -> None:
    twitch = FakeTwitch()
    with live_streams(twitch) as streams, pytest.raises(ConfigError, match="is no Twitch login"):
        streams.open(login)
    assert twitch.requests == []


def test_a_stop_ends_the_queue_for_opening() -> None:
    stop, let_through = threading.Event(), threading.Event()

    def answer(_: requests.PreparedRequest) -> Reply:
        let_through.set()
        return Reply(body=token())

    twitch = FakeTwitch(gql=answer)
    settings = Settings(twitch=TwitchSettings(resolves_per_second=0.001))
    ended: list[str] = []

    def visit(login: str) -> None:
        try:
            streams.open(login)
        except Interrupted as error:
            ended.append(error.reason)

    with LiveStreams(settings, adapter=twitch, stop=stop) as streams:
        threads = [threading.Thread(target=visit, args=(f"login{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        assert let_through.wait(10)
        stop.set()
        for thread in threads:
            thread.join(10)
        with pytest.raises(Interrupted, match="stopped"):
            streams.open("late")
    assert ended == ["stopped"] * 3
    assert twitch.asked == ["gql", "usher"]


def test_a_stop_lets_what_is_being_read_go_on() -> None:
    stop = threading.Event()
    with LiveStreams(Settings(), adapter=FakeTwitch(), stop=stop) as streams:
        source = streams.open("somebody")
        stop.set()
        assert source.read(URI, 0, 3).data == b"segment"


def test_nothing_is_opened_after_the_end() -> None:
    twitch = FakeTwitch()
    with live_streams(twitch) as streams:
        pass
    with pytest.raises(Interrupted):
        streams.open("somebody")
    assert twitch.requests == []


def test_after_the_end_nothing_waits() -> None:
    twitch = FakeTwitch(segment=requests.ConnectionError("gone"))
    with live_streams(twitch) as streams:
        source = streams.open("somebody")
    with pytest.raises(NetworkError, match="stopped"):
        source.read(URI, 0, 3)
    assert twitch.asked.count("segment") == 1


@pytest.mark.parametrize("refused", ["playlist", "segment"])
@pytest.mark.parametrize(("headers", "held"), [({}, 10), ({"Retry-After": "120"}, 120)], ids=str)
def test_too_many_looks_hold_every_further_visit(refused: str, headers: dict[str, str], held: float) -> None:
    twitch, clock = FakeTwitch(**{refused: Reply(429, headers=headers)}), Hours()
    with live_streams(twitch, clock=clock) as streams:
        source = streams.open("somebody")
        assert streams.held_for() == 0
        with pytest.raises(RateLimited):
            source.read(source.window().segments[0].uri, 0, 3)
        assert streams.held_for() == held
        clock.now += held / 3600
        assert streams.held_for() == pytest.approx(0)


# The registry


def test_a_stream_is_opened_once_whatever_the_case() -> None:
    twitch = FakeTwitch()
    with live_streams(twitch) as streams:
        assert streams.open("Somebody") is streams.open(" somebody")
        assert streams.open("other") is not streams.open("somebody")
    assert twitch.asked == ["gql", "usher"] * 2


def test_a_closed_stream_is_opened_anew() -> None:
    twitch = FakeTwitch()
    with live_streams(twitch) as streams:
        first = streams.open("somebody")
        streams.close("SOMEBODY")
        streams.close("never_opened")
        assert streams.open("somebody") is not first


def test_a_failed_opening_is_tried_again_the_next_time() -> None:
    twitch = FakeTwitch(gql=[Reply(body=NO_TOKEN), Reply(body=token())])
    with live_streams(twitch) as streams:
        with pytest.raises(ChannelOffline):
            streams.open("somebody")
        assert streams.open("somebody").variant.name == "360p30"


def test_two_threads_that_want_the_same_stream_open_it_once() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def answer(_: requests.PreparedRequest) -> Reply:
        inside.set()
        assert go_on.wait(10)
        return Reply(body=token())

    twitch = FakeTwitch(gql=answer)
    found: list[LiveSource] = []
    with live_streams(twitch) as streams:
        threads = [threading.Thread(target=lambda: found.append(streams.open("somebody"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert inside.wait(10)
        go_on.set()
        for thread in threads:
            thread.join()
    assert found[0] is found[1]
    assert twitch.asked == ["gql", "usher"]


def test_integrity_failures_of_three_channels_stop_all_opening() -> None:
    twitch = FakeTwitch(gql=Reply(body=INTEGRITY))
    now = [datetime(2026, 11, 21, tzinfo=UTC)]
    with live_streams(twitch, breaker=Breaker(clock=lambda: now[0])) as streams:
        for login in ("a_a", "b_b", "c_c"):
            with pytest.raises(IntegrityFailed, match="failed integrity check"):
                streams.open(login)
        asked = len(twitch.requests)
        with pytest.raises(IntegrityFailed, match="not asked again until"):
            streams.open("d_d")
        assert len(twitch.requests) == asked

        now[0] += timedelta(minutes=10)
        twitch.replies["gql"] = Reply(body=token())
        assert streams.open("d_d").variant.name == "360p30"


# Looking at the playlist


def test_a_look_is_one_request_and_follows_the_stream() -> None:
    twitch = FakeTwitch(
        playlist=[Reply(body=media_playlist("....", first=10)), Reply(body=media_playlist("....", first=12))]
    )
    source = opened(twitch)
    assert [source.window().first_number for _ in range(2)] == [10, 12]
    assert twitch.asked == ["gql", "usher", "playlist", "playlist"]
    assert str(twitch.requests[-1].url).endswith("/360.m3u8")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_playlist_is_resolved_anew(status: int) -> None:
    twitch = FakeTwitch(playlist=[Reply(status), Reply(body=media_playlist())])
    source = opened(twitch)
    assert len(source.window().segments) == 6
    assert twitch.asked == ["gql", "usher", "playlist", "gql", "usher", "playlist"]


def test_a_playlist_refused_again_is_unreadable_and_not_hammered() -> None:
    twitch = FakeTwitch(playlist=Reply(403))
    source = opened(twitch)
    with pytest.raises(StreamUnreadable, match="answered 403 to a look at the playlist"):
        source.window()
    assert len(twitch.requests) == 6


@pytest.mark.parametrize(
    "gql",
    [[Reply(body=token()), Reply(body=NO_TOKEN)], Reply(body=token())],
    ids=["token is refused", "token and qualities lag behind"],
)
def test_a_stream_that_ended_is_offline_at_the_next_look(gql: Any) -> None:
    source = opened(FakeTwitch(gql=gql, playlist=Reply(404)), live_state=lambda _: LiveState.OFFLINE)
    with pytest.raises(ChannelOffline):
        source.window()


def test_a_playlist_that_is_not_there_though_the_channel_is_live_is_unreadable() -> None:
    source = opened(FakeTwitch(playlist=Reply(404)), live_state=lambda _: LiveState.LIVE)
    with pytest.raises(StreamUnreadable):
        source.window()


ENDED = Reply(body=media_playlist("...", tail="#EXT-X-ENDLIST"))


def test_a_playlist_that_has_ended_is_left_for_that_of_the_broadcaster_who_is_back() -> None:
    twitch = FakeTwitch(playlist=[ENDED, Reply(body=media_playlist("....", first=0))])
    window = opened(twitch).window()
    assert (len(window.segments), window.first_number) == (4, 0)
    assert twitch.asked == ["gql", "usher", "playlist"] * 2


def test_a_broadcast_whose_playlist_stays_ended_is_offline() -> None:
    twitch = FakeTwitch(playlist=ENDED)
    source = opened(twitch, live_state=lambda _: LiveState.LIVE)
    with pytest.raises(ChannelOffline, match="broadcast of somebody has ended"):
        source.window()
    assert twitch.asked == ["gql", "usher", "playlist"] * 2


def test_the_address_is_renewed_within_a_day() -> None:
    twitch, clock = FakeTwitch(), Hours()
    source = opened(twitch, clock=clock)
    clock.now = 19.9
    source.window()
    assert twitch.asked == ["gql", "usher", "playlist"]
    clock.now = 22.1
    source.window()
    assert twitch.asked == ["gql", "usher", "playlist", "gql", "usher", "playlist"]


def test_a_sequence_that_starts_again_is_no_trouble() -> None:
    twitch = FakeTwitch(
        playlist=[Reply(body=media_playlist("..", first=9000)), Reply(body=media_playlist("..", first=0))]
    )
    source = opened(twitch)
    assert [source.window().segments[0].number for _ in range(2)] == [9000, 0]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(Reply(body="<html>"), StreamUnreadable, id="a page"),
        pytest.param(Reply(body=b"\xff\xfe\x00garbage"), StreamUnreadable, id="garbage"),
        pytest.param(Reply(body=b"#" * (5 << 20)), StreamUnreadable, id="endless"),
        pytest.param(Reply(429), RateLimited, id="429"),
        pytest.param(Reply(500), NetworkError, id="500"),
        pytest.param(requests.ConnectionError("gone"), NetworkError, id="no network"),
        pytest.param(requests.ReadTimeout("slow"), NetworkError, id="too slow"),
    ],
)
def test_every_failure_to_look_has_its_name(reply: Any, error: type[TwitchcatError]) -> None:
    source = opened(FakeTwitch(playlist=reply))
    with pytest.raises(error) as raised:
        source.window()
    assert type(raised.value) is error


# Reading segments


def ranges_of(blob: bytes) -> Any:
    """A server of one file that knows ranges."""

    def answer(request: requests.PreparedRequest) -> Reply:
        first, last = str(request.headers["Range"]).removeprefix("bytes=").split("-")
        start, stop = int(first), min(int(last) + 1, len(blob))
        if start >= len(blob):
            return Reply(416, headers={"Content-Range": f"bytes */{len(blob)}"})
        return Reply(206, blob[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(blob)}"})

    return answer


BLOB = bytes(range(256)) * 4


def test_a_range_is_read_and_no_more() -> None:
    twitch = FakeTwitch(segment=ranges_of(BLOB))
    source = opened(twitch)
    before = source.bytes_fetched
    assert source.read(URI, 100, 300) == Chunk(data=BLOB[100:300], start=100, total=1024)
    assert source.bytes_fetched - before == 200
    assert twitch.requests[-1].headers["Range"] == "bytes=100-299"
    assert twitch.requests[-1].headers["Accept-Encoding"] == "identity"


def test_taken_bytes_are_counted_once_and_those_of_opening_are_the_first() -> None:
    twitch = FakeTwitch(segment=ranges_of(BLOB))
    source = opened(twitch)
    opening = source.take_bytes()
    assert opening == sum(len(twitch.replies[name].content()) for name in ("gql", "usher"))
    source.read(URI, 0, 300)
    source.read(URI, 0, 50)
    assert [source.take_bytes(), source.take_bytes()] == [350, 0]
    assert source.bytes_fetched == opening + 350


def test_the_last_range_is_shorter() -> None:
    source = opened(FakeTwitch(segment=ranges_of(BLOB)))
    assert source.read(URI, 1000, 9999) == Chunk(data=BLOB[1000:], start=1000, total=1024)


def test_a_server_that_ignores_ranges_gives_the_whole() -> None:
    source = opened(FakeTwitch(segment=Reply(body=BLOB)))
    assert source.read(URI, 100, 300) == Chunk(data=BLOB, start=0, total=1024)


def test_a_total_may_be_unknown() -> None:
    source = opened(FakeTwitch(segment=Reply(206, b"abc", {"Content-Range": "bytes 0-2/*"})))
    assert source.read(URI, 0, 3) == Chunk(data=b"abc", start=0, total=None)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(Reply(403), SegmentUnreadable, id="403"),
        pytest.param(Reply(404), SegmentUnreadable, id="404"),
        pytest.param(Reply(416), SegmentUnreadable, id="416"),
        pytest.param(Reply(204), SegmentUnreadable, id="204"),
        pytest.param(Reply(206, b"abc"), SegmentUnreadable, id="a part that does not say which"),
        pytest.param(
            Reply(206, b"abc", {"Content-Range": "bytes 7-9/10"}), SegmentUnreadable, id="another part"
        ),
        pytest.param(
            Reply(200, b"", {"Content-Length": str(33 << 20)}), SegmentUnreadable, id="said too long"
        ),
        pytest.param(Reply(200, bytes(33 << 20)), SegmentUnreadable, id="too long without saying"),
        pytest.param(Reply(429), RateLimited, id="429"),
        pytest.param(requests.ConnectionError("gone"), NetworkError, id="no network"),
    ],
)
def test_every_failure_to_read_has_its_name(reply: Any, error: type[TwitchcatError]) -> None:
    source = opened(FakeTwitch(segment=reply))
    with pytest.raises(error) as raised:
        source.read(URI, 0, 3)
    assert type(raised.value) is error


def test_a_dead_connection_is_tried_three_times() -> None:
    gone = requests.ConnectionError("gone")
    twitch = FakeTwitch(segment=[gone, gone, Reply(body=b"abc"), gone])
    source = opened(twitch)
    assert source.read(URI, 0, 3).data == b"abc"
    assert twitch.asked.count("segment") == 3


def test_a_server_in_trouble_costs_one_segment_only() -> None:
    source = opened(FakeTwitch(segment=Reply(503)))
    with pytest.raises(SegmentUnreadable, match="answered 503"):
        source.read(URI, 0, 3)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5)])
def test_an_empty_range_is_a_mistake_of_the_caller(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="no range of bytes"):
        opened(FakeTwitch()).read(URI, start, stop)


# Rewriting


def test_rewriting_sends_elsewhere_and_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[requests.PreparedRequest] = []

    def send(_: Any, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        sent.append(request)
        response = requests.Response()
        response.url, response.request, response.status_code = str(request.url), request, 200
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    original = requests.Request("GET", "https://usher.ttvnw.net/api/x%2Fy.m3u8?token=%7B%22a%22%7D").prepare()
    response = RewritingAdapter("http://127.0.0.1:8080/", connections=1).send(original)
    assert sent[0].url == "http://127.0.0.1:8080/api/x%2Fy.m3u8?token=%7B%22a%22%7D"
    assert sent[0].headers["Host"] == "usher.ttvnw.net"
    assert (response.url, response.request) == (original.url, original)
    assert "Host" not in original.headers


def test_usher_gets_login_signature_and_token() -> None:
    twitch = FakeTwitch()
    opened(twitch)
    url = urlsplit(str(twitch.requests[1].url))
    query = parse_qs(url.query)
    assert url.path == "/api/v2/channel/hls/somebody.m3u8"
    assert query["sig"] == ["beef"]
    assert "chansub" in query["token"][0]
