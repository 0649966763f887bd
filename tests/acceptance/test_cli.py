"""The installed command: help, exit codes, JSON, and ending in good order."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.fixtures.cli import TWITCHCAT, Command, as_variables, environment, events
from tests.fixtures.collecting import Collecting
from twitchcat.cli.app import app
from twitchcat.station.server import Station

#: What makes a program slow to start, and no help needs.
HEAVY = {"torch", "cv2", "onnxruntime", "av", "sqlalchemy", "streamlink", "numpy", "httpx", "uvicorn"}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and every group, as it is typed."""
    yield path
    for name, inner in getattr(group, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = list(commands(get_command(app)))
LEAVES = [path for path in ALL if not any(other[: len(path)] == path and other != path for other in ALL)]


# Help


def test_help_is_quick() -> None:
    def cpu_s() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([TWITCHCAT, "--help"], check=True, capture_output=True, env=environment())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The best of some: another process on the same core makes caches cold and this one slow.
    assert min(cpu_s() for _ in range(4)) < 0.4


@pytest.mark.parametrize("arguments", [["--help"], ["collect", "--help"], ["dataset", "sync", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = "import sys; sys.argv[0] = 'twitchcat'; from twitchcat.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported, "the list of imports was read"
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "twitchcat")
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_help_of_every_command_ends_with_an_example(path: tuple[str, ...]) -> None:
    found: Any = get_command(app)
    for name in path:
        found = found.commands[name]
    assert isinstance(found.help, str)
    last = found.help.strip().split("\n\n")[-1]
    assert last.startswith(f"Example: twitchcat {' '.join(path)}") or " ".join(path) in last
    assert "Example: " in last
    assert "Example:" in click.unstyle(CliRunner().invoke(app, [*path, "--help"]).output)


# Exit codes


def test_an_unknown_command_is_wrong_usage(command: Command) -> None:
    done = command.run("colect")
    assert done.returncode == 2
    assert "colect" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["collect", "--once", "--for", "2h"], "--once and --for", id="they exclude each other"),
        pytest.param(["collect", "--for", "soon"], "30s, 5m, 2h", id="no duration"),
        pytest.param(["collect", "--channels", "0"], "--channels", id="a number out of range"),
        pytest.param(["dataset", "remove"], "--channel, --category, --before or --frame", id="remove what?"),
        pytest.param(["dataset", "remove", "--before", "yesterday"], "--before", id="no time"),
        pytest.param(["--config", "missing.toml", "dataset", "info"], "missing.toml", id="no such file"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(arguments: list[str], words: str, command: Command) -> None:
    done = command.run(*arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())


def test_a_wrong_setting_ends_with_2_and_names_the_nearest_key(command: Command) -> None:
    (command.folder / "twitchcat.toml").write_text("[collect]\ntopp = 3\n")
    done = command.run("collect")
    assert done.returncode == 2
    assert done.stderr == "twitchcat: twitchcat.toml: unknown key collect.topp; did you mean collect.top?\n"


@pytest.mark.parametrize("sheet", ["/proc/sheet.png", "file/sheet.png", "folder"])
def test_a_demo_whose_sheet_cannot_be_written_says_so_before_it_begins(sheet: str, command: Command) -> None:
    (command.folder / "file").touch()
    (command.folder / "folder").mkdir()
    done = command.run("demo", "--output", sheet)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"twitchcat: the contact sheet cannot be written to {sheet}: ")
    assert len(done.stderr.splitlines()) == 1


def test_missing_credentials_end_with_2_and_say_where_to_get_them(command: Command) -> None:
    done = command.run("collect")
    assert done.returncode == 2
    assert "twitch.client_id" in done.stderr
    assert "dev.twitch.tv" in done.stderr


@pytest.mark.parametrize("arguments", [["dataset", "info"], ["dataset", "sync"], ["db", "query", "SELECT 1"]])
def test_an_unreachable_database_ends_with_7(arguments: list[str], command: Command) -> None:
    url = "postgresql://someone:hunter2@127.0.0.1:1/x"
    done = command.run(*arguments, TWITCHCAT_DATABASE__URL=url)
    assert done.returncode == 7
    assert done.stderr.startswith("twitchcat: the database cannot be reached")
    assert "hunter2" not in done.stderr


@pytest.fixture
def collector(collecting: Collecting, command: Command) -> Command:
    """The installed command with settings that lead to a station and a database of the test's own."""
    command.variables = as_variables(collecting.settings)
    return command


def test_collecting_into_an_unreachable_database_ends_with_7(collector: Command) -> None:
    collector.variables["TWITCHCAT_DATABASE__URL"] = "postgresql://someone@127.0.0.1:1/x"
    assert collector.run("collect", "--once").returncode == 7


def test_wrong_credentials_end_with_8(collector: Command) -> None:
    collector.variables["TWITCHCAT_TWITCH__CLIENT_SECRET"] = "wrong"
    done = collector.run("collect", "--once")
    assert done.returncode == 8
    assert "twitch.client_secret" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("throw", "code"),
    [
        pytest.param(lambda station: station.set_live("chess_s1", False), 3, id="offline: 3"),
        pytest.param(lambda station: station.set_fault("chess_s1", "ads_only"), 4, id="ads only: 4"),
        pytest.param(lambda station: station.set_fault("chess_s1", "geoblocked"), 4, id="geoblocked: 4"),
        pytest.param(lambda station: station.set_fault("chess_s1", None), 0, id="live: 0"),
    ],
)
def test_one_named_channel_is_an_exit_code(
    throw: Callable[[Station], None], code: int, collector: Command, collecting: Collecting
) -> None:
    throw(collecting.station)
    assert collector.run("collect", "--login", "CHESS_s1", "--once").returncode == code


def test_a_channel_that_does_not_exist_ends_with_3(collector: Command) -> None:
    done = collector.run("collect", "--login", "nobody_here", "--once")
    assert done.returncode == 3
    assert done.stderr == "twitchcat: no such channel: nobody_here\n"


# JSON

VISIT = {
    "event", "at", "channel", "category", "outcome", "reason", "frames", "bytes_fetched", "skipped", "seconds"
}  # fmt: skip
SUMMARY = {
    "event", "why", "seconds", "frames", "image_bytes", "bytes_fetched", "visits", "reasons", "skipped",
    "categories", "unknown",
}  # fmt: skip
INFO = {"frames", "bytes", "channels", "captures", "outcomes", "categories"}
CATEGORY = {"id", "name", "frames", "channels", "captures", "bytes", "first", "last", "target", "progress"}
SYNC = {"rows_without_image", "images_without_row", "checksum_mismatches", "expired", "removed"}


def test_results_are_json_with_the_keys_documented(collector: Command, collecting: Collecting) -> None:
    done = collector.run("collect", "--category", "Chess", "--once", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    *visits, summary = map(json.loads, done.stdout.splitlines())
    assert len(visits) == 2
    assert all(set(visit) == VISIT and visit["event"] == "visit" for visit in visits)
    assert set(summary) == SUMMARY
    assert summary["event"] == "summary"
    assert summary["frames"] == sum(visit["frames"] for visit in visits) == collecting.dataset.frames() > 0
    assert set(summary["categories"][0]) >= {"id", "name", "frames", "added", "wanted"}

    info = collector.json("dataset", "info", "--json")
    assert set(info) == INFO
    assert info["frames"] == summary["frames"]
    (chess,) = info["categories"]
    assert {
        "id",
        "name",
        "frames",
        "channels",
        "captures",
        "bytes",
        "first",
        "last",
        "target",
        "progress",
    } == set(chess)

    sync = collector.json("dataset", "sync", "--dry-run", "--deep", "--json")
    assert sync == dict.fromkeys(SYNC, 0)

    planned = collector.json("dataset", "remove", "--channel", "Chess_S1", "--dry-run", "--json")
    assert planned["dry_run"] is True
    assert planned["captures"] == 1
    removed = collector.json("dataset", "remove", "--channel", "chess_s1", "--yes", "--json")
    assert removed == {**planned, "dry_run": False}
    assert collecting.dataset.frames() == summary["frames"] - removed["frames"]
    assert collecting.dataset.files() == collecting.dataset.paths()


def test_results_for_people_go_to_stdout_and_all_else_to_stderr(collector: Command) -> None:
    done = collector.run("collect", "--login", "chess_s1", "--once")
    assert "chess_s1 (Chess): kept, 4 frames" in done.stderr
    assert "Visits: 1 kept." in done.stdout
    assert "chess_s1" not in done.stdout
    assert "Chess" in collector.run("dataset", "info").stdout
    assert collector.run("dataset", "sync").stdout.splitlines()[-1].split() == ["removed", "0"]


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["no terminal", "--json"])
def test_removal_where_nobody_can_be_asked_wants_yes(
    arguments: list[str], collector: Command, collecting: Collecting
) -> None:
    collecting.collect(logins=["chess_s1"], once=True)
    done = collector.run("dataset", "remove", "--category", "Chess", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "use --yes" in done.stderr
    assert collecting.dataset.frames() == 4


def test_removal_asks_at_a_terminal_and_no_removes_nothing(
    collector: Command, collecting: Collecting, terminal: tuple[int, int]
) -> None:
    collecting.collect(logins=["chess_s1"], once=True)
    keyboard, screen = terminal
    os.write(keyboard, b"n\n")
    with collector.start("dataset", "remove", "--channel", "chess_s1", stdin=screen) as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Remove 4 frames" in told
    assert "the record of 1 visit?" in told
    assert collecting.dataset.frames() == 4


def test_an_unknown_frame_is_wrong_usage(collector: Command) -> None:
    done = collector.run("dataset", "remove", "--frame", "999999", "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "twitchcat: the dataset has no such frame: 999999\n"


# Ending


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_a_collect_in_good_order(
    number: signal.Signals, collector: Command, collecting: Collecting
) -> None:
    with collector.start("collect", "--json") as process:
        lines = events(process)
        first = next(lines)
        process.send_signal(number)
        *visits, summary = [first, *lines]
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert summary["event"] == "summary"
    assert summary["why"] == "stopped"
    assert summary["frames"] == sum(visit["frames"] for visit in visits) == collecting.dataset.frames()
    assert collecting.dataset.files() == collecting.dataset.paths()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A keyboard, and the terminal at which it is typed."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_enter_at_a_terminal_ends_a_collect_too(collector: Command, terminal: tuple[int, int]) -> None:
    keyboard, screen = terminal
    with collector.start("collect", "--json", stdin=screen, in_foreground=True) as process:
        lines = events(process)
        next(lines)
        os.write(keyboard, b"\n")
        assert [line["why"] for line in lines if line["event"] == "summary"] == ["stopped"]
        assert process.wait(timeout=30) == 0


def test_a_terminal_of_somebody_else_is_left_alone(collector: Command, terminal: tuple[int, int]) -> None:
    _, screen = terminal
    with collector.start("collect", "--login", "chess_s1", "--once", "--json", stdin=screen) as process:
        assert [line["event"] for line in events(process)] == ["visit", "summary"]
        assert process.wait(timeout=30) == 0


def test_a_second_ctrl_c_does_not_wait_for_what_is_in_hand(
    collector: Command, collecting: Collecting
) -> None:
    collector.variables["TWITCHCAT_TWITCH__TIMEOUT"] = "50s"
    collecting.station.set_fault("*", "stalled")
    with collector.start("collect", "--json") as process:
        deadline = time.monotonic() + 30
        # A stalled answer is in the log only when it ends. With so many playlists read, the first visit is at
        # its first segment.
        while sum(asked.kind == "playlist" for asked in collecting.station.requests) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130


def test_a_reader_that_has_seen_enough_ends_a_collect_without_a_word(
    collector: Command, collecting: Collecting
) -> None:
    with collector.start("collect", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["event"] == "visit"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 0
    assert collecting.dataset.files() == collecting.dataset.paths()


@pytest.mark.parametrize(
    "arguments",
    [["config", "show", "--json"], ["config", "show"], ["dataset", "info"], ["dataset", "info", "--json"]],
)
def test_a_pipe_that_is_closed_early_brings_no_traceback(arguments: list[str], collector: Command) -> None:
    with collector.start(*arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        process.wait(timeout=30)
