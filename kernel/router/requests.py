"""The requests of processes as they leave: with the id, the reply-to and the blob that go along (G9, G10, G11)."""

from __future__ import annotations

from kernel.contract.address import OUR_NODE, Address
from kernel.contract.capability import Capability
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from kernel.contract.process import Process
from kernel.router.routing import Routing
from kernel.router.state import KernelState

_new = tuple.__new__


class Requests:
    """The requests of guests, which become envelopes with their blobs and deadlines."""

    def __init__(self, state: KernelState, routing: Routing) -> None:
        self._our = state.our
        self._state = state
        self._processes = state.processes
        self._route = routing.route

    def build(self, process: Process, target: Address, request: Request, blob: LazyLoadBlob | None) -> Envelope:
        """The envelope of a request that a process sends."""
        id = self._state.fresh_id()
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
            request = request._replace(capabilities=self.attachable(process, request.capabilities))
        return _new(Envelope, (id, process.address, target, reply_to, request, blob, False, None))

    def attachable(self, process: Process, capabilities: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Return those capabilities that a process may attach to a message; others are left out and logged (G20)."""
        ours = process.address
        kept = self._state.grants.attachable(ours, capabilities)
        if len(kept) < len(capabilities):
            self._state.log(ours.process, "attached a capability that it neither issues nor holds; it was left out")
        return kept

    def send_as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended, in its name (G22)."""
        for target, request, blob in process.on_exit.requests:
            stripped = request._replace(expects_response=None, inherit=False)
            envelope = self.build(process, target, stripped, blob)
            if self._state.tracer is not None:
                self._state.tracer.sent(envelope, self._state.now)
            self._route(process, envelope, None)
