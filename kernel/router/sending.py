"""What processes send, and what goes along implicitly: the reply-to, the blob, the id (G9, G10, G11).

Each applier sends what one effect says, and returns False if the process is stalled by it, waiting for capacity (G24).
Owns nothing but the rules. A request that expects a response is in the `OutstandingTable` before it is routed.
"""

from __future__ import annotations

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address
from kernel.contract.capability import Capability
from kernel.contract.guest import Arrival, Failure, SendAndAwait, SendRequest, SendResponse
from kernel.contract.json_text import is_json
from kernel.contract.mailbox import Delivery
from kernel.contract.message import Envelope, LazyLoadBlob, Reason, ReplyTo, Request, Response, returned, size_of
from kernel.contract.process import Outstanding, Process, Waiting
from kernel.router.lifecycle import Lifecycle
from kernel.router.outcomes import Outcomes
from kernel.router.router import Router
from kernel.router.routing import Routing

_new = tuple.__new__


class Sending:
    """Applies these effects."""

    def __init__(self, router: Router, routing: Routing, outcomes: Outcomes, lifecycle: Lifecycle) -> None:
        self._our = router.our
        self._router = router
        self._processes = router.processes
        self._outstanding = router.outstanding
        self._routing = routing
        self._route = routing.route
        self._outcomes = outcomes
        self._lifecycle = lifecycle

    def send_request(self, process: Process, effect: SendRequest) -> bool:
        """Apply send-request."""
        if self._has_too_much(process):
            return True
        target, request, context, blob = effect
        envelope = self._envelope(process, target, request, blob)
        if request.expects_response is not None:
            self._expect(process, envelope, request, context)
        if self._router.tracer is not None:
            self._router.tracer.sent(envelope, self._router.now)
        return self._route(process, envelope, context)

    def send_and_await(self, process: Process, effect: SendAndAwait) -> bool:
        """Apply send-and-await-response (G8)."""
        if self._has_too_much(process):
            return True
        target, request, blob = effect
        envelope = self._envelope(process, target, request, blob)
        if request.expects_response is None:
            self._lifecycle.trap(process, "send-and-await-response needs a request that expects a response")
            return True
        if envelope.target == process.address:
            self._lifecycle.trap(process, "send-and-await-response to oneself would wait for ever")
            return True
        self._expect(process, envelope, request, None)
        if self._router.tracer is not None:
            self._router.tracer.sent(envelope, self._router.now)
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
            self._router.say(process.address.process, "sent a response, but there is no request to answer")
            return True
        if blob is None and response.inherit:
            blob = process.blob
        if response.capabilities:
            response = response._replace(capabilities=self._attachable(process, response.capabilities))
        envelope = _new(Envelope, (prompt.id, process.address, prompt.address, None, response, blob, False))
        if response.metadata is not None and not is_json(response.metadata):
            self._return(process, envelope, Reason.BAD_METADATA)
        elif prompt.address.node == self._our:
            self._answer(process, envelope)
        else:
            self._answer_peer(process, envelope)
        return True

    def again(self, process: Process, envelope: Envelope, context: bytes | None, admitted: bool) -> bool:
        """Send what had to wait. `admitted`: its turn has come, whatever else waits."""
        return self._route(process, envelope, context, admitted)

    def as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended, in its name (G22)."""
        for target, request, blob in process.on_exit.requests:
            stripped = request._replace(expects_response=None, inherit=False)
            envelope = self._envelope(process, target, stripped, blob)
            if self._router.tracer is not None:
                self._router.tracer.sent(envelope, self._router.now)
            self._route(process, envelope, None)

    # --- requests ---------------------------------------------------------------------------------------------------

    def _envelope(self, process: Process, target: Address, request: Request, blob: LazyLoadBlob | None) -> Envelope:
        id = self._router.fresh_id()
        inherit = request.inherit
        if request.expects_response is not None:
            reply_to: ReplyTo | None = _new(ReplyTo, (process.address, id))
        else:
            reply_to = process.prompt if inherit else None
        if blob is None and inherit:
            blob = process.blob
        if target.node == OUR_NODE:
            known = self._processes.get(target.process)
            target = Address(self._our, target.process) if known is None else known.address
        if request.capabilities:
            request = request._replace(capabilities=self._attachable(process, request.capabilities))
        return _new(Envelope, (id, process.address, target, reply_to, request, blob, False))

    def _expect(self, process: Process, envelope: Envelope, request: Request, context: bytes | None) -> None:
        id, _, target, _, _, blob, _ = envelope
        assert request.expects_response is not None
        entry = Outstanding(id, process, request, target, self._router.now + request.expects_response)
        entry.prompt = process.prompt
        entry.size = size_of(request, blob) + limits.MESSAGE_MEMORY_BYTES
        entry.blob = blob
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

    def _attachable(self, process: Process, capabilities: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Return those capabilities that a process may attach to a message; others are left out and logged (G20)."""
        ours = process.address
        kept = self._router.grants.attachable(ours, capabilities)
        if len(kept) < len(capabilities):
            self._router.say(ours.process, "attached a capability that it neither issues nor holds; it was left out")
        return kept

    # --- responses --------------------------------------------------------------------------------------------------

    def _answer(self, process: Process, envelope: Envelope) -> None:
        """Route a response to a request of this node."""
        id, source, target, _, response, blob, _ = envelope
        entry = self._outstanding.resolve(id)
        if entry is not None:
            assert isinstance(response, Response)
            self._outcomes.deliver(entry, _new(Arrival, (source, response, entry.context, blob)), blob)
        elif target.process in self._processes or self._router.is_system(target.process):
            self._outcomes.drop(envelope)
        else:
            self._return(process, envelope, Reason.PROCESS_ENDED)

    def _answer_peer(self, process: Process, envelope: Envelope) -> None:
        """Route a response to a request of another node. It never suspends the process that gives it (G24): a requester
        there that takes no answers would hold up all others."""
        reason = self._routing.barrier(process, envelope)
        if reason is None and self._router.abroad.full(envelope, process) is not None:
            reason = Reason.QUEUE_FULL
        if reason is None:
            self._router.to_peer(envelope, None, process)
        else:
            self._return(process, envelope, reason)

    def _return(self, process: Process, envelope: Envelope, reason: Reason) -> None:
        """Return a response that could not be delivered to its sender, with the prompt restored (G15)."""
        self._outcomes.dead(envelope, reason)
        error = returned(envelope, reason)
        prompt = ReplyTo(envelope.target, envelope.id)
        self._router.put(process, Delivery(Failure(error, None), prompt, False, envelope.blob, 0))
