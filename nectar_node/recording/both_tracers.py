"""A tracer beside the one that a recorded node had: that one sees and tells what it did, and the other one sees all.

Pure. Tests: tests/nectar_node/driver/recordings/test_stops.py, tests/testnet/real/test_recorded.py.
"""

from __future__ import annotations

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Envelope, LazyLoadBlob, Reason, Response
from kernel.router.kernel import Kernel
from kernel.router.trace import Tracer


def listen(kernel: Kernel, listener: Tracer) -> None:
    """Have `listener` told of all messages from now on, whatever the node itself follows; it may follow something else
    after any step, so this is said again before each.
    """
    own = kernel.tracer
    if own is None:
        kernel.tracer = listener
    elif own is not listener and not isinstance(own, BothTracers):
        kernel.tracer = BothTracers(own, listener)


class BothTracers(Tracer):
    """Tells two tracers what the router tells it. What other nodes are told of lineages is the first one's."""

    def __init__(self, own: Tracer, listener: Tracer) -> None:
        """`own` is the node's, and takes the time as it did; `listener` takes that of events."""
        super().__init__("")
        self._own = own
        self._listener = listener

    def sent(self, envelope: Envelope, now: float) -> None:
        """Tell both."""
        self._own.sent(envelope, now)
        self._listener.sent(envelope, now)

    def queued(self, answer: Arrival | Failure, id: int, *, is_request: bool) -> None:
        """Tell both."""
        self._own.queued(answer, id, is_request=is_request)
        self._listener.queued(answer, id, is_request=is_request)

    def handed(self, process: ProcessId, answer: Arrival | Failure, now: float) -> None:
        """Tell both."""
        self._own.handed(process, answer, now)
        self._listener.handed(process, answer, now)

    def passed_on(self, envelope: Envelope, now: float) -> None:
        """Tell both."""
        self._own.passed_on(envelope, now)
        self._listener.passed_on(envelope, now)

    def arrived(self, envelope: Envelope, now: float) -> None:
        """Tell both."""
        self._own.arrived(envelope, now)
        self._listener.arrived(envelope, now)

    def left(self, response: Envelope, now: float) -> None:
        """Tell both."""
        self._own.left(response, now)
        self._listener.left(response, now)

    def answered(self, id: int, source: Address, answer: Response, blob: LazyLoadBlob | None, now: float) -> None:
        """Tell both."""
        self._own.answered(id, source, answer, blob, now)
        self._listener.answered(id, source, answer, blob, now)

    def failed(self, id: int, reason: Reason, now: float) -> None:
        """Tell both."""
        self._own.failed(id, reason, now)
        self._listener.failed(id, reason, now)

    def dropped(self, envelope: Envelope, reason: Reason, now: float) -> None:
        """Tell both."""
        self._own.dropped(envelope, reason, now)
        self._listener.dropped(envelope, reason, now)

    def root_of(self, request: Envelope) -> int | None:
        """Return what the node's own tracer told."""
        return self._own.root_of(request)

    def forget(self, answer: Arrival | Failure) -> None:
        """Tell both."""
        self._own.forget(answer)
        self._listener.forget(answer)

    def ended(self, process: ProcessId) -> None:
        """Tell both."""
        self._own.ended(process)
        self._listener.ended(process)
