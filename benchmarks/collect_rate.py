"""How many frames per second one machine collects, and what stops it from more.

Forty channels play on a station, a process of its own; `twitchcat collect`, another, fetches, decodes, sifts,
encodes and stores their frames in an embedded Postgres, for real and durably. Every picture is different: the
packaged clips with a moving mark and a number drawn over them, so that no image is stored twice.

Forty channels bring only twenty new keyframes a second, fewer than are collected here. So every channel is
visited once and its whole playlist window of a minute is taken: 1,200 frames in one go.

    python benchmarks/collect_rate.py [--json] [--channels 40]

The rate counts from the first listing of channels to the last commit. CPU is read from each process, so the
bottleneck is measured: which process used how much of the machine's cores, and what a step of a frame costs.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from twitchcat.dataset.images import ImageStore
from twitchcat.dataset.sift import Sieve
from twitchcat.frames.keyframe import decode_keyframe
from twitchcat.frames.picture import encode_jpeg, scale_to_height

CLIPS = Path(__file__).parents[1] / "twitchcat" / "station" / "clips"
RATE = 15  # pictures per second of the clips
GOP = 30  # pictures, two seconds: one keyframe per segment, as on Twitch


@dataclass(slots=True)
class Usage:
    """What one process used."""

    cpu_s: float = 0.0
    peak_rss: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured."""

    channels: int
    cores: int
    frames: int
    seconds: float
    frames_per_s: float
    bytes_per_frame: float
    cpu_s: dict[str, float]
    cores_used: dict[str, float]
    peak_rss_mb: dict[str, float]
    steps_ms: dict[str, float]
    bottleneck: str


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--channels", type=int, default=40)
    options.add_argument("--clip-seconds", type=int, default=60, help="of each channel's window")
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="collect-rate-") as folder:
        root = Path(folder)
        make_channels(root / "videos", count=arguments.channels, seconds=arguments.clip_seconds)
        steps = step_costs(root)
        with station(root / "videos", window=arguments.clip_seconds * RATE // GOP) as (process, settings):
            result = collect(root / "data", settings, process, arguments, steps)
    if arguments.json:
        print(json.dumps(asdict(result)))
    else:
        show(result)


def make_channels(folder: Path, *, count: int, seconds: int) -> None:
    """Write `count` videos whose pictures are all different."""
    clips = sorted(CLIPS.glob("*/*.mp4"))
    for number in range(count):
        clip = clips[number % len(clips)]
        target = folder / clip.parent.name / f"channel_{number:03}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(target), "w") as output:
            stream = output.add_stream("libx264", rate=RATE)
            stream.options = {"preset": "ultrafast", "x264-params": f"keyint={GOP}:scenecut=0"}
            stream.bit_rate = 700_000
            for index, picture in enumerate(pictures(clip, seconds * RATE)):
                if index == 0:
                    stream.height, stream.width = picture.shape[:2]
                mark(picture, number, index)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode(None))


def pictures(clip: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """`count` pictures of a clip, from the start again when it ends; (H, W, 3) uint8 RGB."""
    given = 0
    while given < count:
        with av.open(str(clip)) as source:
            for frame in source.decode(video=0):
                if given == count:
                    return
                yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                given += 1


def mark(picture: NDArray[np.uint8], number: int, index: int) -> None:
    """Draw what makes a picture different from all others."""
    cv2.putText(picture, f"{number} {index}", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 0), 4)
    left = (index * 7 + number * 31) % (picture.shape[1] - 60)
    picture[-60:, left : left + 60] = (number * 6 % 256, index * 3 % 256, 200)


@contextmanager
def station(folder: Path, *, window: int) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A station in a process of its own, and the settings that lead to it."""
    command = [tool(), "station", str(folder), "--port", "0", "--window", str(window), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        settings = json.loads(process.stdout.readline())["settings"]["twitch"]
        try:
            yield process, settings
        finally:
            process.terminate()


def tool() -> str:
    """The installed command."""
    return str(Path(sys.executable).parent / "twitchcat")


def collect(
    data: Path,
    twitch: dict[str, str],
    station_process: subprocess.Popen[str],
    arguments: argparse.Namespace,
    steps: dict[str, float],
) -> Result:
    """Run `twitchcat collect` and watch what it and the others use."""
    settings = {
        **{f"TWITCH__{key.upper()}": value for key, value in twitch.items()},
        "TWITCH__RESOLVES_PER_SECOND": "1000",
        "TWITCH__REQUESTS_PER_SECOND": "1000",
        "COLLECT__GAMES_ONLY": "false",
        "COLLECT__PER_CATEGORY": "1000000",
        "COLLECT__CHANNEL_SHARE": "1",
        "COLLECT__NEAR_IDENTICAL": "-1",
        "CAPTURE__FRAMES": str(arguments.clip_seconds * RATE // GOP),
    }
    environment = os.environ | {f"TWITCHCAT_{key}": value for key, value in settings.items()}
    command = [tool(), "--data-dir", str(data), "collect", "--once", "--json"]
    usage = {"collect": Usage(), "station": Usage(), "postgres": Usage()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, station_process.pid, data, usage, done))
        watcher.start()
        lines = [json.loads(line) for line in process.stdout]
        done.set()
        watcher.join()
    summary = lines[-1]
    if process.returncode != 0 or summary["visits"] != {"kept": arguments.channels}:
        raise SystemExit(f"collect ended with {process.returncode}: {summary}")
    frames, seconds = summary["frames"], summary["seconds"]
    cores = os.cpu_count() or 1
    used = {name: one.cpu_s / seconds for name, one in usage.items()}
    return Result(
        channels=arguments.channels,
        cores=cores,
        frames=frames,
        seconds=round(seconds, 2),
        frames_per_s=round(frames / seconds, 1),
        bytes_per_frame=round(summary["bytes_fetched"] / frames),
        cpu_s={name: round(one.cpu_s, 2) for name, one in usage.items()},
        cores_used={name: round(share, 2) for name, share in used.items()},
        peak_rss_mb={name: round(one.peak_rss / 2**20, 1) for name, one in usage.items()},
        steps_ms=steps,
        bottleneck=bottleneck(used, cores),
    )


def watch(
    collect_pid: int, station_pid: int, data: Path, usage: dict[str, Usage], done: threading.Event
) -> None:
    """Follow CPU and memory of the processes until done."""
    seen: dict[psutil.Process, float] = {}
    first_station = cpu(psutil.Process(station_pid))
    while not done.wait(0.2):
        for name, pid in (("collect", collect_pid), ("station", station_pid)):
            try:
                process = psutil.Process(pid)
                total, rss = cpu(process), process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            usage[name].cpu_s = total - (first_station if name == "station" else 0.0)
            usage[name].peak_rss = max(usage[name].peak_rss, rss)
        rss = 0
        for process in postgres(data):
            try:
                seen[process] = cpu(process)
                rss += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        usage["postgres"].cpu_s = sum(seen.values())
        usage["postgres"].peak_rss = max(usage["postgres"].peak_rss, rss)


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def postgres(data: Path) -> list[psutil.Process]:
    """The processes of the embedded server; shared memory counts in each of them."""
    pid_file = data / "postgres" / "postmaster.pid"
    try:
        server = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
        return [server, *server.children()]
    except (OSError, ValueError, psutil.NoSuchProcess):
        return []


def step_costs(root: Path) -> dict[str, float]:
    """Milliseconds of CPU of each step that a frame takes here after it was fetched."""
    clip = next((root / "videos").glob("*/*.mp4"))
    video = first_segment(clip)
    rgb = decode_keyframe(video)
    sieve = Sieve([], blank=6.0, near_identical=3)
    store = ImageStore(root / "steps")
    jpegs = iter([encode_jpeg(rgb + np.uint8(n), quality=90) for n in range(41)])
    return {
        "decode": per_call(lambda: decode_keyframe(video)),
        "scale": per_call(lambda: scale_to_height(rgb, 360)),
        "sift": per_call(lambda: sieve.sift(rgb)),
        "encode": per_call(lambda: encode_jpeg(rgb, quality=90)),
        "store (fsync, 1 image)": per_call(lambda: store.put([next(jpegs)])),
    }


def first_segment(clip: Path) -> bytes:
    """The first group of pictures of a clip as an MPEG-TS segment."""
    segment = io.BytesIO()
    with av.open(str(clip)) as source, av.open(segment, "w", format="mpegts") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux(video=0)):
            if packet.dts is None or (packet.is_keyframe and index):
                break
            packet.stream = stream
            output.mux(packet)
    return segment.getvalue()


def per_call(call: Any, repeats: int = 40) -> float:
    """Median milliseconds of CPU of one call."""
    call()
    costs = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        costs.append(time.process_time() - began)
    return round(1000 * sorted(costs)[repeats // 2], 2)


def bottleneck(used: dict[str, float], cores: int) -> str:
    """What keeps the rate from rising, by what was used."""
    total = sum(used.values())
    if total >= 0.85 * cores:
        share = ", ".join(f"{name} {value / total:.0%}" for name, value in used.items())
        return f"the CPU: {total:.2f} of {cores} cores are busy ({share})"
    if used["collect"] >= 0.9:
        return f"the collector's interpreter lock: it uses {used['collect']:.2f} cores and leaves others idle"
    return f"waiting: only {total:.2f} of {cores} cores are busy; new segments, the network or the disk"


def show(result: Result) -> None:
    """Print the result as tables."""
    console = Console(highlight=False)
    console.print(
        f"[bold]{result.frames_per_s} stored frames per second[/bold] from {result.channels} channels: "
        f"{result.frames} in {result.seconds} s, {result.bytes_per_frame / 1000:.1f} kB fetched per frame"
    )
    table = Table("Process", "CPU s", "Cores", "Peak RSS, MB", box=None)
    for name, seconds in result.cpu_s.items():
        table.add_row(name, f"{seconds}", f"{result.cores_used[name]}", f"{result.peak_rss_mb[name]}")
    console.print(table)
    console.print("Steps of a frame, ms of CPU: " + ", ".join(f"{k} {v}" for k, v in result.steps_ms.items()))
    console.print(f"Bottleneck: {result.bottleneck}")


if __name__ == "__main__":
    main()
