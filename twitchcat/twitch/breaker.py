"""Stops asking Twitch for access tokens when it refuses them to one channel after another."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from twitchcat.errors import IntegrityFailed, NetworkError, RateLimited, TwitchcatError

#: After so many seconds it is worth asking again whether a probe has ended.
PROBE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Closed: everyone may try. Open: nobody until `until`, then one probe at a time."""

    threshold: int = 3  #: different channels refused in a row that open it
    first: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=1)
    refused: frozenset[str] = frozenset()  #: channels refused since the last success
    until: datetime | None = None  #: None: closed
    span: timedelta = timedelta(0)  #: how long it is open this time
    probing: bool = False

    def may_try(self, now: datetime) -> bool:
        """Whether a request may be sent now."""
        return self.until is None or (now >= self.until and not self.probing)

    def tried(self) -> "Circuit":
        """Note that someone was let through: when open, that is the probe."""
        return replace(self, probing=self.until is not None)

    def succeeded(self) -> "Circuit":
        """Close."""
        return replace(self, refused=frozenset(), until=None, span=timedelta(0), probing=False)

    def failed(self, channel: str, now: datetime) -> "Circuit":
        """Count a refusal; open at the threshold, and for twice as long when the probe was refused."""
        refused = self.refused | {channel}
        if self.until is None and len(refused) < self.threshold:
            return replace(self, refused=refused)
        span = min(self.span * 2 or self.first, self.longest)
        return replace(self, refused=refused, until=now + span, span=span, probing=False)

    def undecided(self) -> "Circuit":
        """Let another one probe: the last one found nothing out."""
        return replace(self, probing=False)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Breaker:
    """A circuit shared by threads."""

    circuit: Circuit = field(default_factory=Circuit)
    clock: Callable[[], datetime] = _now
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @contextmanager
    def attempt(self, channel: str) -> Iterator[None]:
        """Run one attempt to get an access token for `channel`, and learn from how it ends.

        Raises IntegrityFailed at once while open. IntegrityFailed and RateLimited from within count against
        it, NetworkError decides nothing, and every other answer (offline too) shows that Twitch gives tokens.
        """
        probe = self._enter()
        try:
            yield
        except (IntegrityFailed, RateLimited):
            self._leave(probe, lambda circuit: circuit.failed(channel, self.clock()))
            raise
        except TwitchcatError as error:
            undecided = isinstance(error, NetworkError)
            self._leave(probe, Circuit.undecided if undecided else Circuit.succeeded)
            raise
        except BaseException:
            self._leave(probe, Circuit.undecided)
            raise
        self._leave(probe, Circuit.succeeded)

    def held_for(self) -> float:
        """Seconds for which no further attempt is let through; 0 while closed or due for a probe.

        While a probe is under way it is `PROBE_S` at least: nobody knows when it ends.
        """
        with self._lock:
            until, probing = self.circuit.until, self.circuit.probing
        left_s = (until - self.clock()).total_seconds() if until else 0.0
        return max(left_s, PROBE_S if probing else 0.0)

    def _enter(self) -> bool:
        with self._lock:
            if not self.circuit.may_try(self.clock()):
                until = self.circuit.until.astimezone() if self.circuit.until else None
                raise IntegrityFailed(
                    f"Twitch refused access tokens to {len(self.circuit.refused)} channels in a row; "
                    f"not asked again until {until:%H:%M:%S}. An update of streamlink may help"
                )
            self.circuit = self.circuit.tried()
            return self.circuit.probing

    def _leave(self, probe: bool, change: Callable[[Circuit], Circuit]) -> None:
        with self._lock:
            # Others that were on their way when it opened say nothing new.
            if probe or self.circuit.until is None:
                self.circuit = change(self.circuit)
