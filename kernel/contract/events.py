"""The events that the kernel takes and the actions that it gives: the whole specification of its boundary.

Events go into `Kernel.handle` with the time; actions come out, in the order in which they are to be carried out. Those
on the per-message path are named tuples (see `kernel.contract.message`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.guest import Answer, Arrival, Effect, End, Failure, Poll, Program, SpawnError
from kernel.contract.message import Envelope, LazyLoadBlob, OnExit, Reason, ReplyTo, Request, Response
from kernel.contract.process import Launch, Lot, Process, Remnant

# --- events ---------------------------------------------------------------------------------------------------------


class Polled(NamedTuple):
    """A guest was polled and left these effects behind."""

    process: ProcessId
    poll: Poll
    effects: list[Effect]
    end: End | None
    """How the guest ended, with ENDED."""


class FromPeer(NamedTuple):
    """A message from another node; its source's node is the one that the session authenticated (G3)."""

    envelope: Envelope
    receipt: object
    """Comes back in `Taken` when the message is delivered; until then it counts against the peer's credit (G24)."""


class PeerFailed(NamedTuple):
    """A message for another node that definitively cannot be delivered (G13)."""

    parcel: Parcel
    reason: Reason


class PeerTook(NamedTuple):
    """Messages for another node have been taken by the kernel there."""

    parcels: Sequence[Parcel]
    """In the order in which they were taken."""


class Inject(NamedTuple):
    """A system process sends a request; `Answered` brings the outcome if it expects a response."""

    source: ProcessId
    target: Address
    request: Request
    blob: LazyLoadBlob | None
    token: object
    receipt: object = None
    """Comes back in `Taken` when the request, which expects no response, is delivered or cannot be: until then it waits
    for capacity at a process of this node, as a message from a peer does (G24). None: it waits for none.
    """


class Reply(NamedTuple):
    """A system process answers a request."""

    source: ProcessId
    reply_to: ReplyTo
    response: Response
    blob: LazyLoadBlob | None


@dataclass(frozen=True, slots=True)
class Start:
    """The node's user starts a process and grants it capabilities."""

    launch: Launch
    capabilities: tuple[Capability, ...]


@dataclass(frozen=True, slots=True)
class Expect:
    """Processes are about to be started: what is sent to them waits until `Settled` (`kernel.router.starting`)."""

    processes: tuple[ProcessId, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Processes that were about to be started have been, or will not be."""

    processes: tuple[ProcessId, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """The node's user, or a process that may, ends a process; no on-exit runs (G22)."""

    process: ProcessId
    revokes: bool = True
    """Whether all capabilities that it issued are revoked (G21)."""


@dataclass(frozen=True, slots=True)
class KillAll:
    """The node's user ends all these processes in one step: nothing that one of them is about to do, such as to spawn
    another, happens any more."""

    processes: tuple[ProcessId, ...]


@dataclass(frozen=True, slots=True)
class Initialize:
    """Make a process without running it: what is sent to it waits in its inbox, in order, until `Run`. Nothing happens
    if its name is reserved or taken (`Lifecycle.objection`)."""

    launch: Launch
    capabilities: tuple[Capability, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Run a process that was made by `Initialize`; nothing happens to any other."""

    process: ProcessId


@dataclass(frozen=True, slots=True)
class Restore:
    """Let a process run again that ran before the node went down, with what it holds still (G26)."""

    remnant: Remnant
    program: Program


@dataclass(frozen=True, slots=True)
class Restored:
    """All processes that ran before the node went down run again, or cannot."""


@dataclass(frozen=True, slots=True)
class GrantCapabilities:
    """Let a process hold these capabilities; the sender of the event has checked that it may (G21)."""

    holder: ProcessId
    capabilities: tuple[Capability, ...]


@dataclass(frozen=True, slots=True)
class WithdrawCapabilities:
    """Take these capabilities from a process."""

    holder: ProcessId
    capabilities: tuple[Capability, ...]


@dataclass(frozen=True, slots=True)
class ChangeOnExit:
    """Set what happens when a process ends (G22)."""

    process: ProcessId
    on_exit: OnExit


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of `Load`."""

    process: ProcessId
    program: Program | SpawnError
    """The code, or NO_FILE_AT_PATH also for a file that is not a process: the loader has logged why (G25)."""


@dataclass(frozen=True, slots=True)
class StateUsed:
    """The outcome of `UseState`."""

    token: object
    """The token of the `UseState`."""
    state: bytes | None
    """The bytes that a GET has read, or None."""
    problem: str | None = None
    """Why it could not be done; the process traps, since the interface has no other way to tell it."""


class Tick(NamedTuple):
    """The time of `Kernel.next_deadline` has come."""


Event = (
    Polled
    | FromPeer
    | PeerFailed
    | PeerTook
    | Inject
    | Reply
    | Start
    | Expect
    | Settled
    | Kill
    | KillAll
    | Initialize
    | Run
    | Restore
    | Restored
    | GrantCapabilities
    | WithdrawCapabilities
    | ChangeOnExit
    | Loaded
    | StateUsed
    | Tick
)

# --- actions --------------------------------------------------------------------------------------------------------


class ResumeGuest(NamedTuple):
    """Give a suspended guest its answer and let it run."""

    process: ProcessId
    answer: Answer | OnExit | ProcessId | SpawnError


class TellGuest(NamedTuple):
    """Tell a guest, which may be running, the outcome of a `SendAndHear`."""

    process: ProcessId
    number: int
    outcome: Arrival | Failure


class Abandoned(NamedTuple):
    """Tell who was asked that nobody waits for the answer any more: its requester runs, and does not want it."""

    target: Address
    reply_to: ReplyTo


class Continue(NamedTuple):
    """Let a pre-empted guest run on."""

    process: ProcessId


@dataclass(frozen=True, slots=True)
class Begin:
    """Make a guest and let it run."""

    launch: Launch
    address: Address


@dataclass(frozen=True, slots=True)
class CloseGuest:
    """Drop a guest, whatever state it is in."""

    process: ProcessId


class Parcel(NamedTuple):
    """A message in flight to another node, with what its sender gets back if it fails (G6, G14, G15)."""

    envelope: Envelope
    context: bytes | None
    prompt: ReplyTo | None
    """The sender's prompt when it sent this; restored with the error."""
    sender: Process | None
    """The sender, which tells this life of it from later ones; None: a system process."""
    size: int
    """Bytes that the message keeps alive here."""
    lot: Lot
    """The account that it counts against while it is in flight."""


class Taken(NamedTuple):
    """Acknowledge a message from a peer, which is delivered."""

    receipt: object


@dataclass(frozen=True, slots=True)
class Load:
    """Read and compile a process's code from its package's drive; `Loaded` brings the outcome."""

    process: ProcessId
    package: PackageId
    path: str


class StateAction(enum.Enum):
    """What a process does with its saved state (G27)."""

    GET = "get"
    SET = "set"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class UseState:
    """Read or change a process's saved state; `StateUsed` comes when it is done, for a change when it is durable."""

    process: ProcessId
    token: object
    """Tells this life of the process from later ones: an outcome that comes too late must not answer a later call."""
    action: StateAction
    state: bytes = b""


class Answered(NamedTuple):
    """The outcome of an `Inject` that expected a response."""

    token: object
    answer: Arrival | Failure


class Output(NamedTuple):
    """A process printed, or the kernel has something to say about it."""

    process: ProcessId
    verbosity: int
    text: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that reached nobody, and why (G16)."""

    time: float
    envelope: Envelope
    reason: Reason


class Ancestor(NamedTuple):
    """A request that waits for its answer, while one that was sent because of it is handled."""

    source: Address
    """Who is to get the answer; if that is on another node, the process is what that node says (G3)."""
    target: Address
    body: bytes
    """Empty if it is not known here, since the request was sent on another node."""


@dataclass(frozen=True, slots=True)
class Trapped:
    """A process has trapped: what people need to find out why."""

    time: float
    address: Address
    end: End
    handled: Arrival | Failure | None
    """What it was handling, or the answer that it got last meanwhile; None: it had not asked for a message yet."""
    lineage: tuple[Ancestor, ...]
    """The requests that wait for the outcome, the nearest first; each was sent while the next one was handled."""
    started: float
    """When this life of it began."""
    restarts: int
    """How often it had started again before."""
    again: float | None
    """Seconds until it starts again; None: it does not."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended, for good or until its restart; its on-exit requests are on their way."""

    process: ProcessId
    trap: str | None = None
    """Why it trapped, if it did."""


Action = (
    ResumeGuest
    | TellGuest
    | Abandoned
    | Continue
    | Begin
    | CloseGuest
    | Parcel
    | Envelope
    | Taken
    | Load
    | UseState
    | Output
    | DeadLetter
    | Answered
    | Trapped
    | Ended
)
"""What the kernel wants done. An `Envelope` is a message to hand to a system process of this node."""
