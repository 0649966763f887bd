"""`twitchcat db …` as a user types it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.postgres import ESCAPED, PASSWORD
from twitchcat.config import DatabaseSettings

TWITCHCAT = str(Path(sys.executable).parent / "twitchcat")


def environment(**more: str) -> dict[str, str]:
    """That of the tests without settings of its owner."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TWITCHCAT")} | more


def at(settings: DatabaseSettings) -> dict[str, str]:
    assert settings.url is not None
    return environment(TWITCHCAT_DATABASE__URL=settings.url.get_secret_value())


def db(*arguments: str, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TWITCHCAT, "db", *arguments],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


THREE = "SELECT n AS number, repeat('x', n) AS bar, NULL AS nothing FROM generate_series(1, 3) AS n"


@pytest.mark.parametrize(
    ("option", "printed"),
    [
        pytest.param([], "number  bar  nothing\n     1  x\n     2  xx\n     3  xxx\n", id="table"),
        pytest.param(["--csv"], "number,bar,nothing\n1,x,\n2,xx,\n3,xxx,\n", id="csv"),
        pytest.param(
            ["--json"],
            "".join(f'{{"number": {n}, "bar": "{"x" * n}", "nothing": null}}\n' for n in (1, 2, 3)),
            id="json",
        ),
    ],
)
def test_query_prints_rows(database_settings: DatabaseSettings, option: list[str], printed: str) -> None:
    done = db("query", *option, THREE, env=at(database_settings))
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_query_reads_standard_input_and_folds_nothing_in_a_pipe(database_settings: DatabaseSettings) -> None:
    done = db("query", "-", env=at(database_settings), stdin="SELECT repeat('wide ', 100) AS line")
    assert done.stdout.splitlines()[1] == ("wide " * 100).strip()


def test_a_refused_query_points_at_the_mistake(database_settings: DatabaseSettings) -> None:
    done = db("query", "SELECT nonsense FROM frame_index", env=at(database_settings))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        'twitchcat: column "nonsense" does not exist',
        "twitchcat: SELECT nonsense FROM frame_index",
        "twitchcat:        ^",
    ]


def test_two_formats_at_once_are_wrong_usage(database_settings: DatabaseSettings) -> None:
    assert db("query", "--json", "--csv", "SELECT 1", env=at(database_settings)).returncode == 2


def test_a_long_result_may_be_cut_off_by_its_reader(database_settings: DatabaseSettings) -> None:
    with subprocess.Popen(
        [TWITCHCAT, "db", "query", "SELECT generate_series(1, 100000000)"],
        env=at(database_settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["generate_series", "1"]
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 0


def test_upgrade_sets_a_new_database_up_once(empty_database_settings: DatabaseSettings) -> None:
    env = at(empty_database_settings)
    before = db("query", "SELECT 1", env=env)
    assert (before.returncode, before.stdout) == (7, "")
    assert "run `twitchcat db upgrade`" in before.stderr
    assert db("upgrade", env=env).stdout.startswith("empty → ")
    again = json.loads(db("upgrade", "--json", env=env).stdout)
    assert again["from"] == again["to"]
    assert db("query", "SELECT count(*) FROM frame_index", env=env).returncode == 0


def test_an_unreachable_database_ends_with_exit_code_7_and_keeps_its_password() -> None:
    url = "postgres://ana:hunter2@127.0.0.1:1/twitchcat"
    done = db("query", "SELECT 1", env=environment(TWITCHCAT_DATABASE__URL=url))
    assert done.returncode == 7
    assert done.stderr.startswith("twitchcat: the database cannot be reached: ")
    assert "hunter2" not in done.stderr


def test_url_is_what_other_clients_take(database_settings: DatabaseSettings) -> None:
    assert database_settings.url is not None
    done = db("url", env=at(database_settings))
    assert done.stdout.strip() == database_settings.url.get_secret_value()


def test_shell_gives_psql_the_password_where_nobody_sees_it(
    database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\necho "$@"\necho "$PGPASSWORD"\nexit 3\n')
    psql.chmod(0o755)
    env = at(database_settings) | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = db("shell", "--", "-c", "SELECT 1", env=env)
    arguments, password = done.stdout.splitlines()
    assert arguments.endswith("-c SELECT 1")
    assert ESCAPED not in arguments
    assert password == PASSWORD
    assert done.returncode == 3


def test_shell_may_write(database_settings: DatabaseSettings) -> None:
    env = at(database_settings)
    done = db("shell", "-c", "INSERT INTO categories (id, name) VALUES ('1', 'Chess')", env=env)
    assert (done.returncode, done.stdout) == (0, "INSERT 0 1\n")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_url_keep_holds_the_embedded_server_until_told_to_stop(
    embedded_data_dir: Path, ending: signal.Signals
) -> None:
    env = environment(TWITCHCAT_DATA_DIR=str(embedded_data_dir))
    with subprocess.Popen(
        [TWITCHCAT, "db", "url", "--keep"], env=env, stdout=subprocess.PIPE, text=True
    ) as keeper:
        assert keeper.stdout is not None
        url = keeper.stdout.readline().strip()
        done = db("shell", "-c", "SELECT 'reached'", "--tuples-only", env=env)
        assert done.stdout.strip() == "reached"
        assert url.startswith("postgresql://twitchcat@/twitchcat?host=")
        assert (embedded_data_dir / "postgres" / "postmaster.pid").exists()
        keeper.send_signal(ending)
        assert keeper.wait(timeout=30) == 0
    assert not (embedded_data_dir / "postgres" / "postmaster.pid").exists()


def test_ctrl_c_ends_a_query_at_once(database_settings: DatabaseSettings) -> None:
    sql = "SELECT n FROM (SELECT 1 AS n UNION ALL SELECT 2 FROM pg_sleep(3600)) AS rows"
    env = at(database_settings) | {"TWITCHCAT_DATABASE__STATEMENT_TIMEOUT": "1h"}
    with subprocess.Popen(
        [TWITCHCAT, "db", "query", sql], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watch = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        while not db("query", "--csv", watch, env=env).stdout.endswith("1\n"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) not in {0, 7}
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
