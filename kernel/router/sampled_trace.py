"""A tracer of some lineages alone: of each, all of its records on this node or none.

Whether a lineage is followed is decided by the id of its root, which is random and the same on every node
(`Envelope.root`): so nodes with the same share follow the same lineages. What is looked at of a message that is left
out is its id, or the root that came with it: nothing is made, hashed or remembered for it, with one exception. Of the
requests that continue a lineage which is left out, those to another node that would be followed if they were roots
themselves are remembered by id, so that the other node can be told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from kernel.contract import limits
from kernel.contract.address import ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import UNFOLLOWED, Envelope, Reason, Request
from kernel.router.trace import Tracer

_IDS = 1 << 64
_LEFT_OUT = -1
"""What a process handles that handles a request which is not followed."""


def bound_of(share: float) -> int:
    """Return the bound below which are the ids of that share of all requests; `share` is from 0 to 1."""
    return round(share * _IDS)


class SampledTracer(Tracer):
    """A tracer of the lineages whose root has an id below a bound.

    What a process sends when the outcome of a request has come that is not followed is a lineage of its own: nobody
    remembers what that request belonged to.
    """

    def __init__(self, our: str, clock: Callable[[], float] | None, below: int) -> None:
        """`our` and `clock` are those of `Tracer`; `below` is the bound (`bound_of`)."""
        super().__init__(our, clock)
        self.below = below
        self._unfollowed: OrderedDict[int, None] = OrderedDict()
        """Ids below the bound of requests to other nodes that continue a lineage which is not followed."""

    def sent(self, envelope: Envelope, now: float) -> None:
        """Record a request, if its lineage is followed."""
        if envelope.claimed:
            if (envelope.id if envelope.root is None else envelope.root) >= self.below:
                return
        elif envelope.id >= self.below:
            if self._handling.get(envelope.source.process) not in self._sent:
                return
        elif self._handling.get(envelope.source.process) == _LEFT_OUT:
            if envelope.target.node != self._our:
                self._unfollowed[envelope.id] = None
                if len(self._unfollowed) > limits.MAX_TRACED_REQUESTS:
                    self._unfollowed.popitem(last=False)
            return
        super().sent(envelope, now)

    def root_of(self, request: Envelope) -> int | None:
        """Return what to tell another node of the lineage of a request to it; see `Tracer.root_of`."""
        return UNFOLLOWED if request.id in self._unfollowed else super().root_of(request)

    def queued(self, answer: Arrival | Failure, id: int, *, is_request: bool) -> None:
        """Remember what is about to be handed over, if it is followed."""
        if id in self._sent:
            super().queued(answer, id, is_request=is_request)

    def handed(self, process: ProcessId, answer: Arrival | Failure, now: float) -> None:
        """Record what a process takes, if it is followed."""
        if id(answer) in self._queued:
            super().handed(process, answer, now)
        elif type(answer) is Arrival and type(answer.message) is Request:
            self._handling[process] = _LEFT_OUT
        else:
            self._handling.pop(process, None)

    def dropped(self, envelope: Envelope, reason: Reason, now: float) -> None:
        """Record a message that has reached nobody, if it is followed."""
        if envelope.id in self._sent:
            super().dropped(envelope, reason, now)
