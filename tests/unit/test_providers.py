"""Where onnxruntime runs."""

import os

import onnxruntime
import pytest

from twitchcat.recognition import providers
from twitchcat.recognition.providers import (
    CPU,
    CUDA,
    RUNTIME_ERRORS,
    identity_model,
    new_session,
    usable_cores,
    working_providers,
)


def test_the_cpu_is_always_there_and_last() -> None:
    assert working_providers()[-1] == CPU
    assert set(working_providers()) <= set(onnxruntime.get_available_providers())


@pytest.mark.parametrize(
    ("driver", "problem", "expected"),
    [
        pytest.param(False, None, (CPU,), id="without a driver CUDA is not tried"),
        pytest.param(True, "no cublas", (CPU,), id="a driver, and libraries missing"),
        pytest.param(True, None, (CUDA, CPU), id="all is there"),
    ],
)
def test_only_what_works_is_asked_for(
    driver: bool, problem: str | None, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def try_one(provider: str) -> str | None:
        tried.append(provider)
        return problem

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["Tensorrt…", CUDA, CPU])
    monkeypatch.setattr(providers, "has_nvidia_driver", lambda: driver)
    monkeypatch.setattr(providers, "provider_problem", try_one)
    assert working_providers.__wrapped__() == expected
    assert tried == ([CUDA] if driver else [])


def test_a_provider_that_does_not_work_is_passed_over_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    session = new_session(identity_model(), providers=[CUDA, CPU])
    assert session.get_providers()[-1] == CPU
    assert capfd.readouterr() == ("", "")


def test_what_a_session_raises_is_listed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RUNTIME_ERRORS):
        new_session(b"no model", providers=[CPU])
    assert capfd.readouterr() == ("", "")


def test_a_session_takes_no_more_cores_than_the_process_may_use() -> None:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert 1 <= usable_cores() <= min(8, allowed)
    session = new_session(identity_model(), providers=[CPU])
    assert session.get_session_options().intra_op_num_threads == usable_cores()
