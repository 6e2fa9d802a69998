"""What processes send: requests (built in `requests`) and responses (G8, G9, G11).

Each applier brings one effect on its way, and returns False if the process is stalled by it: it waits for room (G24).
Owns nothing but the rules; a request that expects a response is in the `OutstandingTable` before anybody has it.
"""

from __future__ import annotations

from kernel.contract import limits
from kernel.contract.events import Abandoned
from kernel.contract.guest import Arrival, Failure, SendAndAwait, SendAndHear, SendRequest, SendResponse, StopHearing
from kernel.contract.json_text import is_json
from kernel.contract.mailbox import Delivery
from kernel.contract.message import Envelope, Reason, ReplyTo, Request, Response, returned, size_of
from kernel.contract.process import Outstanding, Process, Waiting
from kernel.router.handover import Handover
from kernel.router.lifecycle import Lifecycle
from kernel.router.outcomes import Outcomes
from kernel.router.requests import Requests
from kernel.router.routing import Routing
from kernel.router.state import KernelState

_new = tuple.__new__


class Sending:
    """Applies these effects."""

    def __init__(
        self,
        state: KernelState,
        handover: Handover,
        outcomes: Outcomes,
        routing: Routing,
        requests: Requests,
        lifecycle: Lifecycle,
    ) -> None:
        self._our = state.our
        self._state = state
        self._handover = handover
        self._processes = state.processes
        self._outstanding = state.outstanding
        self._routing = routing
        self._route = routing.route
        self._outcomes = outcomes
        self._requests = requests
        self._build = requests.build
        self._lifecycle = lifecycle

    def send_request(self, process: Process, effect: SendRequest) -> bool:
        """Apply send-request."""
        if self._has_too_much(process):
            return True
        target, request, context, blob = effect
        envelope = self._build(process, target, request, blob)
        if request.expects_response is not None:
            self._expect(process, envelope, request, context)
        if self._state.tracer is not None:
            self._state.tracer.sent(envelope, self._state.now)
        return self._route(process, envelope, context)

    def ask(self, process: Process, effect: SendAndHear) -> bool:
        """Apply a request whose outcome the guest is told."""
        if self._has_too_much(process):
            return True
        number, target, request, blob = effect
        envelope = self._build(process, target, request, blob)
        self._expect(process, envelope, request, None, number)
        process.asks[number] = envelope.id
        if self._state.tracer is not None:
            self._state.tracer.sent(envelope, self._state.now)
        return self._route(process, envelope, None)

    def stop_hearing(self, process: Process, effect: StopHearing) -> bool:
        """Apply the end of a guest's interest in what it has asked: who is still to answer is told."""
        self._outcomes.taken(process, effect.number)
        id = process.asks.pop(effect.number, None)
        entry = None if id is None else self._outstanding.resolve(id)
        if entry is not None:
            self._state.emit(Abandoned(entry.target, ReplyTo(process.address, entry.id)))
        return True

    def send_and_await(self, process: Process, effect: SendAndAwait) -> bool:
        """Apply send-and-await-response (G8)."""
        if self._has_too_much(process):
            return True
        target, request, blob = effect
        envelope = self._build(process, target, request, blob)
        if request.expects_response is None:
            self._lifecycle.trap(process, "send-and-await-response needs a request that expects a response")
            return True
        if envelope.target == process.address:
            self._lifecycle.trap(process, "send-and-await-response to oneself would wait for ever")
            return True
        self._expect(process, envelope, request, None)
        if self._state.tracer is not None:
            self._state.tracer.sent(envelope, self._state.now)
        process.waiting = Waiting.RESPONSE
        process.awaited = envelope.id
        return self._route(process, envelope, None)

    def send_response(self, process: Process, effect: SendResponse) -> bool:
        """Apply send-response: send to the address that the prompt names."""
        if self._has_too_much(process):
            return True
        response, blob = effect
        prompt = process.prompt
        if prompt is None:
            self._state.log(process.address.process, "sent a response, but there is no request to answer")
            return True
        if blob is None and response.inherit:
            blob = process.blob
        if response.capabilities:
            response = response._replace(capabilities=self._requests.attachable(process, response.capabilities))
        envelope = _new(Envelope, (prompt.id, process.address, prompt.address, None, response, blob, False, None))
        if response.metadata is not None and not is_json(response.metadata):
            self._return(process, envelope, Reason.BAD_METADATA)
        elif prompt.address.node == self._our:
            self._answer(process, envelope)
        else:
            self._answer_peer(process, envelope)
        return True

    # --- requests ---------------------------------------------------------------------------------------------------

    def _expect(
        self,
        process: Process,
        envelope: Envelope,
        request: Request,
        context: bytes | None,
        number: int | None = None,
    ) -> None:
        id, _, target, _, _, blob, _, _ = envelope
        assert request.expects_response is not None
        entry = Outstanding(id, process, request, target, self._state.now + request.expects_response)
        entry.prompt = process.prompt
        entry.size = size_of(request, blob) + limits.MESSAGE_MEMORY_BYTES
        entry.blob = blob
        entry.number = number
        if context is not None:
            entry.context = context
            entry.size += len(context)
        self._outstanding.add(entry)

    def _has_too_much(self, process: Process) -> bool:
        """End a process that has too much outstanding, or too many outcomes unreceived; return whether that is so."""
        mailbox = process.mailbox
        count, size = len(process.outstanding) + mailbox.outcomes, process.outstanding_bytes + mailbox.error_bytes
        if count < limits.MAX_OUTSTANDING and size < limits.MAX_OUTSTANDING_BYTES:
            if size < limits.LITTLE_OUTSTANDING_BYTES or not process.account.exhausted:
                return False
            self._lifecycle.trap(process, "its package has all the memory for waiting messages that one may have")
            return True
        self._lifecycle.trap(process, f"it has {count} requests outstanding or outcomes that it does not receive")
        return True

    # --- responses --------------------------------------------------------------------------------------------------

    def _answer(self, process: Process, envelope: Envelope) -> None:
        """Route a response to a request of this node."""
        id, source, target, _, response, blob, _, _ = envelope
        entry = self._outstanding.resolve(id)
        if entry is not None:
            assert isinstance(response, Response)
            self._outcomes.deliver(entry, _new(Arrival, (source, response, entry.context, blob)), blob)
        elif target.process in self._processes or target.process in self._state.system:
            self._outcomes.drop(envelope)
        else:
            self._return(process, envelope, Reason.PROCESS_ENDED)

    def _answer_peer(self, process: Process, envelope: Envelope) -> None:
        """Route a response to a request of another node. It never suspends the process that gives it (G24): a requester
        there that takes no answers would hold up all others."""
        reason = self._routing.barrier(process, envelope)
        if reason is None and self._state.in_flight.full(envelope, process) is not None:
            reason = Reason.QUEUE_FULL
        if reason is None:
            self._handover.to_peer(envelope, None, process)
        else:
            self._return(process, envelope, reason)

    def _return(self, process: Process, envelope: Envelope, reason: Reason) -> None:
        """Return a response that could not be delivered to its sender, with the prompt restored (G15)."""
        self._outcomes.dead(envelope, reason)
        error = returned(envelope, reason)
        prompt = ReplyTo(envelope.target, envelope.id)
        self._handover.put(process, Delivery(Failure(error, None), prompt, False, envelope.blob, 0))
