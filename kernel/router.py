"""The router as its parts see it: what they may ask of `kernel.Kernel`, without knowing it."""

from __future__ import annotations

from typing import Protocol

from kernel.address import Address, ProcessId
from kernel.events import Action
from kernel.grants import Grants
from kernel.guest import Arrival, Failure
from kernel.mailbox import Delivery
from kernel.message import Envelope, LazyLoadBlob, Reason
from kernel.process import Outstanding, Process
from kernel.trace import Tracer


class Router(Protocol):
    """What `lifecycle`, `calls` and `outside` need of the kernel's router."""

    our: str
    """This node's id."""
    grants: Grants
    """Who holds what."""

    @property
    def now(self) -> float:
        """The time of the current event."""

    def emit(self, action: Action) -> None:
        """Add an action to those of the current event."""

    def say(self, process: ProcessId, text: str) -> None:
        """A line in the node's log."""

    def is_system(self, process: ProcessId) -> bool:
        """Whether this is the id of a system process."""

    def fresh_id(self) -> int:
        """An unused u64."""

    def answer_call(self, process: Process, answer: object) -> None:
        """Answer the call that a process waits for."""

    def bury(self, process: Process) -> None:
        """A process has ended: tell whoever waits for it."""

    def revoke(self, issuer: Address) -> None:
        """What a process has issued is worth nothing any more, wherever it is (G21)."""

    def send_as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended."""

    # --- messages ---

    tracer: Tracer | None
    """Is told of every message while somebody looks."""

    def to_system(self, envelope: Envelope) -> None:
        """Give a request to a system process."""

    def to_peer(self, envelope: Envelope, context: bytes | None, sender: Process | None) -> None:
        """Give a message to the net; see `Parcel`."""

    def put(self, process: Process, delivery: Delivery) -> None:
        """Hand something to a process, now if it waits for a message."""

    def put_request(self, receiver: Process, envelope: Envelope) -> None:
        """Hand it a request; whether it has room was looked at before."""

    def outcome(self, entry: Outstanding, answer: Arrival | Failure, blob: LazyLoadBlob | None) -> None:
        """The one outcome of a request that has been taken out of the table (G5)."""

    def fail(self, entry: Outstanding, reason: Reason) -> None:
        """The same: it has failed."""

    def undeliverable(self, envelope: Envelope, reason: Reason) -> None:
        """A request reached nobody (G14)."""

    def drop(self, envelope: Envelope) -> None:
        """A response that nobody waits for (G5)."""

    def dead(self, envelope: Envelope, reason: Reason) -> None:
        """A message reached nobody (G16)."""
