"""What is installed: Python, the packages that twitchcat stands on, and the codecs inside PyAV."""

import importlib
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from twitchcat.doctor.finding import Finding, failure, ok, warning

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


def examine_decoding() -> list[Finding]:
    """Make a tiny video in memory and decode its keyframe as collecting does."""
    from av.codec import Codec  # noqa: PLC0415 - without PyAV this check fails alone
    from av.codec.codec import UnknownCodecError  # noqa: PLC0415

    def has(name: str, mode: str) -> bool:
        try:
            Codec(name, mode)
        except UnknownCodecError:
            return False
        return True

    reinstall = "Reinstall PyAV from its wheel: `pip install --force-reinstall --only-binary=:all: av`."
    if not has("h264", "r"):
        return [failure("decoding", "PyAV here cannot decode H.264, which Twitch sends", reinstall)]
    if not has("libx264", "w"):
        said = "PyAV here cannot encode H.264, so `station` and `demo` do not work; decoding was not tried"
        return [warning("decoding", said, reinstall)]
    height, width = _round_trip()
    return [ok("decoding", f"an H.264 keyframe of {width}×{height} came back from MPEG-TS")]


def _round_trip() -> tuple[int, int]:
    """Encode two pictures and return the height and width of the keyframe that is decoded from them.

    Raises SegmentUnreadable if none is.
    """
    import io  # noqa: PLC0415
    from fractions import Fraction  # noqa: PLC0415

    import av  # noqa: PLC0415 - see `examine_decoding`
    import numpy as np  # noqa: PLC0415

    from twitchcat.frames.keyframe import decode_keyframe  # noqa: PLC0415

    segment = io.BytesIO()
    with av.open(segment, "w", format="mpegts") as output:
        stream = output.add_stream("libx264", rate=15, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for n in range(2):
            picture = av.VideoFrame.from_ndarray(np.full((90, 160, 3), 90 * n, np.uint8), format="rgb24")
            picture.pts, picture.time_base = n, Fraction(1, 15)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    height, width, _ = decode_keyframe(segment.getvalue()).shape
    return height, width
