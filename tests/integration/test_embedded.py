"""The embedded server through its life: first use, sharing, crashes of either side, the end."""

import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from twitchcat.config import Settings
from twitchcat.dataset.database import Database, open_database
from twitchcat.dataset.revision import current_revision, head_revision
from twitchcat.errors import StoreError

#: Opens the database of its argument, says so, and holds it until its standard input ends.
OWNER = """
import sys
from pathlib import Path
from sqlalchemy import text
from twitchcat.config import Settings
from twitchcat.dataset.database import open_database
with open_database(Settings(data_dir=Path(sys.argv[1]))) as database:
    with database.begin() as connection:
        print(connection.scalar(text("SELECT count(*) FROM frames")), flush=True)
    sys.stdin.read()
"""


def owner(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that uses the server. Warnings are errors there too."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OWNER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def open_in(data_dir: Path) -> Database:
    return open_database(Settings(data_dir=data_dir))


def count_frames(database: Database) -> int:
    with database.begin() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM frames")) or 0)


def server_process(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0]))


def is_stopped(data_dir: Path) -> bool:
    return not (data_dir / "postgres" / "postmaster.pid").exists()


@pytest.fixture
def set_up(embedded_data_dir: Path, template_data_dir: Path) -> Path:
    """A data directory whose database has been set up, and stopped in good order."""
    shutil.copytree(template_data_dir / "postgres", embedded_data_dir / "postgres")
    owner = (template_data_dir / "postgres").stat()
    for path in [embedded_data_dir / "postgres", *(embedded_data_dir / "postgres").rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    return embedded_data_dir


@pytest.fixture(scope="module")
def template_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("embedded")
    open_in(folder).close()
    yield folder
    shutil.rmtree(folder)


def test_the_first_use_sets_everything_up_and_the_last_handle_stops_the_server(
    embedded_data_dir: Path,
) -> None:
    with open_in(embedded_data_dir) as database, database.begin() as connection:
        assert database.embedded
        assert current_revision(connection) == head_revision()
    assert is_stopped(embedded_data_dir)


def test_nobody_else_on_the_machine_reaches_the_data_or_the_socket(set_up: Path) -> None:
    with open_in(set_up):
        assert stat.S_IMODE((set_up / "postgres").stat().st_mode) == 0o700
        listening = [one for one in server_process(set_up).net_connections() if one.status == "LISTEN"]
        assert listening == []


def test_two_processes_may_start_it_for_the_first_time_at_once(embedded_data_dir: Path) -> None:
    both = [owner(embedded_data_dir), owner(embedded_data_dir)]
    results = [process.communicate(timeout=60) for process in both]
    assert results == [("0\n", ""), ("0\n", "")]
    assert is_stopped(embedded_data_dir)


def test_it_stays_while_another_handle_is_open(set_up: Path) -> None:
    first, second = open_in(set_up), open_in(set_up)
    first.close()
    assert count_frames(second) == 0
    second.close()
    assert is_stopped(set_up)


def test_a_killed_server_is_started_again_by_the_next_call(set_up: Path) -> None:
    with open_in(set_up) as database:
        with database.begin() as connection:
            link = connection.connection.driver_connection
            assert link is not None
            pooled: int = link.fileno()
        server_process(set_up).kill()
        # Its children live a moment longer, and would still answer.
        readable, _, _ = select.select([pooled], [], [], 30)
        assert readable
        assert count_frames(database) == 0


def test_a_call_in_flight_when_the_server_is_killed_fails_with_a_sentence(set_up: Path) -> None:
    def sleep_while_the_server_is_killed(database: Database) -> None:
        with database.begin() as connection:
            server_process(set_up).kill()
            connection.execute(text("SELECT pg_sleep(30)"))

    with open_in(set_up) as database:
        with pytest.raises(StoreError, match=r"^the database"):
            sleep_while_the_server_is_killed(database)
        assert count_frames(database) == 0


def test_the_server_of_a_killed_process_is_used_by_the_next_and_stopped_by_it(set_up: Path) -> None:
    killed = owner(set_up)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "0\n"
    server = server_process(set_up)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert server.is_running()
    with open_in(set_up) as database:
        assert count_frames(database) == 0
        assert server_process(set_up).pid == server.pid
    assert is_stopped(set_up)


def test_a_stale_pid_file_that_names_another_live_process_is_no_obstacle(set_up: Path) -> None:
    (set_up / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{set_up}/postgres\n")
    with open_in(set_up) as database:
        assert count_frames(database) == 0


def test_remains_of_a_process_killed_while_it_made_the_cluster_are_cleared(embedded_data_dir: Path) -> None:
    (embedded_data_dir / "postgres.new-killed").mkdir()
    with open_in(embedded_data_dir) as database:
        assert count_frames(database) == 0
    assert sorted(path.name for path in embedded_data_dir.iterdir()) == [
        "postgres",
        "postgres.lock",
        "postgres.users",
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param('it\'s "my" dàta, $HOME', id="quotes, a comma, spaces and letters beyond ASCII"),
        pytest.param("x" * 120, id="longer than a socket's path may be"),
    ],
)
def test_the_data_directory_may_be_called_anything(embedded_data_dir: Path, name: str) -> None:
    with open_in(embedded_data_dir / name) as database:
        assert count_frames(database) == 0
        folder = Path(str(database.url.sqlalchemy.query["host"]))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert is_stopped(embedded_data_dir / name)
    assert not folder.exists()


def test_a_folder_that_holds_something_else_is_left_alone(embedded_data_dir: Path) -> None:
    (embedded_data_dir / "postgres").mkdir()
    (embedded_data_dir / "postgres" / "letter.txt").write_text("dear diary")
    with pytest.raises(StoreError, match="holds something that is no database"):
        open_in(embedded_data_dir)


def test_a_cluster_of_another_postgres_is_refused_by_name(set_up: Path) -> None:
    (set_up / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(StoreError, match=r"was made by PostgreSQL 12, the installed one is \d+"):
        open_in(set_up)


def test_a_server_that_does_not_start_says_why(set_up: Path) -> None:
    (set_up / "postgres" / "postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(StoreError, match=r'did not start: .*postgresql\.conf" contains errors'):
        open_in(set_up)
    assert is_stopped(set_up)


def test_the_data_directory_of_another_user_is_refused_with_a_sentence(set_up: Path) -> None:
    stranger = f"""
import os, sys
from pathlib import Path
from twitchcat.config import Settings
from twitchcat.dataset.database import open_database
from twitchcat.errors import StoreError
if os.getuid() == 0:
    os.setuid({pwd.getpwnam("nobody").pw_uid})
try:
    open_database(Settings(data_dir=Path(sys.argv[1])))
except StoreError as error:
    print(error)
"""
    set_up.chmod(0o500)
    done = subprocess.run(
        [sys.executable, "-c", stranger, str(set_up)], capture_output=True, text=True, check=True
    )
    set_up.chmod(0o700)
    assert "cannot be used: [Errno 13] Permission denied" in done.stdout
    assert "Set data_dir to a folder of your own" in done.stdout
