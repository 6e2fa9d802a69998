"""(trio) How many requests of browsers are handled before all else of the node has had its turn, and whose come first.

Theory of operation. Trio lets each task that can go on do one step, and then goes round. A connection's step is a
request, so hundreds of connections would do hundreds between two steps of whoever carries messages. So only
`MOST_AT_ONCE` requests go on in one round. Further ones wait for the next, in the lanes of the packages that have
answered their connections last, which take turns: so a package whose pages are asked for without a pause delays another
one's by a request of its own, and not by all that wait.

What a connection says is in no lane's name, or a page could have as many lanes as it likes. Connections that no package
has answered yet have one lane together.
"""

from __future__ import annotations

import trio

from kernel.contract.address import PackageId
from kernel.contract.fair_queue import FairQueue

MOST_AT_ONCE = 16
"""Requests in a round of the scheduler: some milliseconds, as much as the kernel has of a round."""


class RequestTurns:
    """The turns of one server's requests."""

    def __init__(self) -> None:
        self._left = MOST_AT_ONCE
        """Requests that need not wait. It is filled up in the round after it is empty."""
        self._waiting: FairQueue[trio.Event] = FairQueue()
        self._empty = trio.Event()

    async def take(self, package: PackageId | None) -> None:
        """Come back when a request may be handled on a connection that a package has answered last; at once if there
        are few.
        """
        if self._left and not len(self._waiting):
            self._use()
            return
        lane, turn = None if package is None else str(package), trio.Event()
        self._waiting.put(lane, turn)
        try:
            await turn.wait()
        finally:
            if not turn.is_set():
                self._waiting.discard(lane, turn)

    async def run(self) -> None:
        """Give turns until cancelled."""
        while True:
            await self._empty.wait()
            self._empty = trio.Event()
            await trio.lowlevel.checkpoint()
            self._left = MOST_AT_ONCE
            while self._left and len(self._waiting):
                self._use()
                self._waiting.take().set()

    def _use(self) -> None:
        self._left -= 1
        if not self._left:
            self._empty.set()
