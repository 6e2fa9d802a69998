"""Checks that a live connection makes progress. The keepalive only shows that the peer still answers; this shows that
it does its part.

It is checked whenever the keepalive is, at least every 20 seconds, so a stall is found up to twice that later than
after `limits.STALL_SECONDS`. An honest peer does three things by itself, whatever its processes do:

- It goes on with a message that it has begun: `progress` checks that.
- It gives credit for one message at least; how many bytes, and when it acknowledges, is its processes' affair, and any
  number of those may be stuck for any time (G24).
- It reads. If it does not, that may as well be the network's fault.

What a stuck peer may hold meanwhile is bounded in any case (`limits.MAX_PEER_BYTES`). Tests: test_peers_bounds.py.
"""

from __future__ import annotations

from net.base.errors import NoCredit, NotRead
from net.base.limits import STALL_SECONDS
from net.session.outbox import Outbox


class Liveness:
    """The liveness of one connection."""

    __slots__ = ("_looked", "_starved_since", "_unread", "_written")

    def __init__(self) -> None:
        self._looked = 0.0
        """When the connection was checked last."""
        self._starved_since: float | None = None
        self._unread: tuple[float, int] | None = None
        """Since when there is something to write, and how many bytes had been written then."""
        self._written = 0
        """How many bytes had been written at the last check."""

    def writes_on(self, bytes_sent: int, *, writing: bool) -> bool:
        """Return whether more waits to be written than goes at once, and some has gone since the last check. To a peer
        that is dead or does not read, nothing goes any more as soon as the buffers below are full."""
        return writing and bytes_sent > self._written

    def look(self, outbox: Outbox, bytes_sent: int, *, writing: bool, now: float) -> None:
        """Check the connection. `bytes_sent` is the count on all connections of the session; `writing`: there is
        something to write. Raises NoCredit or NotRead."""
        if now - self._looked > STALL_SECONDS:
            self._starved_since = self._unread = None  # this process was stopped: the peer is not to blame
        self._looked = now
        self._written = bytes_sent
        if not outbox.without_credit:
            self._starved_since = None
        elif self._starved_since is None:
            self._starved_since = now
        elif now - self._starved_since >= STALL_SECONDS:
            raise NoCredit("it gives no credit for a single message")
        self._unread = _since(self._unread, writing, bytes_sent, now)
        if _too_long(self._unread, now):
            raise NotRead("it does not read what is sent to it")


def _since(before: tuple[float, int] | None, due: bool, count: int, now: float) -> tuple[float, int] | None:
    """Return the window of a condition: a new one begins when nothing is due, or the count has changed."""
    if not due:
        return None
    return (now, count) if before is None or count != before[1] else before


def _too_long(window: tuple[float, int] | None, now: float) -> bool:
    return window is not None and now - window[0] >= STALL_SECONDS
