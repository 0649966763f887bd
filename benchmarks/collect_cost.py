"""What one stored frame costs: twitchcat, the forerunner's way and the floor, on one set of segments.

    python benchmarks/collect_cost.py [--json] [CLIP ...]

A ladder of 1080p60, 360p30 and 160p30 is made from clips and served with ranges by another process on
loopback, without TLS. Each way fetches every segment and writes one JPEG of each; the database is left out.

- twitchcat: the bytes of one keyframe by ranges, decoded in memory, checked (blank, frozen, near-identical),
  scaled to the default height, compressed. What it learns of sizes starts anew in every repeat.
- the forerunner (TwitchCategory): the whole segment of the best rendition, a temporary file, the
  VideoCapture of OpenCV, 240 by 240, imwrite.
- the floor: the H.264 bytes of the 360p keyframe alone, without container or network; one decode of it and
  one JPEG.

CPU is that of this process, all threads. Exits 1 if twitchcat's claims do not hold.
"""

import argparse
import functools
import json
import multiprocessing
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import requests
from ladder import TWITCH, write_ladder
from rich.console import Console
from rich.table import Table

import twitchcat
from twitchcat.config import CaptureSettings, ImageSettings
from twitchcat.frames.keyframe import RangeSizes, decode_keyframe, fetch_keyframe
from twitchcat.frames.picture import (
    encode_jpeg,
    luma_deviation,
    perceptual_hash,
    scale_to_height,
    thumbprint,
)

FEWER_BYTES, LESS_CPU, OVER_FLOOR = 20, 5, 1.4  # what is claimed
IMAGES = ImageSettings()
FIRST_RANGE = CaptureSettings().first_range


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request returned."""

    data: bytes
    start: int
    total: int | None


class Remote:
    """One segment behind HTTP ranges."""

    def __init__(self, session: requests.Session, address: str) -> None:
        self.session, self.address, self.requests = session, address, 0

    def read(self, start: int, stop: int) -> Piece:
        self.requests += 1
        response = self.session.get(self.address, headers={"Range": f"bytes={start}-{stop - 1}"}, timeout=10)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return Piece(b"", start, None)
        response.raise_for_status()
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        ranged = response.status_code == requests.codes.partial_content
        return Piece(response.content, start if ranged else 0, int(total) if total.isdigit() else None)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one pass over all segments took."""

    frames: int
    bytes: int
    requests: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """One way of storing frames, per stored frame: the median of the repeats."""

    way: str
    frames: int
    bytes_per_frame: float
    requests_per_frame: float
    cpu_ms_per_frame: float
    wall_ms_per_frame: float


def twitchcat_way(session: requests.Session, addresses: Sequence[str], folder: Path) -> tuple[int, int]:
    """Fetch, check and store a keyframe of each segment; return bytes and requests."""
    sizes, fetched, asked = RangeSizes(FIRST_RANGE), 0, 0
    for i, address in enumerate(addresses):
        source = Remote(session, address)
        keyframe = fetch_keyframe(source, sizes=sizes)
        picture = scale_to_height(keyframe.rgb, IMAGES.height)
        luma_deviation(picture), thumbprint(picture), perceptual_hash(picture)
        (folder / f"{i}.jpg").write_bytes(encode_jpeg(picture, quality=IMAGES.quality))
        fetched += keyframe.bytes_fetched
        asked += source.requests
    return fetched, asked


def forerunner_way(session: requests.Session, addresses: Sequence[str], folder: Path) -> tuple[int, int]:
    """Fetch each segment whole and store its first picture; return bytes and requests."""
    fetched = 0
    for i, address in enumerate(addresses):
        response = session.get(address, timeout=10)
        response.raise_for_status()
        with tempfile.NamedTemporaryFile(suffix=".ts", dir=folder) as file:
            file.write(response.content)
            file.flush()
            video = cv2.VideoCapture(file.name)
            done, bgr = video.read()
            video.release()
        assert done
        cv2.imwrite(str(folder / f"{i}.jpg"), cv2.resize(bgr, (240, 240)))
        fetched += len(response.content)
    return fetched, len(addresses)


def floor_way(keyframes: Sequence[bytes], folder: Path, own_bytes: int) -> tuple[int, int]:
    """Decode and compress keyframes that are already here; return their own bytes, and no request."""
    for i, data in enumerate(keyframes):
        (folder / f"{i}.jpg").write_bytes(encode_jpeg(decode_keyframe(data), quality=IMAGES.quality))
    return own_bytes, 0


def own_bytes(segment: Path) -> int:
    """Count the H.264 bytes of a segment's first keyframe."""
    with av.open(str(segment), "r") as container:
        return next(packet.size for packet in container.demux(video=0) if packet.is_keyframe)


def keyframe_alone(segment: Path) -> bytes:
    """Return a segment's bytes up to where its first keyframe is whole."""

    class OnDisk:
        def read(self, start: int, stop: int) -> Piece:
            return Piece(segment.read_bytes()[start:stop], start, segment.stat().st_size)

    return segment.read_bytes()[: fetch_keyframe(OnDisk(), sizes=RangeSizes()).end]


def serve(folder: Path, port: int) -> None:
    """Serve a folder on loopback, with ranges."""
    import uvicorn
    from starlette.staticfiles import StaticFiles

    uvicorn.run(
        StaticFiles(directory=folder), host="127.0.0.1", port=port, log_level="error", access_log=False
    )


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve a folder from another process; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, port), daemon=True)
    process.start()
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError("the server did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join(10)


def measure(way: Callable[[Path], tuple[int, int]], frames: int, folder: Path) -> Cost:
    """Run one pass of a way."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    wall, cpu = time.perf_counter(), time.process_time()
    fetched, asked = way(folder)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert len(list(folder.glob("*.jpg"))) == frames
    return Cost(frames=frames, bytes=fetched, requests=asked, cpu_s=cpu, wall_s=wall)


def summarise(way: str, costs: Sequence[Cost]) -> Row:
    """Take the medians of a way's repeats."""

    def per_frame(values: Iterator[float]) -> float:
        return statistics.median(values) / costs[0].frames

    return Row(
        way=way,
        frames=costs[0].frames,
        bytes_per_frame=per_frame(float(cost.bytes) for cost in costs),
        requests_per_frame=per_frame(float(cost.requests) for cost in costs),
        cpu_ms_per_frame=1000 * per_frame(cost.cpu_s for cost in costs),
        wall_ms_per_frame=1000 * per_frame(cost.wall_s for cost in costs),
    )


def run(clips: Sequence[Path], *, seconds: int, repeats: int) -> list[Row]:
    """Make the ladder, measure every way `repeats` times in turn after one pass that does not count."""
    with tempfile.TemporaryDirectory(prefix="twitchcat-cost-") as name:
        folder = Path(name)
        ladder = write_ladder(clips, TWITCH, seconds=seconds, into=folder / "ladder")
        default = ladder["360p30"]
        alone = [keyframe_alone(segment) for segment in default]
        own = sum(own_bytes(segment) for segment in default)
        with server(folder / "ladder") as address, requests.Session() as session:

            def addresses(rendition: str) -> list[str]:
                return [f"{address}/{rendition}/{segment.name}" for segment in ladder[rendition]]

            ways: dict[str, Callable[[Path], tuple[int, int]]] = {
                "forerunner, 1080p60": functools.partial(forerunner_way, session, addresses("1080p60")),
                "twitchcat, 1080p60": functools.partial(twitchcat_way, session, addresses("1080p60")),
                "twitchcat, 360p30 (default)": functools.partial(twitchcat_way, session, addresses("360p30")),
                "twitchcat, 160p30": functools.partial(twitchcat_way, session, addresses("160p30")),
                "floor, 360p30": functools.partial(floor_way, alone, own_bytes=own),
            }
            costs: dict[str, list[Cost]] = {way: [] for way in ways}
            for repeat in range(repeats + 1):
                for way, do in ways.items():
                    cost = measure(do, len(default), folder / "images")
                    if repeat:
                        costs[way].append(cost)
    return [summarise(way, costs[way]) for way in ways]


def verdict(rows: Sequence[Row]) -> dict[str, float | bool]:
    """Compare twitchcat's default with the forerunner's way and with the floor."""
    forerunner = next(row for row in rows if row.way.startswith("forerunner"))
    default = next(row for row in rows if row.way.endswith("(default)"))
    floor = next(row for row in rows if row.way.startswith("floor"))
    fewer = forerunner.bytes_per_frame / default.bytes_per_frame
    less = forerunner.cpu_ms_per_frame / default.cpu_ms_per_frame
    over = default.bytes_per_frame / floor.bytes_per_frame
    return {
        "times_fewer_bytes": round(fewer, 1),
        "times_less_cpu": round(less, 1),
        "bytes_over_floor": round(over, 3),
        "cpu_over_floor": round(default.cpu_ms_per_frame / floor.cpu_ms_per_frame, 2),
        "holds": fewer >= FEWER_BYTES and less >= LESS_CPU and over <= OVER_FLOOR,
    }


def show(rows: Sequence[Row], result: dict[str, float | bool]) -> None:
    """Print the table and what follows from it."""
    table = Table(title="Cost of one stored frame")
    table.add_column("way")
    for heading in ("frames", "bytes", "requests", "CPU ms", "wall ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.way,
            str(row.frames),
            f"{row.bytes_per_frame:,.0f}",
            f"{row.requests_per_frame:.2f}",
            f"{row.cpu_ms_per_frame:.1f}",
            f"{row.wall_ms_per_frame:.1f}",
        )
    console = Console(width=100)
    console.print(table)
    console.print(
        f"{result['times_fewer_bytes']} times fewer bytes (claimed: {FEWER_BYTES}), "
        f"{result['times_less_cpu']} times less CPU (claimed: {LESS_CPU}), "
        f"{result['bytes_over_floor']} times the floor's bytes (claimed: at most {OVER_FLOOR}): "
        + ("holds" if result["holds"] else "DOES NOT HOLD"),
        highlight=False,
    )


def packaged_clips() -> list[Path]:
    """One clip of each of five categories that ship with twitchcat."""
    folder = Path(twitchcat.__file__).parent / "station" / "clips"
    return [min(category.glob("*.mp4")) for category in sorted(folder.iterdir()) if category.is_dir()][:5]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="*", type=Path, help="videos; default: five of those in the package")
    parser.add_argument("--seconds", type=int, default=8, help="of each clip")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = run(options.clips or packaged_clips(), seconds=options.seconds, repeats=options.repeats)
    result = verdict(rows)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], **result}, indent=2))
    else:
        show(rows, result)
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
