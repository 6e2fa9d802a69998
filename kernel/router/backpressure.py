"""Which senders wait for capacity in a mailbox, and how they go on (G24).

A sender whose target has no capacity is set aside with the rest of its effects (`PendingWork`), in the target's queue;
a message from a peer is parked there, and holds back the peer's credit. When the target takes a message, or ends, they
move on, one after the other and from here alone: letting one go on can let others move, and the chain of those may be
as long as there are processes. A sender with too much in flight to other nodes waits in the same manner, at its account
(`in_flight`).
"""

from __future__ import annotations

from collections import deque

from kernel.contract.events import Taken
from kernel.contract.guest import Effect, End, Poll
from kernel.contract.message import Reason, Request
from kernel.contract.process import Lot, Parked, Process, Waiting
from kernel.router.handover import Handover
from kernel.router.outcomes import Outcomes
from kernel.router.routing import Routing
from kernel.router.state import Apply, KernelState


class Backpressure:
    """The senders that wait for capacity."""

    def __init__(
        self, state: KernelState, handover: Handover, outcomes: Outcomes, routing: Routing, apply: Apply
    ) -> None:
        self._moves: deque[Process | Parked] = deque()
        """Processes whose mailbox has capacity again, and senders that waited for one that has ended."""
        self._settling = False
        self._state = state
        self._handover = handover
        self._outcomes = outcomes
        self._processes = state.processes
        self._outstanding = state.outstanding
        self._in_flight = state.in_flight
        self._apply = apply
        self._route = routing.route

    def set_aside(self, sender: Process, rest: deque[Effect], poll: Poll, end: End | None) -> None:
        """Keep what a sender goes on with when there is capacity."""
        assert sender.stall is not None
        sender.stall = sender.stall._replace(rest=rest, poll=poll, end=end)
        sender.waiting = Waiting.ROOM

    def release(self, target: Process) -> None:
        """Let all that waited for capacity at a process go on, since it has ended."""
        self._moves.extend(target.waiters.drain())
        self._settle()

    def free(self, target: Process) -> None:
        """Let senders that wait go on, since a process has taken a message and there may be capacity."""
        self._moves.append(target)
        self._settle()

    def retry(self, sender: Process) -> None:
        """Let a process try again to send what it waits to send."""
        self._moves.append(sender)
        self._settle()

    def freed(self, lot: Lot) -> None:
        """Let senders that wait go on, since a message to another node is no longer in flight."""
        for each in self._in_flight.freed(lot):
            self.retry(each)

    def _settle(self) -> None:
        """Let all move on that can; what comes of that is added to `_moves`, and done by the same loop."""
        if self._settling:
            return
        self._settling = True
        while self._moves:
            self._move(self._moves.popleft())
        self._settling = False

    def _move(self, move: Process | Parked) -> None:
        if isinstance(move, Parked):
            if self._state.starting.wait(move.envelope.target.process, move):
                return  # it is delivered to the next process of that name
            self._state.emit(Taken(move.receipt))
            self._outcomes.dead(move.envelope, Reason.PROCESS_ENDED)
        elif move.stall is not None:
            self._retry(move, admitted=False)
        else:
            self._admit(move)

    def _admit(self, target: Process) -> None:
        """Admit what waits for a mailbox that has capacity again, in order."""
        while target.waiters and target.mailbox.has_room():
            waiter = target.waiters.take()
            if isinstance(waiter, Parked):
                self._state.emit(Taken(waiter.receipt))
                self._handover.put_request(target, waiter.envelope)
            else:
                before = waiter.stall
                self._retry(waiter, admitted=True)
                if waiter.waits_still(before):
                    target.waiters.last_is_first(None)  # there is no memory for it yet
                    return

    def _retry(self, sender: Process, *, admitted: bool) -> None:
        """Send what a process waited to send, and go on with the rest of its effects."""
        stall, sender.stall = sender.stall, None
        assert stall is not None
        sender.waiting = Waiting.NOTHING
        envelope, context, rest, poll, end = stall
        message = envelope.message
        if isinstance(message, Request) and message.expects_response is not None:
            if envelope.id not in self._outstanding:
                self._apply(sender, rest, poll, end)  # it timed out meanwhile
                return
            if poll is Poll.CALL and not rest and sender.awaited == envelope.id:
                sender.waiting = Waiting.RESPONSE
        if self._route(sender, envelope, context, admitted):
            if self._processes.get(sender.address.process) is sender:
                self._apply(sender, rest, poll, end)
        else:
            self.set_aside(sender, rest, poll, end)
