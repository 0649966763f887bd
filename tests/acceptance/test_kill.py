"""A collect that is killed at any moment leaves at worst images without rows, and the next one works."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.fixtures.cli import Command, as_variables, events
from tests.fixtures.collecting import QUICK
from twitchcat.config import Settings
from twitchcat.dataset.collect import image_store
from twitchcat.dataset.database import Database, open_database
from twitchcat.dataset.sync import SyncReport, sync
from twitchcat.station.server import Station

KILLS = 20
SEED = 20261121
#: The station's time runs this much faster, so that there are new segments at every moment.
FASTER = 10.0


@pytest.fixture
def busy(
    start_station: Callable[..., Station], embedded_data_dir: Path, tmp_path: Path
) -> Iterator[tuple[Command, Settings]]:
    """The command with an embedded database, and a station at which there is always something to collect."""
    began = time.time()
    station = start_station(channels=24, clock=lambda: began + FASTER * (time.time() - began))
    settings = Settings.model_validate(
        {
            "data_dir": embedded_data_dir,
            "twitch": {**QUICK["twitch"], **station.settings()["twitch"]},
            "capture": {**QUICK["capture"], "channels": 8, "frames": 8},
            "collect": {**QUICK["collect"], "per_category": 1_000_000},
        }
    )
    yield Command(tmp_path, as_variables(settings)), settings
    _end_server(embedded_data_dir)


def server_pid(data_dir: Path) -> int | None:
    """The embedded server's process, None if it does not run."""
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return None


def _end_server(data_dir: Path) -> None:
    """Stop a server that killed processes have left behind."""
    with open_database(Settings(data_dir=data_dir)):
        pass
    assert server_pid(data_dir) is None


def kill_amid_visits(command: Command, *, visits: int, after_s: float) -> None:
    """Start a collect, and kill it so long after so many visits that kept frames."""
    with command.start("collect", "--json") as process:
        kept = 0
        for event in events(process):
            kept += event.get("frames", 0) > 0
            if kept >= visits:
                break
        else:
            pytest.fail(f"it ended by itself: {process.stderr.read() if process.stderr else ''}")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=after_s)
        process.kill()
        assert process.wait() == -signal.SIGKILL


def agree(settings: Settings, database: Database) -> int:
    """Hold rows and files against each other, and the sync's dry run against that; how many orphans."""
    store = image_store(settings)
    # First, since it waits for transactions that the killed process has left in the server's hands.
    report = sync(database, store, settings.retention, dry_run=True)
    with database.begin() as connection:
        rows = set(connection.execute(text("SELECT path FROM frames")).scalars())
    files = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*/*") if path.is_file()}
    assert rows - files == set(), "a row without its image"
    orphans = len(files - rows)
    assert report == SyncReport(images_without_row=orphans)
    return orphans


def test_killed_at_twenty_random_moments_nothing_is_half_stored(busy: tuple[Command, Settings]) -> None:
    command, settings = busy
    moments = random.Random(SEED)
    with open_database(settings) as database:  # it also spares a start of the server for each time
        for _ in range(KILLS):
            kill_amid_visits(command, visits=moments.randint(1, 4), after_s=moments.uniform(0.0, 0.2))
            orphans = agree(settings, database)

        told = command.json("dataset", "sync", "--dry-run", "--json")
        assert told["images_without_row"] == orphans
        repaired = command.json("dataset", "sync", "--deep", "--json")
        assert repaired == {**told, "removed": orphans}
        assert agree(settings, database) == 0
        before = command.json("dataset", "info", "--json")
        done = command.run("collect", "--once", "--json")
        assert done.returncode == 0, done.stderr
        after = command.json("dataset", "info", "--json")
        assert after["frames"] > before["frames"] > 0
        assert agree(settings, database) == 0


def test_the_embedded_server_comes_back_when_everything_was_killed(busy: tuple[Command, Settings]) -> None:
    command, settings = busy
    for _ in range(2):
        kill_amid_visits(command, visits=2, after_s=0.05)
        pid = server_pid(settings.data_dir)
        assert pid is not None, "the server outlives a process that was killed"
        os.kill(pid, signal.SIGKILL)
    assert command.run("collect", "--once").returncode == 0
    with open_database(settings) as database:
        agree(settings, database)


def test_a_collect_goes_on_when_its_server_is_killed(busy: tuple[Command, Settings]) -> None:
    command, settings = busy
    with command.start("collect", "--json") as process:
        lines = events(process)
        next(event for event in lines if event.get("frames"))
        pid = server_pid(settings.data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        next(event for event in lines if event["event"] == "waiting")
        next(event for event in lines if event.get("frames"))
        process.send_signal(signal.SIGINT)
        *_, summary = lines
        assert summary["event"] == "summary"
        assert process.wait(timeout=30) == 0
    with open_database(settings) as database:
        agree(settings, database)
