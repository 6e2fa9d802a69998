"""Which peers have broken the protocol, and for how long this node has nothing to do with each.

An offence counts against a proven name and nothing else: not against an address, which others may share, nor against a
name that was only claimed. It counts only if nobody but the peer can have done it: a record that does not decrypt may
be the work of an attacker between the two. Pure. Tests: tests/net/peering/test_penalties.py.
"""

from __future__ import annotations

from typing import NamedTuple

from net.base.errors import BadFrame, CreditOverrun, ProtocolViolation, Stalled
from net.base.limits import FIRST_PAUSE_SECONDS, FORGIVEN_SECONDS, MAX_PAUSE_SECONDS, MAX_SESSIONS

_OFFENCES = (BadFrame, CreditOverrun, Stalled)


class _Pause(NamedTuple):
    seconds: float
    until: float


class Penalties:
    """The pauses that peers serve, by proven name."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Pause] = {}
        """Each name's pause; the latest offender comes last."""

    def punish(self, name: str, violation: ProtocolViolation, now: float) -> float | None:
        """Count a violation against a proven name; return the seconds of its pause, or None if it was not an
        offence.
        """
        if not isinstance(violation, _OFFENCES):
            return None
        before = self._by_name.pop(name, None)
        if before is None or now >= before.until + FORGIVEN_SECONDS:
            seconds = FIRST_PAUSE_SECONDS
        else:
            seconds = min(2 * before.seconds, MAX_PAUSE_SECONDS)
        self._by_name[name] = _Pause(seconds, now + seconds)
        if len(self._by_name) > MAX_SESSIONS:
            del self._by_name[next(iter(self._by_name))]
        return seconds

    def until(self, name: str, now: float) -> float | None:
        """Return when that name's pause ends, or None if it has none."""
        pause = self._by_name.get(name)
        return pause.until if pause is not None and now < pause.until else None

    def __repr__(self) -> str:
        return f"Penalties({self._by_name})"
