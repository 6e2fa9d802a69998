"""Who has broken the protocol, and for how long we have nothing to do with it.

Counts against a name that was proven and against nothing else: not an address, which others may share, and not a name
that somebody only claimed. Only what nobody but the peer can have done counts; a record that does not decrypt may be
the work of whoever sits between the two. Pure. Tests: tests/net/peering/test_penalties.py.
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
    """The pauses of all names."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Pause] = {}
        """The latest offender last."""

    def punish(self, name: str, violation: ProtocolViolation, now: float) -> float | None:
        """A peer of that proven name has done this: for how many seconds there is nothing to do with it; None: it was
        no offence."""
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
        """When that name's pause ends; None: it has none."""
        pause = self._by_name.get(name)
        return pause.until if pause is not None and now < pause.until else None

    def __repr__(self) -> str:
        return f"Penalties({self._by_name})"
