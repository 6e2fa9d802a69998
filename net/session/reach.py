"""How one peer is reached: which route is tried when, when its name is looked up afresh, and when to give up.

One `Reach` is one episode, from the need of a connection until there is one or none can be had. It dials nothing
itself: each method returns the next step. Tests: tests/net/session/test_reach.py.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from net.base.limits import (
    ACCEPTOR_GRACE_SECONDS,
    FIRST_BACKOFF_SECONDS,
    HANDSHAKE_SECONDS,
    LOOK_UP_AGAIN_SECONDS,
    MAX_BACKOFF_SECONDS,
    MIN_ATTEMPT_SECONDS,
)
from net.contract.events import FailureReason
from net.names.directory import Endpoint

_DEFINITIVE = (FailureReason.REFUSED, FailureReason.BAD_KEY, FailureReason.OTHER_VERSION)
"""Reasons for which trying the same endpoint again at once is pointless."""
_BY_WEIGHT = (
    FailureReason.BAD_KEY,
    FailureReason.NOT_BELIEVED,
    FailureReason.OTHER_VERSION,
    FailureReason.UNREACHABLE,
    FailureReason.REFUSED,
)
"""Reasons of failure by weight: the first of them that occurs in a round is told."""


class Answer(Enum):
    """How a lookup ended."""

    KNOWN = auto()
    """The directory has the newest record."""
    UNKNOWN = auto()
    """There is no such name."""
    UNAVAILABLE = auto()
    """The registrar could not be asked; the directory may have a record all the same."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route to a peer."""

    endpoint: Endpoint
    """The address that is dialed: the peer's, or that of a router of it."""
    router: str | None = None
    """The name of the router at that address; None: the route is direct."""
    keys: tuple[bytes, ...] = ()
    """The Ed25519 keys that have to be proven on the route: the router's, if there is one, and the peer's. With another
    key it is another route, worth trying."""


@dataclass(frozen=True, slots=True)
class Try:
    """Take this route; report `failed` if there is no session at the time `until`."""

    route: Route
    """The route to take."""
    until: float
    """When to give the attempt up, in seconds."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look the name up afresh, then call `looked_up`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Call `woken` at the time `until`."""

    until: float
    """When to call `woken`, in seconds."""
    look_up: bool = False
    """Whether to look the name up afresh meanwhile, as the peer may have moved by then. The episode does not wait for
    the answer: a peer that is back where it was is found without it, even if the registrar is gone."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Give up: no connection can be had, and the episode is over."""

    reason: FailureReason
    """Why no connection can be had."""


Step: TypeAlias = Try | LookUp | Wait | GiveUp


class Reach:
    """One episode of reaching a peer."""

    def __init__(self, deadline: float, *, reviving: bool, patient: bool = False, may_look_up: bool = True) -> None:
        """`reviving`: there was a session, so even refusals are retried until the deadline; `patient`: the same without
        one. `may_look_up`: a registrar exists, and the record was not fetched from it just now."""
        self.deadline = deadline
        self.reviving = reviving
        self.passive = False
        """Whether nothing is tried, since the other side is expected to dial."""
        self.farewell = False
        """Whether the other side has said that it goes, so it is not expected back within the budget."""
        self._patient = patient or reviving
        self._may_look_up = may_look_up
        self._look_up_at = 0.0
        """When a revived session may look the name up next."""
        self._routes: tuple[Route, ...] = ()
        self._untried: deque[Route] = deque()
        self._tried: Route | None = None
        """The route of the last `Try`."""
        self._may_repeat = True
        self._reasons: list[FailureReason] = []
        self._attempt_seconds = HANDSHAKE_SECONDS
        self._rounds = 0

    def begin(self, routes: tuple[Route, ...], now: float, jitter: float) -> Step:
        """Start with the known routes to the peer, best first. `jitter` is random, from 0 to 1."""
        self._load(routes, now)
        return self._next(now, jitter)

    def pause(self, now: float, jitter: float, *, dialer: bool) -> Step:
        """Start after a break: wait a moment first, so that both sides do not dial at once."""
        delay = FIRST_BACKOFF_SECONDS * jitter
        return Wait(min(self.deadline, now + delay + (0.0 if dialer else ACCEPTOR_GRACE_SECONDS)))

    def expect(self) -> Step:
        """Only wait for the other side, until the deadline."""
        self.passive = True
        return Wait(self.deadline)

    def failed(self, reason: FailureReason, now: float, jitter: float) -> Step:
        """Return the step after the attempt of the last `Try`, or a connection that the peer began, has failed."""
        self._reasons.append(reason)
        if self.passive and now < self.deadline:
            return Wait(self.deadline)
        return self._next(now, jitter)

    def repeat(self) -> None:
        """Try the last route once more, before all others: the peer has told what to do otherwise. Once an episode."""
        if self._may_repeat and self._tried is not None:
            self._may_repeat = False
            self._untried.appendleft(self._tried)

    def looked_up(self, routes: tuple[Route, ...], now: float, jitter: float) -> Step:
        """Return the step after `LookUp`; `routes` are the routes that are known now, whether or not any is new."""
        self._may_look_up = False
        if routes == self._routes:
            return self._round_over(now, jitter)
        self._load(routes, now)
        return self._next(now, jitter)

    def woken(self, routes: tuple[Route, ...], now: float, jitter: float) -> Step:
        """Return the step after the time of the last `Wait` has come; `routes` are the routes that are known by now."""
        if now >= self.deadline:
            return GiveUp(self._reason())
        self._load(routes, now)
        return self._next(now, jitter)

    def _load(self, routes: tuple[Route, ...], now: float) -> None:
        self._routes = routes
        self._untried = deque(routes)
        self._reasons = []
        # A lookup takes its share of the time too, so a peer that has moved away from an address that swallows
        # everything is found in time.
        waits = self._may_look_up and not self.reviving
        share = (self.deadline - now) / max(1, len(self._untried) + waits)
        self._attempt_seconds = min(HANDSHAKE_SECONDS, max(MIN_ATTEMPT_SECONDS, share))

    def _next(self, now: float, jitter: float) -> Step:
        if now >= self.deadline:
            return GiveUp(self._reason())
        if self._untried:
            self._tried = self._untried.popleft()
            return Try(self._tried, min(self.deadline, now + self._attempt_seconds))
        return self._round_over(now, jitter)

    def _round_over(self, now: float, jitter: float) -> Step:
        if self._may_look_up and not self.reviving:
            self._may_look_up = False
            return LookUp()
        if now >= self.deadline:
            return GiveUp(self._reason())
        if not self._patient and all(reason in _DEFINITIVE for reason in self._reasons):
            return GiveUp(self._reason())
        delay = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**self._rounds) * (0.5 + jitter)
        self._rounds += 1
        look_up = self._may_look_up and now >= self._look_up_at
        if look_up:
            self._look_up_at = now + LOOK_UP_AGAIN_SECONDS
        return Wait(min(self.deadline, now + delay), look_up)

    def _reason(self) -> FailureReason:
        if self.reviving:
            return FailureReason.CONNECTION_LOST
        for reason in _BY_WEIGHT:
            if reason in self._reasons:
                return reason
        return FailureReason.UNREACHABLE
