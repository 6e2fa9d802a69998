"""Where a request goes, and whether it may: to a process, a system process, a peer, or nowhere (G14, G18, G19)."""

from __future__ import annotations

from collections import deque

from kernel.contract.address import SYSTEM
from kernel.contract.errors import BadAddress
from kernel.contract.guest import Poll
from kernel.contract.json_text import is_json
from kernel.contract.message import Envelope, Reason, size_of
from kernel.contract.process import Lot, PendingWork, Process, Waiting
from kernel.router.handover import Handover
from kernel.router.outcomes import Outcomes
from kernel.router.state import KernelState

_RECEIVE = Waiting.RECEIVE
"""Whoever waits for a message is given it at once. A name of its own, as in `kernel`."""


class Routing:
    """The way of a message to its target, if there is one and the sender may use it."""

    def __init__(self, state: KernelState, handover: Handover, outcomes: Outcomes) -> None:
        self._our = state.our
        self._state = state
        self._handover = handover
        self._outcomes = outcomes
        self._grants = state.grants
        self._processes = state.processes
        self._outstanding = state.outstanding
        self._in_flight = state.in_flight
        self._system = state.system

    def route(self, process: Process, envelope: Envelope, context: bytes | None, admitted: bool = False) -> bool:
        """Route a request; return False if the target has no capacity, and the sender is stalled. `admitted`: its turn
        has come, whatever else waits."""
        _, _, target, _, message, _, _, _ = envelope
        if message.metadata is not None and not is_json(message.metadata):
            self._outcomes.undeliverable(envelope, Reason.BAD_METADATA)
        elif target.node != self._our:
            return self._to_peer(process, envelope, context)
        else:
            receiver = self._processes.get(target.process)
            if receiver is not None:
                return self._to_process(process, receiver, envelope, context, admitted)
            return self._to_system(process, envelope, context)
        return True

    def _to_process(
        self, process: Process, receiver: Process, envelope: Envelope, context: bytes | None, admitted: bool
    ) -> bool:
        if not (receiver.launch.public or self._may_message(process, receiver)):
            self._outcomes.undeliverable(envelope, Reason.NO_CAPABILITY)
        elif (receiver.waiting is _RECEIVE or self._has_room(receiver, envelope)) and (
            admitted or not receiver.waiters.size
        ):
            self._entrust(envelope, receiver, process)
            self._handover.put_request(receiver, envelope)
        elif receiver is process or not receiver.mailbox or self._processes.get(process.address.process) is not process:
            # It would wait for itself; or for memory, and nothing that is taken there would wake it; or it has ended
            # and cannot wait.
            self._outcomes.undeliverable(envelope, Reason.INBOX_FULL)
        else:
            process.stall = PendingWork(envelope, context, deque(), Poll.RECEIVE, None)
            receiver.waiters.put(None, process)
            return False
        return True

    @staticmethod
    def _has_room(receiver: Process, envelope: Envelope) -> bool:
        mailbox = receiver.mailbox
        return mailbox.has_room() and mailbox.has_memory(size_of(envelope.message, envelope.blob))

    def _may_message(self, sender: Process, target: Process) -> bool:
        launch = target.launch
        return (
            sender is target
            or launch.parent == sender.address.process
            or sender.launch.parent == launch.process
            or self._grants.may_message(sender.address.process, target.address)
        )

    def _to_system(self, process: Process, envelope: Envelope, context: bytes | None) -> bool:
        """Route a request to a system process, or to nobody if there is none of that name."""
        target = envelope.target
        public = self._system.get(target.process)
        if public is None:
            return self._to_nobody(process, envelope, context)
        if public or self._grants.may_message(process.address.process, target):
            self._entrust(envelope, None, process)
            self._handover.to_system(envelope)
        else:
            self._outcomes.undeliverable(envelope, Reason.NO_CAPABILITY)
        return True

    def _to_nobody(self, process: Process, envelope: Envelope, context: bytes | None) -> bool:
        """Handle a request to a process that is not there. If the process is about to be started, the sender waits for
        that, unless it has ended and cannot wait. If the name is that of a system process which this node does not
        have, or of another one for which the node answers, it does so, whoever asks."""
        starting, target = self._state.starting, envelope.target.process
        if self._processes.get(process.address.process) is process and starting.wait(target, process):
            process.stall = PendingWork(envelope, context, deque(), Poll.RECEIVE, None)
            return False
        if target.package_id == SYSTEM or (target in self._state.answered_for and envelope.reply_to is not None):
            self._entrust(envelope, None, process)
            self._handover.to_system(envelope)
        else:
            self._outcomes.undeliverable(envelope, Reason.NO_SUCH_PROCESS)
        return True

    def _to_peer(self, process: Process, envelope: Envelope, context: bytes | None) -> bool:
        reason = self.barrier(process, envelope)
        if reason is not None:
            self._outcomes.undeliverable(envelope, reason)
            return True
        lot = self._in_flight.full(envelope, process)
        if lot is not None:
            return self._wait(process, lot, envelope, context)
        self._entrust(envelope, None, process)
        self._handover.to_peer(envelope, context, process)
        return True

    def _wait(self, process: Process, lot: Lot, envelope: Envelope, context: bytes | None) -> bool:
        """Stall the sender, since it has too much in flight to that node (G24), unless it has ended and cannot wait, or
        there is no memory for what would be the first, and so nothing to wait for."""
        if not lot.messages or self._processes.get(process.address.process) is not process:
            self._outcomes.undeliverable(envelope, Reason.INBOX_FULL)
            return True
        process.stall = PendingWork(envelope, context, deque(), Poll.RECEIVE, None)
        lot.waiters.append(process)
        return False

    def barrier(self, process: Process, envelope: Envelope) -> Reason | None:
        """Return why a message may not leave the node, or None if it may."""
        try:
            envelope.target.validate()
        except BadAddress:
            return Reason.BAD_ADDRESS
        if not self._grants.may_use_network(process.address.process):
            return Reason.NO_CAPABILITY
        return None

    def _entrust(self, envelope: Envelope, holder: Process | None, sender: Process) -> None:
        """Note which process owes the answer now."""
        reply_to = envelope.reply_to
        if reply_to is None:
            return
        address = reply_to.address
        if address is sender.address:
            # A new one to a system process needs no note: none passes on what it is asked. A peer may, even to here.
            if holder is not None or reply_to.id != envelope.id or envelope.target.node != self._our:
                self._outstanding.entrust(reply_to.id, holder, None)
            return
        if address.node != self._our:
            return
        previous = sender if address != sender.address else None
        self._outstanding.entrust(reply_to.id, holder, previous)
