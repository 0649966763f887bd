"""Says as JSON where onnxruntime can really run: `python -m twitchcat.doctor.probe`.

A program of its own: trying may load gigabytes of CUDA, and where a driver is broken ends the process.
"""

import json
import os
import sys


def probe() -> dict[str, object]:
    """Return {"version", "cuda", "works", "fails"}: CUDA's version it is built for, and providers.

    `fails` says of each provider that is listed but does not work why.
    """
    import onnxruntime

    from twitchcat.recognition.providers import try_providers

    found = try_providers()
    cuda = getattr(onnxruntime.capi.build_and_package_info, "cuda_version", "")
    return {
        "version": onnxruntime.__version__,
        "cuda": cuda,
        "works": list(found.works),
        "fails": dict(found.fails),
    }


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
