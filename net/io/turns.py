"""(trio) Which peer's turn it is to have a piece read or written, when several keep this node busy at once.

Fair queueing by time: a peer is a flow, and each flow has a token bucket of seconds of this node. Tokens come in at the
fair share, one divided by the number of flows that want a turn, and what is done for a flow while others wait costs it
the time that it takes. A flow that has saved some up goes at once; of the others, the turn is that of the flow with the
most tokens. So a peer that uses less than its share goes before those that flood, however many they are; one that has
been moderate for a while may use more for a while; and those that flood share what is left. A flow begins without
tokens, so a new name is no better than an old one, and it cannot fall far behind, so a peer that used the node while no
other wanted to does not wait for all that come later.

Between two turns the scheduler goes round: everything else waits for one piece at most. All connections whose peer has
not proven its name yet are one flow: they cost handshakes, and names are free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

import trio

MOST_SECONDS = 2.0
"""Tokens that a flow can save up: a file of a GiB, or twenty thousand requests."""
SAVED_SECONDS = 0.05
"""Tokens with which a flow waits for no turn. One that floods never has so many."""
LEAST_SECONDS = -0.02
"""Tokens that a flow can lack: some turns."""
PIECE_SECONDS = 0.001
"""Seconds of work that may be done in one round of the scheduler before the next flow has to wait for a turn."""
GAP_SECONDS = 0.00003
"""Seconds without any work after which the scheduler has gone round. Tasks that run one after the other are less apart;
to ask the scheduler would cost a switch of tasks for every few messages."""
STRANGERS = ""
"""The name of the flow of all peers that have not proven a name."""


class Flow:
    """One peer, and its account of this node's time."""

    __slots__ = ("__weakref__", "at", "tokens", "waiting")

    def __init__(self, at: float) -> None:
        self.tokens = 0.0
        """Seconds of this node that it may use, as of the time `at`."""
        self.at = at
        self.waiting: deque[trio.Event] = deque()
        """Connections of the peer that want a turn."""


class Turns:
    """Gives turns to the flows of one driver."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds of real time."""
        self._clock = clock
        self._flows: WeakValueDictionary[str, Flow] = WeakValueDictionary()
        self._waiting: dict[Flow, None] = {}
        """Flows that want a turn, in the order in which they came."""
        self._last: Flow | None = None
        """The flow for which something was done last."""
        self._spent = 0.0
        """Seconds in which something was done since the last turn, or since the node was idle."""
        self._ended = 0.0
        """When something was done last."""
        self._wake = trio.Event()

    def flow(self, peer: str) -> Flow:
        """Return the flow of the peer of that name; it lives as long as it is referred to."""
        flow = self._flows.get(peer)
        if flow is None:
            flow = self._flows[peer] = Flow(self._clock())
        return flow

    @property
    def crowded(self) -> bool:
        """Whether a flow waits for a turn."""
        return bool(self._waiting)

    def may_go(self, flow: Flow) -> bool:
        """Return whether a flow need not wait: none waits and no other just kept the node busy, or it has saved up."""
        if not self._waiting and (self._spent < PIECE_SECONDS or self._last is flow):
            return True
        return self.tokens(flow) >= SAVED_SECONDS

    def tokens(self, flow: Flow) -> float:
        """Return the seconds that the flow has now."""
        now = self._clock()
        flow.tokens = min(MOST_SECONDS, flow.tokens + (now - flow.at) / (1 + len(self._waiting)))
        flow.at = now
        return flow.tokens

    def used(self, flow: Flow, began: float) -> None:
        """Account for work done for the flow since `began`. It costs tokens if it made others wait."""
        now = self._clock()
        if began - self._ended > GAP_SECONDS:
            self._spent = 0.0
        self._ended = now
        self._spent += now - began
        self._last = flow
        if self._spent >= PIECE_SECONDS:
            self._wake.set()
        if self._waiting:
            flow.tokens = max(LEAST_SECONDS, self.tokens(flow) - (now - began))

    async def take(self, flow: Flow) -> None:
        """Come back when it is this flow's turn."""
        if self.may_go(flow):
            return
        event = trio.Event()
        flow.waiting.append(event)
        self._waiting[flow] = None
        self._wake.set()
        try:
            await event.wait()
        finally:
            if not event.is_set():  # it does not want its turn any more
                flow.waiting.remove(event)
                if not flow.waiting:
                    del self._waiting[flow]

    async def run(self) -> None:
        """Give turns, one in a round of the scheduler, until cancelled."""
        while True:
            if self._waiting:
                await trio.lowlevel.checkpoint()
            else:
                self._wake = trio.Event()
                await self._wake.wait()
            self._spent = 0.0
            if self._waiting:
                self._give(max(self._waiting, key=self.tokens))

    def _give(self, flow: Flow) -> None:
        flow.waiting.popleft().set()
        del self._waiting[flow]
        if flow.waiting:
            self._waiting[flow] = None

    def __repr__(self) -> str:
        return f"Turns({len(self._flows)} flows, {len(self._waiting)} wait)"
