"""Signing in with the node's password: who may guess when, and what becomes of a guess.

To check a password takes the better part of a second and 256 MiB, on purpose (Argon2id, RFC 9106): so one is checked
at a time. After some wrong ones there is a pause that doubles with each further one, for the source that has sent them
and, since sources are many, for all together. While that holds, the node's user gets in by `nectar open`.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

FREE_OF_ONE = 3
"""Wrong passwords of one source before it has to wait."""
FREE_OF_ALL = 20
"""Those of all sources together."""
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_OF_ONE = 900.0
"""Seconds. At this pace 35,000 passwords a year are tried."""
MAX_PAUSE_OF_ALL = 60.0
"""Seconds: half a million a year, from however many sources. The user has to get in between."""
FORGIVEN_SECONDS = 3600.0
"""Seconds without a wrong password after which the earlier ones are forgotten."""
MAX_SOURCES = 1024
"""Sources that are remembered; the one whose last wrong password is the oldest goes. All together are counted on."""
MAX_PASSWORD_BYTES = 4096
"""Bytes of a password: as many as `nectar boot` reads of a password file."""


class HoldOff(NamedTuple):
    """A guess is not looked at."""

    seconds: float
    """Until the next one may be."""


class _Wrong(NamedTuple):
    """Wrong passwords in a row."""

    tries: int
    last: float


class Guesses:
    """The wrong passwords of late."""

    def __init__(self) -> None:
        self._of: dict[str, _Wrong] = {}
        """By source, that with the oldest last one first."""
        self._all = _Wrong(0, 0.0)
        self._checking: object | None = None
        """The token of the guess that is being checked."""

    def begin(self, token: object, address: str, now: float) -> HoldOff | None:
        """Return None if the guess may be checked now: then `end` says what has come of it."""
        if self._checking is not None:
            return HoldOff(1.0)
        pauses = (
            _pause(self._of.get(_source(address)), FREE_OF_ONE, MAX_PAUSE_OF_ONE, now),
            _pause(self._all, FREE_OF_ALL, MAX_PAUSE_OF_ALL, now),
        )
        if max(pauses) > 0:
            return HoldOff(max(pauses))
        self._checking = token
        return None

    def end(self, address: str, now: float, *, right: bool) -> None:
        """Take the outcome of the guess that was being checked."""
        self._checking = None
        source = _source(address)
        before = self._of.pop(source, None)
        if right:
            return
        self._of[source] = _more(before, now)
        self._all = _more(self._all, now)
        if len(self._of) > MAX_SOURCES:
            del self._of[next(iter(self._of))]

    def release(self) -> None:
        """Forget the guess that was being checked: nothing will come of it."""
        self._checking = None


def _more(wrong: _Wrong | None, now: float) -> _Wrong:
    return _Wrong(1 if wrong is None or now - wrong.last > FORGIVEN_SECONDS else wrong.tries + 1, now)


def _pause(wrong: _Wrong | None, free: int, most: float, now: float) -> float:
    """Return the seconds for which nothing more is tried."""
    if wrong is None or wrong.tries < free or now - wrong.last > FORGIVEN_SECONDS:
        return 0.0
    doubled = FIRST_PAUSE_SECONDS * 2.0 ** min(wrong.tries - free, 30)
    return max(0.0, wrong.last + min(doubled, most) - now)


def _source(address: str) -> str:
    """Return whom an address stands for: with IPv6, a network of 2^64 addresses is one household's (RFC 6177)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else parsed.exploded[:19]
