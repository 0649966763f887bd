"""onnxruntime: where it can really run, which is not what it lists."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twitchcat.doctor.finding import Finding, failure, ok, warning
from twitchcat.errors import ModelError

_LIMIT_S = 60.0  # loading CUDA from a cold disk takes long
_NVIDIA = Path("/proc/driver/nvidia/version")  # there when the driver is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What the probe found out."""

    version: str
    cuda: str = ""  #: the version it is built for; "": for none
    works: tuple[str, ...] = ()  #: names of execution providers, best first
    fails: Mapping[str, str] = field(default_factory=dict)  #: listed ones that do not work, and why


def examine_runtime() -> list[Finding]:
    """Try every execution provider in a process of its own. Nothing it prints is shown."""
    done = subprocess.run(
        [sys.executable, "-m", "twitchcat.doctor.probe"],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_LIMIT_S,
    )
    advice = "Run `pip install --force-reinstall onnxruntime-gpu`, or `onnxruntime` where there is no GPU."
    if done.returncode != 0 or not done.stdout:
        said = f"it broke down while it was tried (exit status {done.returncode})"
        return [failure("onnxruntime", said, advice, ModelError())]
    found = json.loads(done.stdout)
    if "error" in found:
        return [failure("onnxruntime", f"cannot be used: {found['error']}", advice, ModelError())]
    runtime = Runtime(
        version=found["version"], cuda=found["cuda"], works=tuple(found["works"]), fails=found["fails"]
    )
    return [runtime_finding(runtime, has_gpu=_NVIDIA.exists())]


def runtime_finding(runtime: Runtime, *, has_gpu: bool) -> Finding:
    """Judge where it runs; a GPU that lies idle is worth a warning."""
    works = [_short(provider) for provider in runtime.works]
    said = f"{runtime.version} runs on {', '.join(works)}"
    if not works:
        why = "; ".join(f"{_short(name)}: {reason}" for name, reason in runtime.fails.items())
        advice = "Run `pip install --force-reinstall onnxruntime`."
        return failure("onnxruntime", f"{runtime.version} runs nowhere ({why})", advice, ModelError())
    cuda = runtime.fails.get("CUDAExecutionProvider")
    if has_gpu and cuda is not None:
        needs = f"CUDA {runtime.cuda or 'of its version'} and cuDNN 9"
        advice = f"Install {needs} for the NVIDIA GPU; on the CPU all works, more slowly."
        return warning("onnxruntime", f"{said}, not on the NVIDIA GPU: {cuda}", advice)
    return ok("onnxruntime", said)


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")
