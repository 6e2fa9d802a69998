"""Peers that may be connected with a copy of this node in its place. Pure; `peering.sessions` acts on it.

Two copies of a node have the same name and key, so a peer lets the newer connection replace the older one. The copy
that loses its connection so, and gets no other within a moment, asks the peer for its own record when they are
connected again: if a copy has registered since, the peer knows a newer one. Tests: tests/net/session/test_doubts.py.
"""

from typing import Any

from net.base.frames import Found
from net.base.timers import Timers

OWN_REQUEST = 0
"""The request number of that question; those to a registrar begin at 1."""
FIRST_SECONDS = 1.0
"""Seconds from the loss of a connection to the question: a copy that has just booted registers meanwhile, and two
connections that cross settle."""
MOST_SECONDS = 64.0
"""The pause doubles up to this: while nobody can say which of two copies registered last, they take turns at a peer."""
CALM_SECONDS = 600.0
"""Seconds after which the pause is the first one again."""
MAX_DOUBTS = 1024
"""Peers that are asked at the same time; one answer is enough."""


class Doubts:
    """What one node has to find out about copies of itself."""

    def __init__(self, whole: Timers[Any]) -> None:
        self.timers: Timers[str] = Timers(whole)
        """When to look whether each peer has to be asked."""
        self._pauses: dict[str, tuple[float, float]] = {}
        """The next pause of each peer in seconds, and when the last one began; those that began last come last."""
        self._to_ask: set[str] = set()
        self._asked: set[str] = set()

    def begin(self, name: str, now: float) -> None:
        """Note that a peer has replaced this node's connection by another one."""
        if name not in self._pauses and len(self._pauses) >= MAX_DOUBTS:
            self._forget(next(iter(self._pauses)))
        pause, last = self._pauses.pop(name, (FIRST_SECONDS, now))
        if now - last > CALM_SECONDS:
            pause = FIRST_SECONDS
        self._pauses[name] = (min(MOST_SECONDS, 2 * pause), now)
        self.timers.set(name, now + pause)

    def _forget(self, name: str) -> None:
        del self._pauses[name]
        self.timers.set(name, None)
        self._to_ask.discard(name)
        self._asked.discard(name)

    def ask(self, name: str) -> None:
        """Ask the peer as soon as there is a connection."""
        self._to_ask.add(name)

    def settle(self, name: str) -> bool:
        """Note a connection with a peer; return whether to ask it now."""
        if name not in self._to_ask:
            return False
        self._to_ask.discard(name)
        self._asked.add(name)
        return True

    def is_answer(self, name: str, frame: Found) -> bool:
        """Return whether a frame answers the question; it does so once."""
        if frame.request != OWN_REQUEST or name not in self._asked:
            return False
        self._asked.discard(name)
        return True
