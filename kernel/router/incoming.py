"""Messages that do not come from a guest of this node: from other nodes, and from system processes."""

from __future__ import annotations

from kernel.contract.address import OUR_NODE, Address, ProcessId
from kernel.contract.events import Expect, FromPeer, Inject, Parcel, PeerFailed, PeerTook, Reply, Settled, Taken
from kernel.contract.guest import Arrival, Failure
from kernel.contract.mailbox import Delivery
from kernel.contract.message import Envelope, Reason, ReplyTo, Request, Response, returned
from kernel.contract.process import Outstanding, Parked, Process
from kernel.router.backpressure import Backpressure
from kernel.router.handover import Handover
from kernel.router.outcomes import Outcomes
from kernel.router.starting import Waiter
from kernel.router.state import KernelState

_new = tuple.__new__


class IncomingEvents:
    """Handles these events."""

    def __init__(self, state: KernelState, handover: Handover, outcomes: Outcomes, backpressure: Backpressure) -> None:
        self._state = state
        self._handover = handover
        self._outcomes = outcomes
        self._backpressure = backpressure
        self._processes = state.processes
        self._outstanding = state.outstanding
        self._in_flight = state.in_flight
        self._starting = state.starting

    def on_from_peer(self, event: FromPeer) -> None:
        """Deliver a message from another node: to a process that may use the network, when it has capacity
        (G19, G24).
        """
        envelope, receipt = event
        if type(envelope.message) is Response:
            self._state.emit(_new(Taken, (receipt,)))
            self._on_peer_response(envelope)
            return
        receiver = self._processes.get(envelope.target.process)
        if receiver is None and self._starting.wait(envelope.target.process, Parked(envelope, receipt)):
            return  # it is delivered when that has been started
        if self._state.tracer is not None:
            self._state.tracer.sent(envelope, self._state.now)
        if receiver is None:
            # Those of this node are there, but not for other nodes.
            local = envelope.target.process in self._state.system
            self._refuse(event, Reason.NO_CAPABILITY if local else Reason.NO_SUCH_PROCESS)
        elif not self._state.grants.may_use_network(envelope.target.process):
            self._refuse(event, Reason.NO_CAPABILITY)
        elif receiver.mailbox.has_room() and not receiver.waiters:
            self._state.emit(_new(Taken, (receipt,)))
            self._handover.put_request(receiver, envelope)
        else:
            receiver.waiters.put(envelope.source.node, Parked(envelope, receipt))

    def _refuse(self, event: FromPeer, reason: Reason) -> None:
        self._state.emit(Taken(event.receipt))
        self._outcomes.dead(event.envelope, reason)

    def _on_peer_response(self, envelope: Envelope) -> None:
        entry = self._outstanding.get(envelope.id)
        if entry is not None and not entry.untracked:
            self._outcomes.drop(envelope)  # no other node has ever had it to answer
        elif entry is None or entry.owner is None or entry.owner.address != envelope.target:
            if entry is not None and entry.owner is None and envelope.target.process in self._state.system:
                self._resolve_from_peer(envelope)
                return
            self._outcomes.drop(envelope)
        elif not self._state.grants.may_use_network(envelope.target.process):
            self._outcomes.dead(envelope, Reason.NO_CAPABILITY)
        else:
            self._resolve_from_peer(envelope)

    def _resolve_from_peer(self, envelope: Envelope) -> None:
        entry = self._outstanding.resolve(envelope.id)
        assert entry is not None
        answer = _new(Arrival, (envelope.source, envelope.message, entry.context, envelope.blob))
        self._outcomes.deliver(entry, answer, envelope.blob)

    def on_peer_took(self, event: PeerTook) -> None:
        """Note that another node's kernel has taken messages. Those of one lot, as nearly all are, count together."""
        tracer = self._state.tracer
        if tracer is not None:
            for parcel in event.parcels:
                tracer.arrived(parcel.envelope, self._state.now)
        lot, size, count = None, 0, 0
        for _, _, _, _, more, each in event.parcels:
            if each is not lot:
                if lot is not None and self._in_flight.gone(lot, size, count):
                    self._backpressure.freed(lot)
                lot, size, count = each, 0, 0
            size += more
            count += 1
        if lot is not None and self._in_flight.gone(lot, size, count):
            self._backpressure.freed(lot)

    def on_peer_failed(self, event: PeerFailed) -> None:
        """Handle a message for another node that came back."""
        self._failed(event.parcel, event.reason)
        self._gone(event.parcel)

    def _gone(self, parcel: Parcel) -> None:
        """Account for a message that is no longer in flight."""
        if self._in_flight.gone(parcel.lot, parcel.size):
            self._backpressure.freed(parcel.lot)

    def _failed(self, parcel: Parcel, reason: Reason) -> None:
        """Return a message with context and prompt to the life that sent it (G14, G15)."""
        envelope, context, prompt, life, _, _ = parcel
        message = envelope.message
        if isinstance(message, Request) and message.expects_response is not None:
            entry = self._outstanding.resolve(envelope.id)
            if entry is not None:
                self._outcomes.fail(entry, reason)
            self._outcomes.dead(envelope, reason)  # also where the time was up before: it says why
            return
        self._outcomes.dead(envelope, reason)
        sender = self._processes.get(envelope.source.process)
        if sender is not None and sender is life:
            error = returned(envelope, reason)
            self._handover.put(sender, Delivery(Failure(error, context), prompt, False, envelope.blob, 0))

    def on_inject(self, event: Inject) -> None:
        """Send a system process's request, in the node's own name: it needs no capability, and capacity only if it has
        a receipt.
        """
        source, target, request, blob, token, receipt = event
        id = self._state.fresh_id()
        if target.node == OUR_NODE:
            target = Address(self._state.our, target.process)
        ours = Address(self._state.our, source)
        reply_to = None
        if request.expects_response is not None:
            reply_to = ReplyTo(ours, id)
            entry = Outstanding(id, None, request, target, self._state.now + request.expects_response)
            entry.blob, entry.token, entry.prompt = blob, token, reply_to
            self._outstanding.add(entry)
        envelope = Envelope(id, ours, target, reply_to, request, blob)
        if self._state.tracer is not None:
            self._state.tracer.sent(envelope, self._state.now)
        if target.node != self._state.our:
            if self._in_flight.full(envelope, None) is None:
                if reply_to is not None:
                    self._outstanding.entrust(id, None, None)
                self._handover.to_peer(envelope, None, None)
            else:
                self._outcomes.undeliverable(envelope, Reason.INBOX_FULL)
            return
        self._place(envelope, receipt)

    def _place(self, envelope: Envelope, receipt: object) -> None:
        """Deliver a system process's request on this node."""
        target = envelope.target.process
        receiver = self._processes.get(target)
        if receipt is not None:
            waits = receiver is not None and (receiver.waiters or not receiver.mailbox.has_room())
            if receiver is not None and waits:
                receiver.waiters.put(None, Parked(envelope, receipt))
                return
            if receiver is None and self._starting.wait(target, Parked(envelope, receipt)):
                return
            self._state.emit(_new(Taken, (receipt,)))
        if receiver is not None:
            if envelope.reply_to is not None:
                self._outstanding.entrust(envelope.id, receiver, None)
            self._handover.put_request(receiver, envelope)
        elif target in self._state.system:
            self._handover.to_system(envelope)
        elif not self._starting.wait(target, Parked(envelope, None)):
            self._outcomes.undeliverable(envelope, Reason.NO_SUCH_PROCESS)

    def on_reply(self, event: Reply) -> None:
        """Deliver a system process's answer to a request."""
        source, reply_to, response, blob = event
        envelope = Envelope(reply_to.id, Address(self._state.our, source), reply_to.address, None, response, blob)
        if reply_to.address.node != self._state.our:
            if self._in_flight.full(envelope, None) is None:
                self._handover.to_peer(envelope, None, None)
            else:
                self._outcomes.dead(envelope, Reason.INBOX_FULL)
            return
        entry = self._outstanding.resolve(reply_to.id)
        if entry is not None:
            self._outcomes.deliver(entry, Arrival(envelope.source, response, entry.context, blob), blob)
        else:
            self._outcomes.drop(envelope)

    # --- processes that are about to be started ---------------------------------------------------------------------

    def on_expect(self, event: Expect) -> None:
        """Make messages to these processes wait from now on."""
        self._starting.add(event.processes)

    def on_settled(self, event: Settled) -> None:
        """Let all that waits for these processes go on: they have been started, or will not be."""
        for process in event.processes:
            for waiter in self._starting.take(process):
                self._go_on(process, waiter)

    def _go_on(self, process: ProcessId, waiter: Waiter) -> None:
        if isinstance(waiter, Process):
            self._backpressure.retry(waiter)
        elif isinstance(waiter, Delivery):
            self._inherit(process, waiter)
        elif waiter.envelope.source.node != self._state.our:
            self.on_from_peer(FromPeer(*waiter))
        elif waiter.envelope.reply_to is None or waiter.envelope.id in self._outstanding:
            self._place(*waiter)  # otherwise it has timed out meanwhile

    def _inherit(self, process: ProcessId, delivery: Delivery) -> None:
        """Hand over a request that the former process of this name has not taken, whatever capacity there is."""
        assert isinstance(delivery.answer, Arrival)
        receiver, source, prompt = self._processes.get(process), delivery.answer.source, delivery.prompt
        is_remote = source.node != self._state.our
        if receiver is None or (is_remote and not self._state.grants.may_use_network(process)):
            reason = Reason.PROCESS_ENDED if receiver is None else Reason.NO_CAPABILITY
            self._outcomes.disinherit(Address(self._state.our, process), delivery, reason)
            return
        if prompt is not None and prompt.address.node == self._state.our:
            self._outstanding.entrust(prompt.id, receiver, None)
        self._handover.put(receiver, delivery, source.node if is_remote else None)
