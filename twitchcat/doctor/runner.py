"""Runs checks at the same time: none waits for another, none stops another, none takes for ever."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from twitchcat.doctor.finding import Finding, failed_by, failure
from twitchcat.errors import TwitchcatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to look at."""

    name: str  #: of its finding if it comes to none of its own
    run: Callable[[], Sequence[Finding]]
    limit_s: float = 20.0  #: after which it is given up


def run_checks(
    checks: Sequence[Check], *, finished: Callable[[int, int], None] = lambda _done, _of: None
) -> list[Finding]:
    """Run all checks at once and return their findings, in the order of the checks.

    A check that raises, or is not done within its limit, is a failure that says so. `finished` is told how
    many of how many are done.
    """
    began = time.monotonic()
    running = [(check, _start(check)) for check in checks]
    findings: list[Finding] = []
    for done, (check, future) in enumerate(running):
        finished(done, len(checks))
        findings += _result(check, future, left_s=began + check.limit_s - time.monotonic())
    finished(len(checks), len(checks))
    return findings


def _start(check: Check) -> Future[Sequence[Finding]]:
    # Not an executor: at the end of the process that waits for its threads, and one that hangs, in a dead
    # network file system say, is the very thing to report.
    future: Future[Sequence[Finding]] = Future()

    def work() -> None:
        try:
            future.set_result(check.run())
        except BaseException as error:  # noqa: BLE001 - as an executor does: `_result` looks at it
            future.set_exception(error)

    threading.Thread(target=work, name=f"doctor: {check.name}", daemon=True).start()
    return future


def _result(check: Check, future: Future[Sequence[Finding]], *, left_s: float) -> Sequence[Finding]:
    try:
        error = future.exception(timeout=max(left_s, 0))
    except TimeoutError:
        said = f"the check was not done within {check.limit_s:g} s"
        return [failure(check.name, said, "Look for what hangs: a disk, a name server, a proxy.")]
    if error is None:
        return future.result()
    if isinstance(error, TwitchcatError):
        return [failed_by(check.name, error, "Do what it says, and run the doctor again.")]
    if isinstance(error, ImportError):
        return [failure(check.name, f"cannot be examined: {error}", "Do what `packages` says first.")]
    said = f"the check itself failed: {type(error).__name__}: {error}"
    return [failure(check.name, said, "Please report this as a fault of twitchcat.")]
