"""Where onnxruntime can really run, which is not what it lists, and sessions of it that print nothing."""

import contextlib
import ctypes
import functools
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as raised

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
#: What a model is run on, best first. TensorRT is not among them: it compiles for minutes at every start.
PREFERRED = (CUDA, "CoreMLExecutionProvider", CPU)

#: TensorFloat-32 is wrong in the fourth digit, and a search for the fastest convolution would begin anew for
#: every number of frames.
_OPTIONS = {CUDA: {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}}
_NVIDIA = (Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))  # the driver of Linux, the one of WSL
_FATAL = 4  # what onnxruntime calls its rarest messages; errors come as exceptions as well
_MAX_THREADS = 8  # pictures of the sizes in use gain nothing from more

#: What sessions raise. onnxruntime's own exceptions have no common root.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(one for one in vars(raised).values() if isinstance(one, type) and issubclass(one, Exception)),
)


@dataclass(frozen=True, slots=True)
class Providers:
    """The execution providers that onnxruntime lists, tried."""

    works: tuple[str, ...]  #: best first
    fails: Mapping[str, str]  #: and why


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is loaded, with or without anything that uses it."""
    return any(path.exists() for path in _NVIDIA)


@functools.cache
def working_providers() -> tuple[str, ...]:
    """The providers to run a model on, best first; the CPU is always the last. Found out once.

    Without a driver of NVIDIA, CUDA is not even tried: that would load hundreds of megabytes to no end.
    """
    listed = onnxruntime.get_available_providers()
    wanted = [one for one in PREFERRED if one in listed and (one != CUDA or has_nvidia_driver())]
    return tuple(one for one in wanted if one == CPU or provider_problem(one) is None)


def try_providers() -> Providers:
    """Try every provider that onnxruntime lists.

    That may load gigabytes, and where a driver is broken end the process: `twitchcat doctor` does it in one
    of its own.
    """
    problems = {one: provider_problem(one) for one in onnxruntime.get_available_providers()}
    return Providers(
        works=tuple(one for one, problem in problems.items() if problem is None),
        fails={one: problem for one, problem in problems.items() if problem is not None},
    )


def new_session(
    model: str | bytes, *, providers: Sequence[str], threads: int | None = None
) -> onnxruntime.InferenceSession:
    """Load a model, a path or its bytes, and print nothing. Raises RUNTIME_ERRORS.

    A provider that does not work is passed over for the next; see `session.get_providers()`. `threads` share
    the work of one run; None: one for each core this process may use, 8 at most.
    """
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    # Left to itself it takes every core of the machine, and complains where it may not pin threads to them.
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    # Threads that spin between two runs win microseconds and cost a core for as long as the process lives.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The fallback of its Python code would print on stdout.
    named = [(one, _OPTIONS.get(one, {})) for one in providers]
    return onnxruntime.InferenceSession(model, options, providers=named, enable_fallback=0)


def quiet_run() -> onnxruntime.RunOptions:
    """Options of a run that prints nothing; what goes wrong is raised all the same."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL
    return options


def usable_cores() -> int:
    """The cores this process may use, 8 at most."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, _MAX_THREADS)


def provider_problem(provider: str) -> str | None:
    """Why nothing can run on a provider; None: it works."""
    if provider == CUDA:
        # Finds the libraries of pip's nvidia packages, which no loader looks for; prints what it misses.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    folder = Path(onnxruntime.__file__).parent / "capi"
    return _library_problem(folder, provider) or _session_problem(provider)


def _library_problem(folder: Path, provider: str) -> str | None:
    """Load the provider's own library, if it is one apart: what it needs in turn is then found or named."""
    name = provider.removesuffix("ExecutionProvider").lower()
    library = folder / f"libonnxruntime_providers_{name}.so"
    if not library.exists():
        return None
    try:
        # The provider takes symbols from this one without saying so.
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return None


def _session_problem(provider: str) -> str | None:
    """Run a model on the provider: the libraries may be there and the device not."""
    try:
        session = new_session(identity_model(), providers=[provider], threads=1)
        if provider not in session.get_providers():  # it took the CPU instead
            return "it does not start"
        session.run(None, {"x": np.ones(1, np.float32)}, quiet_run())
    except RUNTIME_ERRORS as error:
        return str(error)
    return None


def identity_model() -> bytes:
    """A model that returns its input `x`, float32 of shape (1,), as `y`.

    Source: onnx.proto, IR version 8, operator set 13.
    """
    shape = _field(1, _field(1, 1))  # dim { dim_value: 1 }
    tensor = _field(1, 1) + _field(2, shape)  # elem_type: FLOAT, shape
    of_type = _field(2, _field(1, tensor))  # type { tensor_type }
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Identity")
    graph = _field(1, node) + _field(2, b"g")
    graph += _field(11, _field(1, b"x") + of_type) + _field(12, _field(1, b"y") + of_type)
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))


def _field(number: int, value: bytes | int) -> bytes:
    """One field of a protobuf message; numbers and lengths below 128 fill one byte."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value
