"""Says as JSON where onnxruntime can really run: `python -m twitchcat.doctor.probe`.

A program of its own, because onnxruntime writes to the standard streams from C++, may load gigabytes of CUDA,
and where a driver is broken ends the process.
"""

import ctypes
import json
import os
import sys
from pathlib import Path


def probe() -> dict[str, object]:
    """Return {"version", "cuda", "works", "fails"}: CUDA's version it is built for, and providers.

    `fails` says of each provider that is listed but does not work why.
    """
    import onnxruntime

    libraries = Path(onnxruntime.__file__).parent / "capi"
    works: list[str] = []
    fails: dict[str, str] = {}
    for provider in onnxruntime.get_available_providers():
        problem = _library_problem(libraries, provider) or _session_problem(provider)
        if problem is None:
            works.append(provider)
        else:
            fails[provider] = problem
    cuda = getattr(onnxruntime.capi.build_and_package_info, "cuda_version", "")
    return {"version": onnxruntime.__version__, "cuda": cuda, "works": works, "fails": fails}


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
    import numpy as np
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(identity_model(), providers=[provider])
        # Asked for one that does not work, onnxruntime says so on stderr and takes the CPU.
        if provider not in session.get_providers():
            return "it does not start"
        session.run(None, {"x": np.ones(1, np.float32)})
    except RuntimeError as error:  # what onnxruntime's own exceptions derive from
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


def main() -> None:
    """Print the answer and nothing else: whatever is written meanwhile goes nowhere."""
    answer = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        found = probe()
    except (ImportError, OSError, RuntimeError) as error:
        found = {"error": str(error)}
    with os.fdopen(answer, "w", encoding="utf-8") as stdout:
        json.dump(found, stdout)


if __name__ == "__main__":
    main()
