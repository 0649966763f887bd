import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from twitchcat.config import TwitchSettings
from twitchcat.errors import ConfigError, CredentialsRefused, NetworkError, RateLimited, TwitchError
from twitchcat.twitch.entities import LiveState
from twitchcat.twitch.helix import HelixClient
from twitchcat.twitch.token import AppToken

SETTINGS = TwitchSettings(client_id="the-id", client_secret=SecretStr("the-secret"), requests_per_second=1e9)
NOW = 1_800_000_000.0

GAMES = {
    name: {"id": str(n), "name": name, "box_art_url": "", "igdb_id": igdb}
    for n, (name, igdb) in enumerate([("Chess", "7"), ("Just Chatting", ""), ("VALORANT", "9")], 1)
}


def stream(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"s{n}",
        "user_id": f"u{n}",
        "user_login": f"Login{n}",
        "user_name": f"Name{n}",
        "game_id": "1",
        "game_name": "Chess",
        "type": "live",
        "title": "hello",
        "tags": ["English"],
        "viewer_count": 100 - n,
        "started_at": "2026-11-21T03:18:11Z",
        "language": "en",
        **changes,
    }


def data(*items: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    return {"data": list(items), "pagination": {"cursor": cursor} if cursor else {}}


Answer = httpx.Response | Exception | dict[str, Any]


class FakeHelix:
    """Hands out tokens t1, t2, …; every other request gets the next of `answers`, or what `route` returns."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.route: Callable[[httpx.Request], Answer] | None = None
        self.token_answers: list[Answer] = []
        self.requests: list[httpx.Request] = []
        self.tokens = 0
        self.waits: list[float] = []
        self.clock = NOW
        self.stop = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/oauth2/token":
            answer = self.token_answers.pop(0) if self.token_answers else self.new_token()
        elif self.route:
            answer = self.route(request)
        else:
            answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def new_token(self) -> dict[str, Any]:
        self.tokens += 1
        return {"access_token": f"t{self.tokens}", "expires_in": 5_011_271, "token_type": "bearer"}

    def sleep(self, seconds: float, stop: threading.Event | None) -> None:
        assert stop is self.stop
        if stop.is_set():
            raise NetworkError("stopped")
        self.waits.append(seconds)
        self.clock += seconds

    @property
    def asked(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path != "/oauth2/token"]

    def queries(self) -> list[dict[str, list[str]]]:
        return [parse_qs(request.url.query.decode()) for request in self.asked]


@pytest.fixture
def fake() -> FakeHelix:
    return FakeHelix()


@pytest.fixture
def helix(fake: FakeHelix) -> Iterator[HelixClient]:
    with HelixClient(
        SETTINGS,
        transport=httpx.MockTransport(fake),
        stop=fake.stop,
        clock=lambda: fake.clock,
        sleep=fake.sleep,
    ) as client:
        yield client


# Credentials and the token


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param(
            {}, r"twitch\.client_id .*TWITCHCAT_TWITCH__CLIENT_ID.*twitch\.client_secret", id="both"
        ),
        pytest.param({"client_id": "x"}, r"^set twitch\.client_secret", id="secret"),
        pytest.param({"client_secret": "x", "client_id": ""}, r"^set twitch\.client_id", id="empty id"),
    ],
)
def test_missing_credentials_say_what_to_set_and_where_to_get_it(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as error:
        HelixClient(TwitchSettings.model_validate(given))
    assert "https://dev.twitch.tv/console" in str(error.value)


def test_the_secret_travels_in_the_body_and_nowhere_else(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data()]
    helix.top_categories(5)
    token, asked = fake.requests
    assert parse_qs(token.content.decode()) == {
        "client_id": ["the-id"],
        "client_secret": ["the-secret"],
        "grant_type": ["client_credentials"],
    }
    assert not token.url.query
    assert (asked.headers["Authorization"], asked.headers["Client-Id"]) == ("Bearer t1", "the-id")


def test_one_token_serves_all_requests(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data(), data(), data()]
    for _ in range(3):
        helix.top_categories(5)
    assert fake.tokens == 1


def test_a_refused_token_is_renewed_once(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [httpx.Response(401, json={"message": "Invalid OAuth token"}), data(GAMES["Chess"])]
    assert [one.name for one in helix.top_categories(5)] == ["Chess"]
    assert [one.headers["Authorization"] for one in fake.asked] == ["Bearer t1", "Bearer t2"]


def test_a_refused_fresh_token_is_an_error(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [httpx.Response(401, json={"message": "no"}), httpx.Response(401, json={"message": "no"})]
    with pytest.raises(CredentialsRefused, match="fresh app token: 401 no"):
        helix.top_categories(5)


def test_threads_whose_token_is_refused_together_renew_it_once(fake: FakeHelix, helix: HelixClient) -> None:
    together = threading.Barrier(4, timeout=10)

    def route(request: httpx.Request) -> Answer:
        if request.headers["Authorization"] == "Bearer t1":
            together.wait()
            return httpx.Response(401, json={})
        return data()

    fake.route = route
    threads = [threading.Thread(target=helix.top_categories, args=(1,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.tokens == 2


def test_threads_that_wait_for_a_token_share_its_failure_and_a_later_one_tries_again() -> None:
    now = [0.0]
    sent: list[None] = []
    failed: list[str] = []
    all_wait = threading.Event()

    def send() -> httpx.Response:
        sent.append(None)
        if len(sent) > 1:
            return httpx.Response(200, json={"access_token": "t1"})
        assert all_wait.wait(10)
        raise NetworkError("nobody there")

    token = AppToken(send, clock=lambda: now[0])

    def ask() -> None:
        try:
            token.get()
        except NetworkError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    all_wait.set()
    for thread in threads:
        thread.join()
    assert (len(sent), failed) == (1, ["nobody there"] * 4)

    now[0] += 5
    assert token.get().get_secret_value() == "t1"


@pytest.mark.parametrize(
    ("status", "message"), [(400, "invalid client"), (403, "invalid client secret")], ids=["id", "secret"]
)
def test_wrong_credentials_are_said_and_not_tried_again(
    fake: FakeHelix, helix: HelixClient, status: int, message: str
) -> None:
    fake.token_answers = [httpx.Response(status, json={"status": status, "message": message})]
    with pytest.raises(CredentialsRefused, match=rf"{status} {message}.*dev\.twitch\.tv"):
        helix.top_categories(5)
    assert len(fake.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b'{"access_token": ""}', b'{"token": "t-secret"}', b"[]"])
def test_a_token_answer_that_is_none_is_an_error_that_does_not_quote_it(
    fake: FakeHelix, helix: HelixClient, body: bytes
) -> None:
    fake.token_answers = [httpx.Response(200, content=body)]
    with pytest.raises(TwitchError, match="gave no app token") as error:
        helix.top_categories(5)
    assert "t-secret" not in f"{error.value} {error.value.__cause__}"


def test_neither_secret_nor_token_is_logged_or_shown(
    fake: FakeHelix, helix: HelixClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.answers = [httpx.Response(401, json={}), data()]
    helix.top_categories(5)
    everything = f"{caplog.text} {helix!r} {vars(helix)} {helix._token!r}"
    assert "the-secret" not in everything
    assert "t1" not in everything
    assert "t2" not in everything


def test_the_token_can_be_validated(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [
        httpx.Response(401, json={}),
        {"client_id": "the-id", "scopes": [], "expires_in": 5000},
    ]
    info = helix.validate_token()
    assert (info.client_id, info.expires_in_s) == ("the-id", 5000)
    assert [one.headers["Authorization"] for one in fake.asked] == ["OAuth t1", "OAuth t2"]


# Errors and waits


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.Response(503, text="<html>"), id="503 with a page"),
        pytest.param(httpx.ConnectError("refused"), id="no connection"),
        pytest.param(httpx.ReadTimeout("slow"), id="no answer in time"),
        pytest.param(httpx.RemoteProtocolError("bye"), id="connection broken off"),
    ],
)
def test_what_passes_is_tried_again(fake: FakeHelix, helix: HelixClient, trouble: Answer) -> None:
    fake.answers = [trouble, trouble, data(GAMES["Chess"])]
    assert len(helix.top_categories(5)) == 1
    assert len(fake.waits) == 2


def test_what_does_not_pass_is_a_network_error_after_four_tries(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = lambda _: httpx.Response(500)
    with pytest.raises(NetworkError, match="answered 500 to /helix/games/top"):
        helix.top_categories(5)
    assert len(fake.asked) == 4


def test_429_waits_until_the_reset(fake: FakeHelix, helix: HelixClient) -> None:
    headers = {"Ratelimit-Reset": f"{NOW + 17:.0f}", "Ratelimit-Remaining": "0"}
    fake.answers = [httpx.Response(429, headers=headers, json={"status": 429}), data(GAMES["Chess"])]
    assert len(helix.top_categories(5)) == 1
    assert fake.waits == [17]


@pytest.mark.parametrize(
    ("reset", "wait"),
    [("", 1), (f"{NOW - 5:.0f}", 1), (f"{NOW + 9e6:.0f}", 61)],
    ids=["none said", "in the past", "far in the future"],
)
def test_429_with_a_useless_reset_waits_a_little(
    fake: FakeHelix, helix: HelixClient, reset: str, wait: float
) -> None:
    headers = {"Ratelimit-Reset": reset, "Ratelimit-Remaining": "0"}
    fake.answers = [httpx.Response(429, headers=headers), data()]
    helix.top_categories(5)
    assert fake.waits == [wait]


def test_429_for_ever_is_an_error(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = lambda _: httpx.Response(429)
    with pytest.raises(RateLimited, match="after 3 waits"):
        helix.top_categories(5)
    assert len(fake.asked) == 3


def test_an_empty_bucket_is_waited_for_before_the_next_request(fake: FakeHelix, helix: HelixClient) -> None:
    headers = {"Ratelimit-Remaining": "0", "Ratelimit-Reset": f"{NOW + 30:.0f}"}
    fake.answers = [httpx.Response(200, json=data(), headers=headers), data(), data()]
    for _ in range(3):
        helix.top_categories(5)
    assert fake.waits == [30]


def test_points_left_are_no_reason_to_wait(fake: FakeHelix, helix: HelixClient) -> None:
    headers = {"Ratelimit-Remaining": "1", "Ratelimit-Reset": f"{NOW + 30:.0f}"}
    fake.answers = [httpx.Response(200, json=data(), headers=headers), data()]
    helix.top_categories(5)
    helix.top_categories(5)
    assert fake.waits == []


def test_a_wait_ends_when_the_program_stops(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = lambda _: httpx.Response(503)
    fake.stop.set()
    with pytest.raises(NetworkError, match="stopped"):
        helix.top_categories(5)
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(httpx.Response(200, text="<html>"), "not its JSON", id="a page"),
        pytest.param(httpx.Response(200, json=[]), "not its JSON", id="a list"),
        pytest.param(httpx.Response(200, content=b"[" * 100_000), "not its JSON", id="a deep list"),
        pytest.param(httpx.Response(200, content=b"\xff\xfe{"), "not its JSON", id="no text"),
        pytest.param(httpx.Response(200, json={"data": None}), "not its JSON", id="no data"),
        pytest.param(data({"id": 5}), "not what it documents", id="unknown items"),
        pytest.param(httpx.Response(400, json={"message": "bad cursor"}), "400 bad cursor", id="400"),
        pytest.param(httpx.Response(404, text="nothing"), "refused /helix/games/top: 404", id="404, no JSON"),
    ],
)
def test_other_answers_are_twitch_errors(
    fake: FakeHelix, helix: HelixClient, answer: Answer, said: str
) -> None:
    fake.answers = [answer]
    with pytest.raises(TwitchError, match=said):
        helix.top_categories(5)


# Categories


def test_top_categories_know_which_are_games(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data(*GAMES.values())]
    assert [(one.name, one.is_game) for one in helix.top_categories(3)] == [
        ("Chess", True),
        ("Just Chatting", False),
        ("VALORANT", True),
    ]


def by_name(request: httpx.Request) -> Answer:
    """The /games, /search/categories and /games/top of Twitch over three categories."""
    query = parse_qs(request.url.query.decode())
    path = request.url.path.removeprefix("/helix")
    if path == "/games":
        names, ids = query.get("name", []), query.get("id", [])
        return {"data": [one for one in GAMES.values() if one["name"] in names or one["id"] in ids]}
    if path == "/search/categories":
        words = query["query"][0].lower().split()
        found = [one for name, one in GAMES.items() if all(word in name.lower() for word in words)]
        return data(*({"id": one["id"], "name": one["name"]} for one in found))
    return data(*GAMES.values())


def test_categories_are_found_by_name_whatever_their_case(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = by_name
    found = helix.categories_named(["Chess", "valorant", " just chatting "])
    assert {name: (one.name, one.is_game) for name, one in found.items()} == {
        "Chess": ("Chess", True),
        "valorant": ("VALORANT", True),
        " just chatting ": ("Just Chatting", False),
    }


def test_exact_names_cost_one_request_per_hundred(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = lambda request: {
        "data": [
            {"id": name, "name": name, "igdb_id": ""} for name in parse_qs(request.url.query.decode())["name"]
        ]
    }
    assert len(helix.categories_named([f"Game {n}" for n in range(150)])) == 150
    assert [len(query["name"]) for query in fake.queries()] == [100, 50]


def test_unknown_categories_are_named_with_the_nearest(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = by_name
    with pytest.raises(ConfigError) as error:
        helix.categories_named(["Valorent", "Chess", "chat", "xyzzy"])
    assert str(error.value).splitlines() == [
        "Twitch has no category 'Valorent'; did you mean 'VALORANT'?",
        "Twitch has no category 'chat'; did you mean 'Just Chatting'?",
        "Twitch has no category 'xyzzy'",
    ]


def test_an_empty_name_is_no_category(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = by_name
    with pytest.raises(ConfigError, match="no category ' '"):
        helix.categories_named([" "])


# Streams and users


def test_a_live_stream_is_read_whole(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data(stream(1))]
    (live,) = helix.live_in("1")
    assert (live.id, live.channel.login, live.channel.display_name) == ("s1", "login1", "Name1")
    assert live.category is not None
    assert (live.category.name, live.viewers, live.tags, live.language) == ("Chess", 99, ("English",), "en")
    assert live.started_at.isoformat() == "2026-11-21T03:18:11+00:00"


def test_a_stream_without_category_has_none(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data(stream(1, game_id="", game_name=""))]
    assert helix.live_in("1")[0].category is None


def test_malformed_items_among_sound_ones_are_left_out(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data(stream(1, type=""), stream(2, user_login=""), stream(3, tags=None), {})]
    assert [live.id for live in helix.live_in("1")] == ["s3"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param(r"a\u0000b", "a\ufffdb", id="NUL"),
        pytest.param(r"a\ud83d", "a\ufffd", id="half a character"),
        pytest.param(r"\ud83d\ude00", "\U0001f600", id="a whole one"),
    ],
)
def test_no_text_reaches_the_database_that_it_cannot_hold(
    fake: FakeHelix, helix: HelixClient, written: str, read: str
) -> None:
    item = stream(1, title="WORDS", tags=["WORDS"], user_name="WORDS", game_name="WORDS", language="WORDS")
    content = json.dumps(data(item, stream(2))).replace("WORDS", written)
    fake.answers = [httpx.Response(200, content=content)]
    live, other = helix.live_in("1")
    assert live.category is not None
    said = (live.title, *live.tags, live.channel.display_name, live.category.name, live.language)
    assert said == (read,) * 5
    assert other.title == "hello"
    "".join(said).encode()  # what a driver does with it


def test_the_same_goes_for_categories_and_channels(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [
        data({**GAMES["Chess"], "name": "a\0"}),
        data({"id": "1", "login": "x", "display_name": "b\0"}),
    ]
    assert helix.top_categories(1)[0].name == "a\ufffd"
    assert helix.users(["x"])["x"].display_name == "b\ufffd"


def test_pages_are_followed_and_every_stream_is_there_once(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [
        data(*(stream(n) for n in range(100)), cursor="c1"),
        data(*(stream(n) for n in range(90, 150)), cursor="c2"),  # short, and viewers moved meanwhile
        data(*(stream(n) for n in range(150, 180))),
    ]
    assert [live.id for live in helix.live_in("1", limit=400)] == [f"s{n}" for n in range(180)]
    assert [query.get("after") for query in fake.queries()] == [None, ["c1"], ["c2"]]


def test_no_more_is_asked_for_than_wanted(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data(*(stream(n) for n in range(30)), cursor="more")]
    assert len(helix.live_in("1", limit=25, languages=["en", "de"])) == 25
    (query,) = fake.queries()
    assert query == {"game_id": ["1"], "language": ["en", "de"], "first": ["25"]}


@pytest.mark.parametrize("cursors", [["same"] * 9, [f"c{n}" for n in range(9)]], ids=["stuck", "endless"])
def test_paging_ends_whatever_the_cursors_say(
    fake: FakeHelix, helix: HelixClient, cursors: list[str]
) -> None:
    fake.answers = [data(stream(1), cursor=cursor) for cursor in cursors]
    assert len(helix.live_in("1", limit=300)) == 1
    assert len(fake.asked) <= 6


def test_channels_are_looked_up_a_hundred_at_a_time(fake: FakeHelix, helix: HelixClient) -> None:
    fake.route = lambda request: data(
        *(
            stream(0, id=login, user_login=login.upper())
            for login in parse_qs(request.url.query.decode())["user_login"]
            if login != "l7"
        )
    )
    live = helix.live_now([f"L{n}" for n in range(120)] + ["l3"])
    assert set(live) == {f"l{n}" for n in range(120)} - {"l7"}
    assert [len(query["user_login"]) for query in fake.queries()] == [100, 20]


def test_what_cannot_be_a_login_is_not_asked_for(fake: FakeHelix, helix: HelixClient) -> None:
    fake.answers = [data({"id": "1", "login": "good_one", "display_name": ""})]
    users = helix.users(["Good_One", "bad one", "", "x" * 51])
    assert users["good_one"].display_name == "good_one"
    assert fake.queries() == [{"login": ["good_one"]}]
    assert helix.live_now(["bad one"]) == {}


@pytest.mark.parametrize(
    ("streams", "users", "state"),
    [
        ([stream(1)], [], LiveState.LIVE),
        ([], [{"id": "u1", "login": "login1", "display_name": "x"}], LiveState.OFFLINE),
        ([], [], LiveState.MISSING),
    ],
    ids=str,
)
def test_a_login_is_live_offline_or_missing(
    fake: FakeHelix, helix: HelixClient, streams: list[Any], users: list[Any], state: LiveState
) -> None:
    fake.route = lambda request: data(*(streams if request.url.path.endswith("/streams") else users))
    assert helix.live_state("login1") is state
