"""The wheel alone, away from the source tree, sets a database up: its migrations are inside."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has twitchcat from its wheel, and what it needs from ours."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("twitchcat-*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)
    )
    (site_packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # A path in a .pth file comes after what is installed here, and .pth files in it, an editable
    # installation of the source tree being one, are not read.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def run(*command: str, **env: str) -> str:
    """What the command prints, run away from the source tree and from its owner's settings."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("TWITCHCAT", "PYTHON"))
    }
    done = subprocess.run(
        command, cwd="/", env=clean | env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_nothing_comes_from_the_source_tree(installed: Path) -> None:
    where = "import twitchcat.dataset.revision as r; print(r.__file__); print(r.migrations_folder())"
    for path in run(str(installed / "python"), "-c", where).splitlines():
        assert Path(path).is_relative_to(installed.parent)


def test_db_upgrade_works_on_a_new_machine(installed: Path, embedded_data_dir: Path) -> None:
    twitchcat = str(installed / "twitchcat")
    env = {"TWITCHCAT_DATA_DIR": str(embedded_data_dir)}
    assert run(twitchcat, "db", "upgrade", **env).startswith("empty → 0")
    assert run(twitchcat, "db", "query", "--csv", "SELECT count(*) FROM frame_index", **env) == "count\n0\n"
