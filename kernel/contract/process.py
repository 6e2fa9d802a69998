"""One process's bookkeeping: plain state, changed by the router alone."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from kernel.contract.address import Address, ProcessId
from kernel.contract.descent import Kin
from kernel.contract.fair_queue import FairQueue
from kernel.contract.guest import Arrival, Effect, End, Failure, Poll, Program
from kernel.contract.mailbox import Mailbox
from kernel.contract.memory import Account
from kernel.contract.message import Envelope, LazyLoadBlob, OnExit, ReplyTo, Request


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is started; kept for its restarts (G22)."""

    process: ProcessId
    program: Program
    on_exit: OnExit
    public: bool
    parent: ProcessId | None = None
    """The process that spawned it; the two may message each other (G18)."""
    path: str = ""
    """The path in the vfs that it was spawned from; empty: another way."""
    returns: bool = True
    """Whether it runs again after a reboot of its node (G26)."""


class Remnant(NamedTuple):
    """What is kept of a process, so that it runs again after a reboot (G26)."""

    process: ProcessId
    digest: str
    """The SHA-256 of its code, in hex."""
    path: str
    """As in `Launch`."""
    on_exit: OnExit
    public: bool
    parent: ProcessId | None
    ancestors: tuple[ProcessId, ...]
    """Those from which it descends, the nearest first; some may have ended."""
    runs: bool
    """Whether it has been run, after it was initialized."""
    waits: float | None
    """Seconds until its restart when that was decided; None: it does not wait for a restart."""
    back_off: float | None
    """Seconds before its next restart; None: it has not been restarted."""
    restarts: int


class Waiting(enum.Enum):
    """What a process does, as the kernel sees it."""

    NOTHING = "running"
    RECEIVE = "waiting for a message"
    RESPONSE = "awaiting a response"
    CALL = "waiting for the kernel"
    SLEEP = "sleeping"
    ROOM = "waiting for room in another inbox"
    RUN = "initialized, not run yet"
    END = "being ended"


class Outstanding:
    """A request that waits for its answer (G5): it leaves the kernel's table with exactly one outcome."""

    __slots__ = (
        "blob",
        "context",
        "deadline",
        "holders",
        "id",
        "number",
        "owner",
        "prompt",
        "request",
        "size",
        "target",
        "token",
        "untracked",
    )

    def __init__(
        self,
        id: int,
        owner: Process | None,
        request: Request,
        target: Address,
        deadline: float,
    ) -> None:
        self.id = id
        self.owner = owner
        """The process that sent it; None: a system process, which gets the outcome by its token."""
        self.request = request
        self.target = target
        self.deadline = deadline
        self.context: bytes | None = None
        self.blob: LazyLoadBlob | None = None
        self.number: int | None = None
        """The guest's own number of a `SendAndHear`; None: the outcome is a message."""
        self.prompt: ReplyTo | None = None
        """The owner's prompt when it sent this (G9); without an owner, where the answer goes."""
        self.token: object = None
        self.size = 0
        """Bytes of body, context and blob."""
        self.holders: list[Process] = []
        """Local processes that owe the answer; if all of them end, nobody will give it (G14)."""
        self.untracked = False
        """Whether the answer may come from where no end is seen: another node, or a system process."""


class PendingWork(NamedTuple):
    """What a process that waits for capacity still has to do once there is some (G24)."""

    envelope: Envelope
    context: bytes | None
    rest: deque[Effect]
    """Effects of the same poll that are not applied yet."""
    poll: Poll
    end: End | None


class Parked(NamedTuple):
    """A message from a peer that waits for capacity, or for its target to be started; its receipt, and so the peer's
    credit, is held back. Or a request of a system process that does."""

    envelope: Envelope
    receipt: object
    """The peer's receipt, or that of a system process's request; None for one that waits for no capacity."""


class Lot:
    """The messages in flight from one sender to one node, as an account. It lives as long as a process or a message
    refers to it."""

    __slots__ = (
        "__weakref__",
        "account",
        "bytes",
        "messages",
        "most_bytes",
        "most_messages",
        "node",
        "outer",
        "waiters",
    )

    def __init__(self, node: str, most_messages: float, most_bytes: float, outer: Lot | None, account: Account) -> None:
        self.node = node
        self.most_messages = most_messages
        self.most_bytes = most_bytes
        self.outer = outer
        """The lot in which everything of this one counts too."""
        self.account = account
        """The account that pays for the memory."""
        self.messages = 0
        self.bytes = 0
        self.waiters: deque[Process] = deque()
        """Processes that wait for this one, in order."""

    def has_room(self) -> bool:
        """Whether one more message, of any size, may be sent. With nothing in flight it may: nothing that goes could
        wake a process that waits."""
        if not self.messages:
            return True
        return self.messages < self.most_messages and self.bytes < self.most_bytes and self.account.has_room()


class Process:
    """A running process."""

    __slots__ = (
        "account",
        "address",
        "alarm",
        "answers_in_flight",
        "asks",
        "awaited",
        "blob",
        "handled",
        "kin",
        "launch",
        "mailbox",
        "messages",
        "on_exit",
        "outstanding",
        "outstanding_bytes",
        "outstanding_paid",
        "owes",
        "prompt",
        "requests_in_flight",
        "stall",
        "started_at",
        "told",
        "untaken",
        "waiters",
        "waiting",
    )

    def __init__(self, address: Address, launch: Launch, account: Account, kin: Kin, now: float) -> None:
        self.address = address
        self.launch = launch
        self.kin = kin
        self.on_exit: OnExit = launch.on_exit
        self.started_at = now
        self.mailbox = Mailbox(account)
        self.waiting = Waiting.NOTHING
        self.awaited = 0
        """The id of the request whose response it awaits, while `waiting` says so."""
        self.prompt: ReplyTo | None = None
        self.blob: LazyLoadBlob | None = None
        """The blob of the message being handled (G11)."""
        self.handled: Arrival | Failure | None = None
        """The message that it got last, until it waits for the next one."""
        self.outstanding: set[int] = set()
        self.account = account
        """Pays for what waits for the process, and for what the process waits for."""
        self.outstanding_bytes = 0
        self.outstanding_paid = 0
        """Bytes of its outstanding requests that the account was charged for (`outstanding`)."""
        self.owes: set[int] = set()
        """Ids of outstanding requests, of processes on this node, whose answer this one owes."""
        self.stall: PendingWork | None = None
        self.waiters: FairQueue[Process | Parked] = FairQueue()
        """What waits for capacity in this mailbox, in order (G4); nodes take turns."""
        self.requests_in_flight: Lot | None = None
        """Counts its requests to the node to which it sent the last one."""
        self.answers_in_flight: Lot | None = None
        """Counts its answers to the node to which it gave the last one."""
        self.messages = 0
        """Messages handed to it so far."""
        self.asks: dict[int, int] = {}
        """Ids of its outstanding `SendAndHear`s, by the guest's own numbers."""
        self.untaken: dict[int, int] = {}
        """Bytes of the outcomes of those that it was told and has not taken, by the same numbers; its account pays."""
        self.told = False
        """Whether it has been told an outcome of one since it slept last."""
        self.alarm = 0
        """The number of its last sleep."""

    def waits_still(self, before: PendingWork | None) -> bool:
        """Return whether the process waits to send the same message as before it has tried."""
        return self.stall is not None and before is not None and self.stall.envelope is before.envelope

    def __repr__(self) -> str:
        return f"<Process {self.address} {self.waiting.value}, {len(self.mailbox)} in the inbox>"
