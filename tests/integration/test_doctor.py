"""The doctor against what is really there: Postgres, a station, this machine's onnxruntime and disk."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.fixtures.postgres import PASSWORD, USER, PostgresServer
from twitchcat.config import DatabaseSettings, LoadedSettings, Settings
from twitchcat.dataset import revision
from twitchcat.dataset.address import Address
from twitchcat.dataset.database import open_database
from twitchcat.doctor.examine import examine
from twitchcat.doctor.finding import Area, Finding, Level
from twitchcat.errors import ConfigError, RevisionMismatch, StoreError
from twitchcat.station.server import Station


def look(settings: Settings, *areas: Area) -> dict[str, Finding]:
    """Examine these areas under these settings; findings by name."""
    found = examine(LoadedSettings(settings=settings, origins={}, file=None), areas=areas)
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def levels(found: dict[str, Finding]) -> dict[str, str]:
    return {name: str(one.level) for name, one in found.items()}


def test_a_migrated_database_is_in_order(settings: Settings) -> None:
    found = look(settings, Area.DATABASE)
    assert levels(found) == {"database": "ok", "revision": "ok", "pgvector": "ok"}
    assert found["database"].message.startswith("PostgreSQL 18")
    assert settings.database.url is not None
    assert "ss%2Fword" not in found["database"].message


def test_an_empty_database_is_a_failure_that_names_the_command_and_stays_empty(
    empty_database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, database=empty_database_settings)
    found = look(settings, Area.DATABASE)
    assert levels(found) == {"database": "ok", "revision": "failure", "pgvector": "ok"}
    assert found["revision"].advice == "Run `twitchcat db upgrade`."
    assert isinstance(found["revision"].error, RevisionMismatch)
    with open_database(settings, require_current=False) as database, database.begin() as connection:
        assert revision.current_revision(connection) is None


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("postgresql://me:hidden@127.0.0.1:1/x", StoreError, id="nobody listens"),
        pytest.param("postgresql://me:hidden@localhost:port/x", ConfigError, id="no URL"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_failure(
    url: str, kind: type[Exception], tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, database=DatabaseSettings(url=SecretStr(url)))
    found = look(settings, Area.DATABASE)
    assert levels(found) == {"database": "failure"}
    assert isinstance(found["database"].error, kind)
    assert "hidden" not in str(found)


def test_a_password_may_come_from_libpq_s_own_variable_instead_of_the_url(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database.url is not None
    address = Address.parse(settings.database.url.get_secret_value())
    bare = DatabaseSettings(url=SecretStr(address.libpq(password=False)))
    monkeypatch.setenv("PGPASSWORD", address.password or "")
    found = look(settings.model_copy(update={"database": bare}), Area.DATABASE)
    assert found["database"].level is Level.OK


def test_an_owner_who_may_not_put_pgvector_in_is_warned_before_the_upgrade(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    name = postgres_server.create()
    role = f"plain_{name}"
    postgres_server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    try:
        as_superuser, as_owner = (
            Settings(data_dir=tmp_path, database=DatabaseSettings(url=SecretStr(url)))
            for url in (postgres_server.url(name), postgres_server.url(name).replace(USER, role, 1))
        )
        found = look(as_owner, Area.DATABASE)["pgvector"]
        assert found.level is Level.WARNING
        assert "superuser run `CREATE EXTENSION vector`" in (found.advice or "")
        with pytest.raises(StoreError, match="permission denied to create extension"):
            set_up(as_owner)
        with open_database(as_superuser, require_current=False) as database, database.begin() as connection:
            connection.execute(text("CREATE EXTENSION vector"))
        assert look(as_owner, Area.DATABASE)["pgvector"].level is Level.OK
        set_up(as_owner)
    finally:
        postgres_server.drop(name)
        postgres_server.execute(f"DROP ROLE {role}")


def set_up(settings: Settings) -> None:
    with open_database(settings, require_current=False) as database:
        revision.upgrade(database)


def test_without_an_embedded_database_a_trial_says_that_it_would_work_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    found = look(Settings(data_dir=data_dir), Area.DATABASE, Area.STORAGE)
    assert set(levels(found).values()) == {"ok"}
    assert "works in a trial" in found["database"].message
    assert str(data_dir / "postgres") in found["database"].message
    assert not data_dir.exists()


def test_an_embedded_database_behind_is_looked_at_and_not_upgraded(embedded_data_dir: Path) -> None:
    settings = Settings(data_dir=embedded_data_dir)
    with open_database(settings, require_current=False):
        found = look(settings, Area.DATABASE)
    assert levels(found) == {"database": "ok", "revision": "ok", "pgvector": "ok"}
    assert "upgrades it" in found["revision"].message
    with open_database(settings, require_current=False) as database, database.begin() as connection:
        assert revision.current_revision(connection) is None


def test_a_data_directory_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    found = look(Settings(data_dir=file / "below"), Area.STORAGE)
    assert found["data directory"].level is Level.FAILURE
    assert str(file) in found["data directory"].message


@pytest.mark.parametrize(
    "below", [pytest.param("", id="the directory itself"), pytest.param("below", id="one below it")]
)
def test_a_data_directory_of_somebody_else_is_a_failure_and_no_fault_of_ours(
    shut_folder: Path, below: str
) -> None:
    done = as_somebody_else("--only", "database", "--only", "storage", "--json", data_dir=shut_folder / below)
    assert done.returncode == 7, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert found["data directory"]["level"] == found["database"]["level"] == "failure"
    assert "Permission denied" in found["data directory"]["message"]
    assert (
        f"the embedded database in {shut_folder / below / 'postgres'} cannot be used"
        in (found["database"]["message"])
    )
    assert found["database"]["advice"] == found["data directory"]["advice"]
    assert "report this" not in done.stdout


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here in which nothing can be made")
def test_a_data_directory_that_cannot_be_made_is_a_failure_and_its_disk_is_not_counted() -> None:
    found = look(Settings(data_dir=Path("/proc/nope")), Area.STORAGE, Area.DATABASE)
    assert levels(found) == {"data directory": "failure", "database": "failure"}
    assert "/proc/nope" in found["data directory"].message
    assert "cannot be made" in found["database"].message


def test_trying_the_data_directory_leaves_nothing_in_it(tmp_path: Path) -> None:
    found = look(Settings(data_dir=tmp_path), Area.STORAGE)
    assert found["data directory"].message == f"{tmp_path}, writable"
    assert list(tmp_path.iterdir()) == []


def test_a_station_in_place_of_twitch_is_in_order(station_settings: Settings) -> None:
    found = look(station_settings, Area.TWITCH, Area.STREAMS)
    assert levels(found) == dict.fromkeys(("streamlink", "helix", "clock", "credentials", "station"), "ok")
    assert "12 channels" in found["station"].message


def test_wrong_credentials_are_told_and_twitch_is_not_to_blame(station_settings: Settings) -> None:
    wrong = station_settings.twitch.model_copy(update={"client_secret": SecretStr("mistyped")})
    found = look(station_settings.model_copy(update={"twitch": wrong}), Area.TWITCH)
    assert levels(found) == {"helix": "ok", "clock": "ok", "credentials": "failure"}
    assert "invalid client secret" in found["credentials"].message
    assert "mistyped" not in str(found)


@pytest.mark.parametrize(
    "fault",
    [pytest.param("rate_limit:60", id="a minute"), pytest.param("rate_limit", id="again and again")],
)
def test_requests_that_twitch_limits_are_a_warning_though_the_credentials_are_good(
    station: Station, station_settings: Settings, fault: str
) -> None:
    station.set_fault("*", fault)
    begun = datetime.now(UTC)
    found = look(station_settings, Area.TWITCH)
    assert levels(found) == {"helix": "ok", "clock": "ok", "credentials": "ok", "rate limit": "warning"}
    said = re.search(r"until (\d+:\d+:\d+) UTC", found["rate limit"].message)
    assert said is not None
    until = datetime.combine(begun.date(), time.fromisoformat(said[1]), UTC)
    assert (until - begun) % timedelta(days=1) < timedelta(seconds=65)


def test_a_station_that_has_ended_is_a_failure_for_streams_and_helix(tmp_path: Path) -> None:
    gone = {"rewrite": "http://127.0.0.1:1", "helix_url": "http://127.0.0.1:1/helix"}
    settings = Settings.model_validate({"data_dir": tmp_path, "twitch": gone})
    found = look(settings, Area.TWITCH, Area.STREAMS)
    assert levels(found) == {
        "streamlink": "ok",
        "helix": "failure",
        "clock": "warning",
        "credentials": "warning",
        "station": "failure",
    }
    assert "twitchcat station" in (found["station"].advice or "")


def test_onnxruntime_and_decoding_work_here(tmp_path: Path) -> None:
    found = look(Settings(data_dir=tmp_path), Area.SOFTWARE, Area.MODEL)
    assert {"python", "packages", "decoding", "onnxruntime"} == set(found)
    assert all(one.level is not Level.FAILURE for one in found.values())
    assert "CPU" in found["onnxruntime"].message


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, with no setting but these."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TWITCHCAT_")}
    return subprocess.run(
        [sys.executable, "-c", "from twitchcat.cli import main; main()", "doctor", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=env | environment,
        timeout=60,
    )


@pytest.fixture
def shut_folder() -> Iterator[Path]:
    """A folder with a database in it that only its owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="twitchcat-data-"))
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").touch()
    folder.chmod(0o700 if os.geteuid() == 0 else 0)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def as_somebody_else(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with this data directory, as root without the rights of root."""
    # In a process that has imported everything already: the packages may be where only root can read them.
    code = f"""
import os, sys
from twitchcat.cli import main
import twitchcat.doctor.database, twitchcat.doctor.storage, twitchcat.dataset.binaries
import rich.console, rich.progress, psycopg2, sqlalchemy.dialects.postgresql.psycopg2
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.argv = ["twitchcat", "doctor", *{list(arguments)!r}]
main()
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TWITCHCAT_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**env, "TWITCHCAT_DATA_DIR": str(data_dir)},
        timeout=60,
    )


def test_the_command_prints_one_json_object_and_nothing_else(tmp_path: Path) -> None:
    done = doctor("--only", "model", "--only", "storage", "--json", TWITCHCAT_DATA_DIR=str(tmp_path))
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0
    assert done.stderr == ""
    assert report["ok"] is True
    assert [one["name"] for one in report["findings"]] == ["onnxruntime", "data directory", "disk"]
    assert set(report["findings"][0]) == {"name", "level", "message", "advice"}


def test_broken_settings_are_a_finding_with_their_exit_code_and_the_rest_still_runs() -> None:
    done = doctor("--only", "streams", "--json", TWITCHCAT_CAPTUER__VARIANT="360p")
    report = json.loads(done.stdout)
    assert done.returncode == 2
    assert report["ok"] is False
    assert [(one["name"], one["level"]) for one in report["findings"]] == [
        ("settings", "failure"),
        ("streamlink", "ok"),
    ]
    assert "TWITCHCAT_CAPTURE__VARIANT" in report["findings"][0]["message"]


def test_an_unreachable_database_has_its_exit_code_and_a_line_with_what_to_do() -> None:
    done = doctor("--only", "database", TWITCHCAT_DATABASE__URL="postgresql://me:hidden@127.0.0.1:1/x")
    assert done.returncode == 7
    assert done.stdout.startswith("failure  database  ")
    assert " -> " in done.stdout
    assert "hidden" not in done.stdout + done.stderr
