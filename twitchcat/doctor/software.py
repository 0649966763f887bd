"""What is installed: Python, and the packages that twitchcat stands on."""

import importlib
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from twitchcat.doctor.finding import Finding, failure, ok

#: Module and the distributions it may come from. onnxruntime is looked at in a process of its own.
PACKAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("twitchcat", ("twitchcat",)),
    ("streamlink", ("streamlink",)),
    ("cv2", ("opencv-python", "opencv-python-headless", "opencv-contrib-python")),
    ("av", ("av",)),
    ("sqlalchemy", ("sqlalchemy",)),
    ("psycopg2", ("psycopg2-binary", "psycopg2")),
    ("numpy", ("numpy",)),
)
_OPENCV = (
    "Install the libraries that OpenCV needs (Debian, Ubuntu: apt install libgl1 libglib2.0-0 libxcb1),"
    " or opencv-python-headless in its place."
)


def examine_software(packages: Iterable[tuple[str, tuple[str, ...]]] = PACKAGES) -> list[Finding]:
    """Say which Python and packages these are, and name every package that cannot be imported."""
    system = f"{platform.system()} {platform.machine()}"
    findings = [ok("python", f"{platform.python_version()} at {sys.executable}, {system}")]
    usable: list[str] = []
    for module, distributions in packages:
        problem = _import_problem(module)
        if problem is None:
            usable.append(_named(distributions))
        else:
            findings.append(_unusable(module, distributions, problem))
    if usable:
        findings.insert(1, ok("packages", ", ".join(usable)))
    return findings


def _import_problem(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library that it loads by itself
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None


def _named(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return f"{distributions[0]} of unknown version"


def _unusable(module: str, distributions: tuple[str, ...], problem: str) -> Finding:
    missing_library = ".so" in problem
    advice = _OPENCV if module == "cv2" and missing_library else f"Run `pip install {distributions[0]}`."
    return failure(f"package {distributions[0]}", f"cannot be imported: {problem}", advice)
