"""Keeps the pool of visits busy until there is nothing left to do, or somebody says stop."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from twitchcat.dataset.plan import CategoryState, Plan
from twitchcat.dataset.pool import Pool
from twitchcat.dataset.visit import Outcome, VisitOrder, VisitReport
from twitchcat.errors import (
    ConfigError,
    CredentialsRefused,
    DiskFull,
    IntegrityFailed,
    StoreError,
    TwitchcatError,
    TwitchError,
)

#: How often other processes' progress is read from the database.
REFRESH_S = 15.0
#: After this long without a visit that could be recorded, collecting gives up.
PATIENCE_S = 120.0
_TICK_S = 0.2
_HELD = "Twitch refuses every stream"


@dataclass(slots=True, kw_only=True)
class Totals:
    """What a collect has come to so far."""

    visits: Counter[str] = field(default_factory=Counter)  #: by outcome
    reasons: Counter[str] = field(default_factory=Counter)  #: of errors
    skipped: Counter[str] = field(default_factory=Counter)  #: frames and segments left out, by reason
    frames: int = 0
    image_bytes: int = 0
    bytes_fetched: int = 0

    def add(self, report: VisitReport) -> None:
        """Count a visit."""
        self.visits[report.outcome.value] += 1
        if report.outcome is Outcome.ERROR and report.reason:
            self.reasons[report.reason] += 1
        self.skipped.update(report.skipped)
        self.frames += report.frames_kept
        self.image_bytes += report.image_bytes
        self.bytes_fetched += report.bytes_fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a collect ended."""

    why: str  #: why it stopped
    seconds: float
    totals: Totals
    states: tuple[CategoryState, ...]
    unknown: tuple[str, ...] = ()  #: logins asked for that are no channel's


class Observer(Protocol):
    """Is told what happens, from the thread that collects."""

    def visited(self, report: VisitReport, totals: Totals) -> None:
        """A visit has finished."""

    def waiting(self, why: str, seconds: float) -> None:
        """No visit is sent out for some seconds."""

    def tick(self, states: Iterable[CategoryState], totals: Totals, in_hand: int) -> None:
        """Some tenths of a second have passed."""


class Collector:
    """Sends out visits as a plan says."""

    def __init__(
        self,
        plan: Plan,
        pool: Pool[VisitOrder, VisitReport],
        *,
        observer: Observer,
        stop: threading.Event,
        refresh: Callable[[Iterable[CategoryState]], None],
        held_for: Callable[[], float],
        patient: bool = True,
        seconds: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`refresh` reads progress from the database; `held_for` says for how many seconds Twitch wants no
        visit at all; unless `patient`, that ends the collect, as a network that is down does. After
        `seconds`, no further visit is sent out.
        """
        self._plan = plan
        self._pool = pool
        self._observer = observer
        self._stop = stop
        self._refresh = refresh
        self._held_for = held_for
        self._patient = patient
        self._seconds = seconds
        self._clock = clock
        self._totals = Totals()
        self._in_hand = 0
        self._resume_at = 0.0
        self._failing_since: float | None = None

    def run(self) -> Summary:
        """Collect; returns when everything in hand is finished.

        Raises what makes going on pointless, when what is in hand is finished: DiskFull, a StoreError that
        lasts, CredentialsRefused, ConfigError; unless patient, any TwitchError.
        """
        began = self._clock()
        refresh_at = began + REFRESH_S
        error: Exception | None = None
        why = None
        while True:
            now = self._clock()
            if why is None:
                try:
                    why = self._why_over(now - began)
                    if why is None:
                        self._send_out(now)
                    if why is None and now >= max(refresh_at, self._resume_at):
                        self._refresh(self._plan.states())
                        refresh_at = now + REFRESH_S
                except StoreError as failure:
                    error = self._survive(failure, now)
                except (ConfigError, TwitchError) as failure:
                    error = failure
                why = why or (str(error) if error else None)
            if why is not None and not self._in_hand:
                break
            report = self._pool.wait(_TICK_S)
            while report is not None:
                told = self._receive(report)
                error = told if error is None else error
                why = why or (str(error) if error else None)
                report = self._pool.wait(0.0)
            self._observer.tick(self._plan.states(), self._totals, self._in_hand)
        if error is not None:
            raise error
        seconds = self._clock() - began
        return Summary(why=why, seconds=seconds, totals=self._totals, states=tuple(self._plan.states()))

    def _why_over(self, elapsed_s: float) -> str | None:
        if self._stop.is_set():
            return "stopped"
        if self._seconds is not None and elapsed_s >= self._seconds:
            return "the time is over"
        if self._in_hand or self._clock() < self._resume_at or self._plan.done() is None:
            return None
        # A refresh counts visits that are stored but not reported yet, and their reports count them again:
        # whether a target is really reached, the dataset says.
        self._refresh(self._plan.states())
        return self._plan.done()

    def _send_out(self, now: float) -> None:
        while self._in_hand < self._pool.size and now >= self._resume_at and not self._stop.is_set():
            if (held := self._held_for()) > 0:
                if not self._patient:
                    raise IntegrityFailed(f"{_HELD} for {held:.0f} s; if this lasts, update streamlink")
                self._pause(_HELD, held)
                return
            try:
                order = self._plan.next(now)
            except CredentialsRefused:
                raise
            except TwitchError as error:
                if not self._patient:
                    raise
                self._pause(str(error), 10.0)
                return
            if order is None:
                return
            self._pool.submit(order)
            self._in_hand += 1

    def _receive(self, report: VisitReport) -> Exception | None:
        self._in_hand -= 1
        self._plan.account(report)
        self._totals.add(report)
        self._observer.visited(report, self._totals)
        if report.error is None:
            self._failing_since = None
            return None
        if isinstance(report.error, CredentialsRefused):
            return report.error
        return self._survive(report.error, self._clock())

    def _survive(self, error: TwitchcatError, now: float) -> TwitchcatError | None:
        """Wait for what may pass, a database that comes back; the error itself once waiting is pointless."""
        self._failing_since = self._failing_since if self._failing_since is not None else now
        failing = now - self._failing_since
        if isinstance(error, DiskFull) or failing > PATIENCE_S:
            return error
        if now >= self._resume_at:
            self._pause(str(error), min(1.0 + failing / 2, 15.0))
        return None

    def _pause(self, why: str, seconds: float) -> None:
        self._resume_at = self._clock() + seconds
        self._observer.waiting(why, seconds)
