"""The router as its parts see it: what they may ask of `kernel.Kernel`, without knowing it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Action
from kernel.contract.guest import Arrival, Failure
from kernel.contract.in_flight import InFlight
from kernel.contract.mailbox import Delivery
from kernel.contract.memory import Memory
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo
from kernel.contract.process import Process
from kernel.router.outstanding import OutstandingTable
from kernel.router.starting import Starting
from kernel.router.trace import Tracer


class Router(Protocol):
    """What the router's parts need of it: its tables, and its means."""

    our: str
    """This node's id."""
    grants: Grants
    """Who holds what."""

    now: float
    """The time of the current event."""
    processes: dict[ProcessId, Process]
    """What runs; the lifecycle alone changes it."""
    expected: Starting
    """What is about to be started."""
    outstanding: OutstandingTable
    """Requests that wait for an answer."""
    memory: Memory
    """Who pays for what waits."""
    abroad: InFlight
    """What is on its way to other nodes."""
    tracer: Tracer | None
    """Is told of every message while somebody looks."""

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

    def hush(self, process: Process) -> None:
        """A process is about to end: what it waits to send it does not send."""

    def bury(self, ended: Sequence[Process]) -> None:
        """Processes have ended, together: tell whoever waits for one of them."""

    def revoke(self, issuers: Collection[Address]) -> None:
        """What processes have issued is worth nothing any more, wherever it is (G21)."""

    def send_as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended."""

    # --- messages ---

    def to_system(self, envelope: Envelope) -> None:
        """Give a request to a system process."""

    def to_peer(self, envelope: Envelope, context: bytes | None, sender: Process | None) -> None:
        """Give a message to the net; see `Parcel`."""

    def put(self, process: Process, delivery: Delivery) -> None:
        """Hand something to a process, now if it waits for a message."""

    def put_request(self, receiver: Process, envelope: Envelope) -> None:
        """Hand it a request; whether it has room was looked at before."""

    def give(
        self,
        process: Process,
        answer: Arrival | Failure,
        prompt: ReplyTo | None,
        keeps_prompt: bool,
        blob: LazyLoadBlob | None,
    ) -> None:
        """Resume a process that waits for just this; the rest as in `Delivery`."""

    def unstall(self, owner: Process, delivery: Delivery) -> None:
        """The request that a process waits to send has run out of time (G24)."""
