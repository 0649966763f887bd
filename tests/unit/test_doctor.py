"""The doctor's judgements: what is found becomes ok, a warning or a failure, with what to do about it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from streamlink.plugins import twitch as plugin_module

from twitchcat.cli.doctor import plain_lines, worst
from twitchcat.config import LoadedSettings, Settings, TwitchSettings
from twitchcat.doctor.configuration import examine_settings
from twitchcat.doctor.database import DatabaseFacts, database_findings
from twitchcat.doctor.finding import Finding, Level, failure, ok, warning
from twitchcat.doctor.runner import Check, run_checks
from twitchcat.doctor.runtime import Runtime, runtime_finding
from twitchcat.doctor.software import examine_software
from twitchcat.doctor.storage import Space, space_finding
from twitchcat.doctor.streams import missing, plugin_finding, unlike
from twitchcat.doctor.twitch import clock_finding, examine_credentials, examine_helix, examine_station
from twitchcat.errors import ConfigError, ModelError, RevisionMismatch, StoreError, TwitchError

GB = 10**9
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("bytes_free", "inodes_free", "level"),
    [
        pytest.param(100 * GB, 10**7, Level.OK, id="plenty"),
        pytest.param(100 * GB, None, Level.OK, id="a file system without a table of inodes"),
        pytest.param(5 * GB - 1, 10**7, Level.WARNING, id="less than 5 GB"),
        pytest.param(GB // 2 - 1, 10**7, Level.FAILURE, id="less than 500 MB"),
        pytest.param(100 * GB, 99_999, Level.WARNING, id="few inodes"),
        pytest.param(100 * GB, 4_999, Level.FAILURE, id="hardly any inodes"),
        pytest.param(1, 99_999, Level.FAILURE, id="the worse of the two counts"),
    ],
)
def test_what_is_left_on_the_disk(bytes_free: int, inodes_free: int | None, level: Level) -> None:
    found = space_finding(
        Space(bytes_free=bytes_free, bytes_total=200 * GB, inodes_free=inodes_free), Path("/data")
    )
    assert found.level is level
    assert ("/data" in (found.advice or "")) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("offset_s", "level", "says"),
    [
        pytest.param(0.4, Level.OK, "agrees", id="the same"),
        pytest.param(-5.0, Level.OK, "agrees", id="five seconds are none"),
        pytest.param(5.1, Level.WARNING, "5 s ahead of", id="a little ahead"),
        pytest.param(-60.0, Level.WARNING, "60 s behind", id="a minute behind"),
        pytest.param(61.0, Level.FAILURE, "61 s ahead of", id="more than a minute"),
    ],
)
def test_clock(offset_s: float, level: Level, says: str) -> None:
    found = clock_finding(offset_s)
    assert found.level is level
    assert says in found.message


@pytest.mark.parametrize("ahead_s", [0, 20, -90])
def test_the_clock_is_compared_with_the_date_of_the_answer(ahead_s: int) -> None:
    at = datetime.fromtimestamp(NOW, UTC) - timedelta(seconds=ahead_s)
    found = helix(lambda _: httpx.Response(401, headers={"Date": format_datetime(at, usegmt=True)}))
    assert found["clock"] == clock_finding(ahead_s)
    assert found["helix"].level is Level.OK


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_an_answer_without_a_date_leaves_the_clock_uncompared(date: str | None) -> None:
    found = helix(lambda _: httpx.Response(401, headers={"Date": date} if date else {}))
    assert found["clock"].level is Level.WARNING
    assert "not compared" in found["clock"].message


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(503), id="out of order"),
        pytest.param(httpx.Response(404), id="not Helix"),
        pytest.param(httpx.ConnectError("refused"), id="nobody there"),
        pytest.param(httpx.ConnectTimeout(""), id="no answer in time"),
    ],
)
def test_helix_that_does_not_answer_as_helix_is_a_failure_of_twitch(
    answer: httpx.Response | Exception,
) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = helix(respond)["helix"]
    assert found.level is Level.FAILURE
    assert isinstance(found.error, TwitchError)


def helix(
    respond: Callable[[httpx.Request], httpx.Response], url: str = "https://api.twitch.tv/helix"
) -> dict[str, Finding]:
    """Examine a Helix that responds like this, by a clock that stands still."""
    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        found = examine_helix(TwitchSettings(helix_url=url), client=client, clock=lambda: NOW)
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        pytest.param("https://api.twitch.tv/helix", "HTTPS_PROXY", id="Twitch: the network"),
        pytest.param("http://127.0.0.1:1/helix", "twitchcat station", id="a station: start it"),
    ],
)
def test_what_to_do_depends_on_who_does_not_answer(url: str, advice: str) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert advice in (helix(refuse, url)["helix"].advice or "")


CREDENTIALS = TwitchSettings(client_id="the-id", client_secret=SecretStr("the-secret"))


def test_without_credentials_a_warning_says_what_works_nevertheless() -> None:
    (found,) = examine_credentials(TwitchSettings())
    assert found.level is Level.WARNING
    assert "demo" in found.message
    assert "dev.twitch.tv" in (found.advice or "")


def test_half_of_the_credentials_is_a_fault_of_the_configuration() -> None:
    (found,) = examine_credentials(TwitchSettings(client_id="the-id"))
    assert "TWITCHCAT_TWITCH__CLIENT_SECRET" in found.message
    assert worst([found]) == 2


def test_good_credentials_are_validated_at_twitch() -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "tok", "expires_in": 5_000_000})
        if request.url.path == "/helix/games/top":
            return httpx.Response(200, json={"data": []})
        if request.headers.get("Authorization") != "OAuth tok":
            return httpx.Response(401)
        return httpx.Response(200, json={"client_id": "the-id", "expires_in": 4_999_000})

    (found,) = examine_credentials(CREDENTIALS, transport=httpx.MockTransport(respond))
    assert found == ok("credentials", "accepted; the app token lives 58 days")
    assert asked[-3:] == ["POST /oauth2/token", "GET /oauth2/validate", "GET /helix/games/top"]


def test_wrong_credentials_are_a_failure_that_shows_no_secret() -> None:
    refusal = {"status": 403, "message": "invalid client secret"}
    transport = httpx.MockTransport(lambda _: httpx.Response(403, json=refusal))
    (found,) = examine_credentials(CREDENTIALS, transport=transport)
    assert worst([found]) == 8
    assert "invalid client secret" in found.message
    assert "console" in (found.advice or "")
    assert "the-secret" not in str(found)


def test_a_rate_limit_that_lasts_is_a_warning_and_not_waited_out() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "tok", "expires_in": 5_000_000})
        return httpx.Response(429, headers={"Ratelimit-Remaining": "0", "Ratelimit-Reset": "9e9"})

    (found,) = examine_credentials(CREDENTIALS, transport=httpx.MockTransport(respond))
    assert found.level is Level.WARNING
    assert "limiting requests until" in found.message


@pytest.mark.parametrize(
    ("reset", "says"),
    [
        pytest.param(str(NOW + 42), "until 08:00:42 UTC", id="it says when"),
        pytest.param(None, "for a while", id="it does not"),
        pytest.param("soon", "for a while", id="no time"),
        pytest.param("1e99", "for a while", id="no time that there is"),
    ],
)
def test_helix_that_limits_requests_is_a_warning_with_its_end(reset: str | None, says: str) -> None:
    found = helix(lambda _: httpx.Response(429, headers={"Ratelimit-Reset": reset} if reset else {}))["helix"]
    assert found.level is Level.WARNING
    assert f"limiting requests {says}" in found.message


@pytest.mark.parametrize(
    ("answer", "level", "says"),
    [
        pytest.param(httpx.Response(200, json=[{}, {}]), Level.OK, "2 channels", id="a station"),
        pytest.param(httpx.Response(404), Level.FAILURE, "no station", id="something else"),
        pytest.param(httpx.Response(200, text="hello"), Level.FAILURE, "no station", id="a web page"),
    ],
)
def test_the_station_that_streams_are_taken_from(answer: httpx.Response, level: Level, says: str) -> None:
    url = "http://127.0.0.1:1"
    settings = TwitchSettings(rewrite=url, helix_url=f"{url}/helix", auth_url=f"{url}/oauth2")
    with httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as client:
        (found,) = examine_station(settings, client=client)
    assert found.level is level
    assert says in found.message


def test_streams_of_a_station_with_the_categories_of_twitch_are_warned_of() -> None:
    settings = TwitchSettings(rewrite="http://127.0.0.1:1")
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=[]))) as client:
        (found,) = examine_station(settings, client=client)
    assert found.level is Level.WARNING
    assert "twitch.helix_url and twitch.auth_url" in found.message


def facts(**changes: Any) -> DatabaseFacts:
    good: dict[str, Any] = {
        "where": "postgresql://db/twitchcat",
        "embedded": False,
        "version": "18.4",
        "revision": "0002",
        "mismatch": None,
        "known": True,
        "pgvector": "0.8.5",
        "pgvector_at_hand": "0.8.5",
    }
    return DatabaseFacts(**(good | changes))


BEHIND = RevisionMismatch("the database stands at 0001: run `twitchcat db upgrade`")
AHEAD = RevisionMismatch("the database stands at 0009, unknown here: use a newer twitchcat")


@pytest.mark.parametrize(
    ("found", "levels"),
    [
        pytest.param(facts(), "ok ok ok", id="all in order"),
        pytest.param(facts(mismatch=BEHIND), "ok failure ok", id="another server, behind"),
        pytest.param(
            facts(mismatch=BEHIND, embedded=True), "ok ok ok", id="embedded, behind: upgrades itself"
        ),
        pytest.param(
            facts(mismatch=AHEAD, embedded=True, known=False), "ok failure ok", id="embedded, ahead of us"
        ),
        pytest.param(facts(pgvector=None), "ok ok ok", id="pgvector only at hand"),
        pytest.param(
            facts(pgvector=None, may_create=False),
            "ok ok warning",
            id="pgvector for superusers only",
        ),
        pytest.param(facts(may_create=False), "ok ok ok", id="pgvector there: nobody needs to put it in"),
        pytest.param(facts(pgvector=None, pgvector_at_hand=None), "ok ok failure", id="no pgvector"),
    ],
)
def test_database(found: DatabaseFacts, levels: str) -> None:
    findings = database_findings(found)
    assert [one.name for one in findings] == ["database", "revision", "pgvector"]
    assert " ".join(one.level for one in findings) == levels
    assert worst(findings) == (7 if "failure" in levels else 0)


def test_the_advice_for_a_database_that_is_behind_is_the_command() -> None:
    revision = database_findings(facts(mismatch=BEHIND))[1]
    assert revision.message == "the database stands at 0001"
    assert revision.advice == "Run `twitchcat db upgrade`."


@pytest.mark.parametrize(
    ("runtime", "has_gpu", "level", "says"),
    [
        pytest.param(
            Runtime(
                version="1", works=("CPUExecutionProvider",), fails={"CUDAExecutionProvider": "no cublas"}
            ),
            False,
            Level.OK,
            "1 runs on CPU",
            id="no GPU: what is listed and does not work is not mentioned",
        ),
        pytest.param(
            Runtime(
                version="1", works=("CPUExecutionProvider",), fails={"CUDAExecutionProvider": "no cublas"}
            ),
            True,
            Level.WARNING,
            "not on the NVIDIA GPU: no cublas",
            id="a GPU that lies idle",
        ),
        pytest.param(
            Runtime(version="1", works=("CUDAExecutionProvider", "CPUExecutionProvider")),
            True,
            Level.OK,
            "1 runs on CUDA, CPU",
            id="a GPU that works",
        ),
        pytest.param(Runtime(version="1"), False, Level.FAILURE, "runs nowhere", id="nothing works"),
    ],
)
def test_onnxruntime(runtime: Runtime, has_gpu: bool, level: Level, says: str) -> None:
    found = runtime_finding(runtime, has_gpu=has_gpu)
    assert found.level is level
    assert says in found.message


def access_token(is_live: bool, channel: str) -> None:
    """As the plugin's method is called."""


def token_of_tomorrow(channel: str) -> None:
    """As it may be called one day."""


def channel_address(channel: str, **extra: object) -> None:
    """As the plugin's usher is called."""


def plugin(token: Callable[..., None]) -> SimpleNamespace:
    return SimpleNamespace(_access_token=token, usher=SimpleNamespace(channel=channel_address))


def test_the_installed_plugin_has_what_is_needed_and_its_parts_are_called_as_they_are() -> None:
    assert missing(plugin_module) == []
    assert unlike(plugin(access_token), plugin_module) == []


@pytest.mark.parametrize(
    ("changed", "gone"),
    [
        pytest.param(SimpleNamespace(), ["_access_token", "usher.channel"], id="gone"),
        pytest.param(plugin(token_of_tomorrow), ["_access_token"], id="called otherwise"),
    ],
)
def test_a_plugin_that_changed_inside_is_a_warning(changed: object, gone: list[str]) -> None:
    assert unlike(changed, plugin_module) == gone
    assert plugin_finding("9.0", needed=[], quick=gone).level is Level.WARNING


def test_a_plugin_without_the_parts_for_playlists_is_a_failure() -> None:
    without = SimpleNamespace(**{**vars(plugin_module), "TwitchM3U8": None})
    gone = missing(without)
    assert gone == ["TwitchM3U8.is_date_in_daterange"]
    assert worst([plugin_finding("9.0", needed=gone, quick=[])]) == 8


def test_a_package_that_cannot_be_imported_is_a_failure_and_the_others_are_listed() -> None:
    found = examine_software([("json", ("typer",)), ("nothing_of_this_name", ("nothing",))])
    assert [one.level for one in found] == [Level.OK, Level.OK, Level.FAILURE]
    assert found[1].message.startswith("typer ")
    assert found[2] == failure(
        "package nothing",
        "cannot be imported: No module named 'nothing_of_this_name'",
        "Run `pip install nothing`.",
    )


def test_settings_that_cannot_be_read_are_a_failure_of_the_configuration() -> None:
    (found,) = examine_settings(ConfigError("a.toml: unknown key captuer"))
    assert found.message == "a.toml: unknown key captuer"
    assert worst([found]) == 2


def test_settings_are_named_by_where_they_come_from_and_never_by_value(tmp_path: Path) -> None:
    (found,) = examine_settings(loaded(tmp_path, mode=0o600))
    assert found.level is Level.OK
    assert str(tmp_path / "a.toml") in found.message
    assert "TWITCHCAT_WEB__PORT" in found.message
    assert "the-secret" not in str(found)


def test_a_secret_in_a_file_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    (found,) = examine_settings(loaded(tmp_path, mode=0o644))
    assert found.level is Level.WARNING
    assert "twitch.client_secret" in found.message
    assert found.advice == f"chmod 600 {tmp_path / 'a.toml'}"


def loaded(folder: Path, *, mode: int) -> LoadedSettings:
    file = folder / "a.toml"
    file.touch(mode=0o600)
    file.chmod(mode)
    origins = {"twitch.client_secret": str(file), "web.port": "TWITCHCAT_WEB__PORT"}
    return LoadedSettings(settings=Settings(twitch=CREDENTIALS), origins=origins, file=file)


def test_checks_run_at_the_same_time_and_report_in_their_order() -> None:
    both = threading.Barrier(2)

    def meet(name: str) -> Callable[[], list[Finding]]:
        def run() -> list[Finding]:
            both.wait(10)
            return [ok(name, "met")]

        return run

    checks = [Check(name=name, run=meet(name)) for name in ("first", "second")]
    assert [one.name for one in run_checks(checks)] == ["first", "second"]


@pytest.mark.parametrize(
    ("error", "says", "code"),
    [
        pytest.param(StoreError("gone"), "gone", 7, id="an error of ours keeps its exit code"),
        pytest.param(ImportError("no cv2"), "cannot be examined: no cv2", 1, id="a package is missing"),
        pytest.param(ZeroDivisionError("oh"), "ZeroDivisionError: oh", 1, id="a fault of the check"),
    ],
)
def test_a_check_that_raises_is_a_failure_and_stops_no_other(error: Exception, says: str, code: int) -> None:
    def run() -> list[Finding]:
        raise error

    found = run_checks([Check(name="bad", run=run), Check(name="good", run=lambda: [ok("good", "fine")])])
    assert [one.name for one in found] == ["bad", "good"]
    assert says in found[0].message
    assert worst(found) == code


def test_a_check_that_hangs_is_given_up_when_its_time_is_over() -> None:
    release = threading.Event()

    def hang() -> list[Finding]:
        release.wait()
        return []

    try:
        (found,) = run_checks([Check(name="slow", run=hang, limit_s=0.01)])
    finally:
        release.set()
    assert found.level is Level.FAILURE
    assert "not done within 0.01 s" in found.message


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        pytest.param([ok("a", "")], 0, id="all well"),
        pytest.param([warning("a", "", "")], 0, id="warnings change nothing"),
        pytest.param([failure("a", "", "")], 1, id="something unexpected"),
        pytest.param(
            [failure("a", "", "", ModelError()), failure("b", "", "", ConfigError())], 6, id="the worst"
        ),
    ],
)
def test_exit_code(findings: list[Finding], code: int) -> None:
    assert worst(findings) == code


def test_a_report_for_pipes_has_a_line_for_each_finding_and_one_for_all() -> None:
    findings = [ok("python", "3.12"), failure("disk", "one\ntwo", "Make room.")]
    assert plain_lines(findings) == [
        "ok       python  3.12",
        "failure  disk    one two -> Make room.",
        "1 failure, no warnings.",
    ]
