"""How one peer is reached: which endpoint is tried when, when its name is looked up afresh, and when to give up.

One `Reach` is one episode, from the wish for a connection until there is one or none can be had. It dials nothing
itself: each method returns the next step. Tests: tests/net/test_reach.py.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from net.directory import Endpoint, NameRecord
from net.events import FailureReason
from net.limits import (
    ACCEPTOR_GRACE_SECONDS,
    FIRST_BACKOFF_SECONDS,
    HANDSHAKE_SECONDS,
    MAX_BACKOFF_SECONDS,
    MIN_ATTEMPT_SECONDS,
)

_DEFINITIVE = (FailureReason.REFUSED, FailureReason.BAD_KEY)
"""Reasons for which trying the same endpoint again at once is pointless."""
_BY_WEIGHT = (FailureReason.BAD_KEY, FailureReason.NOT_BELIEVED, FailureReason.UNREACHABLE, FailureReason.REFUSED)
"""Of the reasons of one round, the first of these is told."""


@dataclass(frozen=True, slots=True)
class Try:
    """Dial this endpoint; report `failed` if there is no session at the time `until`."""

    endpoint: Endpoint
    """Where."""
    until: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look the name up afresh, then call `looked_up`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Call `woken` at the time `until`."""

    until: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No connection can be had; the episode is over."""

    reason: FailureReason
    """Why."""


Step: TypeAlias = Try | LookUp | Wait | GiveUp


class Reach:
    """One episode; see the module's text."""

    def __init__(self, deadline: float, *, reviving: bool, patient: bool = False, may_look_up: bool = True) -> None:
        """`reviving`: there was a session, so even refusals are retried until the deadline; `patient`: the same without
        one. `may_look_up`: a registrar exists, and the record was not fetched from it just now."""
        self.deadline = deadline
        self.reviving = reviving
        self.passive = False
        """Nothing is tried: the other side is expected to dial."""
        self._patient = patient or reviving
        self._may_look_up = may_look_up
        self._record: NameRecord | None = None
        self._untried: deque[Endpoint] = deque()
        self._reasons: list[FailureReason] = []
        self._attempt_seconds = HANDSHAKE_SECONDS
        self._rounds = 0

    def begin(self, record: NameRecord | None, now: float, jitter: float) -> Step:
        """Start, with what is known about the peer. `jitter`: random, from 0 to 1."""
        self._load(record, now)
        return self._next(now, jitter)

    def pause(self, record: NameRecord | None, now: float, jitter: float, *, dialer: bool) -> Step:
        """Start after a break: wait a moment first, so that both sides do not dial at once."""
        self._record = record
        delay = FIRST_BACKOFF_SECONDS * jitter
        return Wait(min(self.deadline, now + delay + (0.0 if dialer else ACCEPTOR_GRACE_SECONDS)))

    def expect(self) -> Step:
        """Only wait for the other side, until the deadline."""
        self.passive = True
        return Wait(self.deadline)

    def failed(self, reason: FailureReason, now: float, jitter: float) -> Step:
        """The attempt that the last `Try` asked for has failed, or a connection that the peer began."""
        self._reasons.append(reason)
        if self.passive and now < self.deadline:
            return Wait(self.deadline)
        return self._next(now, jitter)

    def looked_up(self, record: NameRecord | None, now: float, jitter: float) -> Step:
        """The outcome of `LookUp`; None if the registrar does not know the name or could not be asked."""
        self._may_look_up = False
        if record is None or record == self._record:
            return self._round_over(now, jitter)
        self._load(record, now)
        return self._next(now, jitter)

    def woken(self, record: NameRecord | None, now: float, jitter: float) -> Step:
        """The time that the last `Wait` gave has come. `record`: what is known by now."""
        if now >= self.deadline:
            return GiveUp(self._reason())
        self._load(record, now)
        return self._next(now, jitter)

    def _load(self, record: NameRecord | None, now: float) -> None:
        self._record = record
        self._untried = deque(record.endpoints if record is not None else ())
        self._reasons = []
        share = (self.deadline - now) / max(1, len(self._untried))
        self._attempt_seconds = min(HANDSHAKE_SECONDS, max(MIN_ATTEMPT_SECONDS, share))

    def _next(self, now: float, jitter: float) -> Step:
        if now >= self.deadline:
            return GiveUp(self._reason())
        if self._untried:
            return Try(self._untried.popleft(), min(self.deadline, now + self._attempt_seconds))
        return self._round_over(now, jitter)

    def _round_over(self, now: float, jitter: float) -> Step:
        if self._may_look_up:
            self._may_look_up = False
            return LookUp()
        if now >= self.deadline:
            return GiveUp(self._reason())
        if not self._patient and all(reason in _DEFINITIVE for reason in self._reasons):
            return GiveUp(self._reason())
        delay = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**self._rounds) * (0.5 + jitter)
        self._rounds += 1
        return Wait(min(self.deadline, now + delay))

    def _reason(self) -> FailureReason:
        if self.reviving:
            return FailureReason.CONNECTION_LOST
        for reason in _BY_WEIGHT:
            if reason in self._reasons:
                return reason
        return FailureReason.UNREACHABLE
