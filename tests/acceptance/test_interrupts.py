"""Ctrl-C and SIGTERM, whenever they come: one line at most, and nothing left running or lying about."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.fixtures.cli import TWITCHCAT, Command, as_variables, environment, events
from tests.fixtures.collecting import Collecting
from twitchcat.cli import INTERRUPTED

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])


def servers_of(folder: Path) -> list[psutil.Process]:
    """The PostgreSQL servers whose data is below the folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres"
        # A zombie has no command line.
        and any(str(folder) in it for it in process.info["cmdline"] or ())
    ]


@BOTH
def test_the_second_signal_ends_a_collect_at_once_and_still_stops_its_server(
    number: signal.Signals, embedded_data_dir: Path, command: Command, collecting: Collecting
) -> None:
    collecting.configure(twitch={"timeout": 50})
    command.variables = as_variables(collecting.settings)
    del command.variables["TWITCHCAT_DATABASE__URL"]
    command.variables["TWITCHCAT_DATA_DIR"] = str(embedded_data_dir)
    collecting.station.set_fault("chess_s1", "stalled")
    with command.start("collect", "--category", "Chess", "--json") as process:
        next(events(process))  # of chess_s2; the other visit takes its 50 s
        assert (embedded_data_dir / "postgres" / "postmaster.pid").exists()
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(number)
        assert process.wait(timeout=10) == INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == "twitchcat: interrupted\n"
    assert not (embedded_data_dir / "postgres" / "postmaster.pid").exists()


def test_two_signals_leave_nothing_of_a_demo(embedded_data_dir: Path, command: Command) -> None:
    command.variables["TMPDIR"] = str(embedded_data_dir)
    with command.start("demo") as process:
        assert process.stderr is not None
        assert "kept" in process.stderr.readline()
        assert servers_of(embedded_data_dir)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
        assert process.wait(timeout=15) in {0, INTERRUPTED}  # 0: both had come when the first was answered
    assert list(embedded_data_dir.iterdir()) == []
    assert servers_of(embedded_data_dir) == []


#: Sends the process a signal as soon as it imports the module of the second argument.
INTERRUPTING = """
import os, sys
number, module = int(sys.argv[1]), sys.argv[2]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)
from twitchcat.cli import main
sys.meta_path.insert(0, Finder())
sys.argv = ["twitchcat", "dataset", "info"]
main()
"""


@BOTH
@pytest.mark.parametrize("module", ["typer", "twitchcat.cli.app", "sqlalchemy", "twitchcat.dataset.info"])
def test_a_signal_while_modules_are_imported_is_one_line(
    number: signal.Signals, module: str, tmp_path: Path, command: Command
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, str(number.value), module],
        cwd=tmp_path,
        env=environment(**command.variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "twitchcat: interrupted\n")


# Output that cannot be written


@pytest.mark.parametrize("arguments", [["config", "show"], ["config", "show", "--json"], ["--help"]])
def test_a_full_disk_below_the_output_is_one_line(arguments: list[str], command: Command) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [TWITCHCAT, *arguments],
            env=environment(**command.variables),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "twitchcat: the output cannot be written: No space left on device\n"


def test_an_output_that_is_closed_is_one_line(command: Command) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" config show >&-', TWITCHCAT],
        env=environment(**command.variables),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "twitchcat: the output cannot be written: it is closed\n"
