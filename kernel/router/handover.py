"""Hands messages over: to processes, to system processes, and to the net."""

from __future__ import annotations

from kernel.contract.events import Parcel, ResumeGuest
from kernel.contract.guest import Arrival, Failure
from kernel.contract.mailbox import Delivery
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request, size_of
from kernel.contract.process import Process, Waiting
from kernel.router.state import KernelState

# Names of their own for what every message needs: looking up a member of an enumeration takes 70 nanoseconds, and a
# named tuple's own constructor 100 more than the one below it. Together they are a twelfth of a round trip.
_NOTHING, _RECEIVE = Waiting.NOTHING, Waiting.RECEIVE
_new = tuple.__new__


class Handover:
    """The last step of a message: a process gets it, and what comes with it."""

    def __init__(self, state: KernelState) -> None:
        self._our = state.our
        self._state = state
        self._grants = state.grants
        self._in_flight = state.in_flight

    # --- to processes -----------------------------------------------------------------------------------------------

    def answer_call(self, process: Process, answer: object) -> None:
        """Answer the call that a process waits for, unless the process is being ended."""
        if process.waiting is Waiting.END:
            return
        process.waiting = Waiting.NOTHING
        self._state.actions.append(ResumeGuest(process.address.process, answer))  # type: ignore[arg-type]

    def give(
        self,
        process: Process,
        answer: Arrival | Failure,
        prompt: ReplyTo | None,
        keeps_prompt: bool,
        blob: LazyLoadBlob | None,
    ) -> None:
        """Resume a process with a message; the other parameters are as in `Delivery`."""
        state = self._state
        if state.tracer is not None:
            state.tracer.handed(process.address.process, answer, state.now)
        if type(answer) is Arrival and answer.message.capabilities:
            self._grants.receive(process.address.process, answer.message.capabilities)
        if not keeps_prompt:
            process.prompt = prompt
        process.blob = blob
        process.handled = answer
        process.waiting = _NOTHING
        process.messages += 1
        state.actions.append(_new(ResumeGuest, (process.address.process, answer)))

    def put(self, process: Process, delivery: Delivery, node: str | None = None) -> None:
        """Deliver to a process: now if it waits for a message, otherwise through its mailbox, as what has come from
        `node` (None: this one)."""
        if process.waiting is _RECEIVE:
            self.give(process, *delivery[:4])  # then its mailbox is empty
        else:
            process.mailbox.put(delivery, node)

    def put_request(self, receiver: Process, envelope: Envelope) -> None:
        """Deliver a request to a process that has capacity, or for a sender that need not wait."""
        id, source, _, reply_to, message, blob, _, _ = envelope
        arrival = _new(Arrival, (source, message, None, blob))
        if self._state.tracer is not None:
            self._state.tracer.queued(arrival, id, is_request=True)
        if receiver.waiting is _RECEIVE:
            self.give(receiver, arrival, reply_to, reply_to is None, blob)
            return
        weight = size_of(message, blob) + 1
        delivery = _new(Delivery, (arrival, reply_to, reply_to is None, blob, weight))
        receiver.mailbox.put(delivery, None if source.node == self._our else source.node)

    # --- elsewhere ----------------------------------------------------------------------------------------------------

    def to_system(self, envelope: Envelope) -> None:
        """Give a request to a system process."""
        if self._state.tracer is not None:
            self._state.tracer.passed_on(envelope, self._state.now)
        self._state.actions.append(envelope)

    def to_peer(self, envelope: Envelope, context: bytes | None, sender: Process | None) -> None:
        """Give a message to the net (see `Parcel`)."""
        message, blob = envelope.message, envelope.blob
        if self._state.tracer is not None:
            if isinstance(message, Request):
                self._state.tracer.passed_on(envelope, self._state.now)
            else:
                self._state.tracer.left(envelope, self._state.now)
        prompt = None if sender is None else sender.prompt
        size = size_of(message, blob) + (0 if context is None else len(context))
        lot = self._in_flight.sent(envelope, sender, size)
        self._state.actions.append(_new(Parcel, (envelope, context, prompt, sender, size, lot)))
