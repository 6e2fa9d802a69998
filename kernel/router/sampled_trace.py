"""A tracer of some lineages alone: of each, all of its records on this node or none.

What is looked at of a message that is left out is its id, which is random: nothing is made, hashed or remembered for
it. A request between two nodes has the same id on both, so two nodes with the same share follow the same ones.
"""

from __future__ import annotations

from collections.abc import Callable

from kernel.contract.address import ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Envelope, Reason, Request
from kernel.router.trace import Tracer

_IDS = 1 << 64


def bound_of(share: float) -> int:
    """Return the bound below which are the ids of that share of all requests; `share` is from 0 to 1."""
    return round(share * _IDS)


class SampledTracer(Tracer):
    """A tracer of the lineages whose root has an id below a bound, and of each such request to another node.

    What a process sends when the outcome of a request has come that is not followed is a lineage of its own: nobody
    remembers what that request belonged to.
    """

    def __init__(self, our: str, clock: Callable[[], float] | None, below: int) -> None:
        """`our` and `clock` are those of `Tracer`; `below` is the bound (`bound_of`)."""
        super().__init__(our, clock)
        self.below = below
        self._left_out: set[ProcessId] = set()
        """Processes that handle a request which is not followed."""

    def sent(self, envelope: Envelope, now: float) -> None:
        """Record a request, if its lineage is followed, or if it goes to another node and has an id below the bound."""
        if envelope.id >= self.below:
            process = envelope.source.process
            if envelope.claimed or process in self._left_out or self._handling.get(process) not in self._sent:
                return
        elif (
            not envelope.claimed
            and envelope.source.process in self._left_out
            and envelope.target.node == self._our  # the node of another target follows it
        ):
            return
        super().sent(envelope, now)

    def queued(self, answer: Arrival | Failure, id: int, *, is_request: bool) -> None:
        """Remember what is about to be handed over, if it is followed."""
        if id in self._sent:
            super().queued(answer, id, is_request=is_request)

    def handed(self, process: ProcessId, answer: Arrival | Failure, now: float) -> None:
        """Record what a process takes, if it is followed."""
        if id(answer) in self._queued:
            self._left_out.discard(process)
            super().handed(process, answer, now)
            return
        self._handling.pop(process, None)
        if type(answer) is Arrival and type(answer.message) is Request:
            self._left_out.add(process)
        else:
            self._left_out.discard(process)

    def dropped(self, envelope: Envelope, reason: Reason, now: float) -> None:
        """Record a message that has reached nobody, if it is followed."""
        if envelope.id in self._sent:
            super().dropped(envelope, reason, now)

    def ended(self, process: ProcessId) -> None:
        """Note that a process has ended and handles nothing any more."""
        self._left_out.discard(process)
        super().ended(process)
