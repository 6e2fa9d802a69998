"""What a system process is to the node.

A system process (`x:distro:sys`) is written in Python and pure. It has the five verbs of every state machine here. What
it wants done comes out of `next_action`, in order, and the core carries out one action before it asks for the next: a
process that reads the kernel's state between two actions sees the effect of the first.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.events import Event, Reply, UseState
from kernel.contract.guest import Arrival, Failure, Program
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.contract.actions import BadCode, Kept, LogLine, ShutDown
from nectar_node.contract.http import HttpAction, HttpEvent
from nectar_node.contract.http_client import HttpClientAction
from nectar_node.storage.operations import Job, LeftOut, Outcome, StopJob


class SystemToken(NamedTuple):
    """The token of something that a system process waits for.

    An `Inject` in its own name has one: the outcome then comes to `SystemProcess.answered`. As the receipt of an
    `Inject`, it comes back in `SystemProcess.taken`.
    """

    process: ProcessId
    """The system process that waits."""
    token: object
    """The process's own token."""


class FetchCode(NamedTuple):
    """Read and compile a file of an installed package's folder; `SystemProcess.code_fetched` brings the outcome."""

    package: PackageId
    path: str
    """Path within that folder, such as `/x.wasm`."""
    token: object


class CompileCode(NamedTuple):
    """Compile code that is in memory; `SystemProcess.code_fetched` brings the outcome."""

    code: Buffer
    token: object


class AskKept(NamedTuple):
    """Wait until all that has changed so far is durable, or cannot be written: `SystemProcess.kept` says so."""

    token: object


class Removal(NamedTuple):
    """The order of the node's user to remove what is kept: the saved state of a process that is gone, or the backup of
    another node.
    """

    token: object
    """The token of the `Kept` that says when it is done."""


class Committed(NamedTuple):
    """What has become of a commit with saved states."""

    problem: str | None
    """Why nothing of it is written; None: it is."""
    no_room: LeftOut | None
    """The states that were left out."""


PassedOn = StopJob | LogLine | ShutDown | Kept | HttpAction | HttpClientAction
"""What the core hands to the driver as it is."""
SystemAction = Event | Job | FetchCode | CompileCode | AskKept | PassedOn
"""What a system process wants done. Of the kernel's events mostly `Reply`; also `Inject`, `Start`, `Kill`, …"""


Cause = Envelope | UseState | Removal | Job | Committed | SystemToken | HttpEvent | None
"""What a system process was handling when its code failed: a request, a call, an order of the node's user, a disk job,
a commit, what a browser has done, or the outcome of something that it waits for. None: something else.
"""
SORRY = "the node failed: its log says why"
"""The error of a request whose handling has failed."""


class SystemProcess:
    """A process written in Python. It overrides what concerns it: the defaults do nothing."""

    id: ProcessId
    other_names: tuple[ProcessId, ...] = ()
    """Further names of it, for packages that know it by these."""
    public = False
    """Whether every local process may message it (G18)."""
    remote = False
    """Whether processes of other nodes may send it requests; their envelopes are `claimed` (G3)."""

    def __init__(self) -> None:
        self._out: deque[SystemAction] = deque()
        """Actions that nobody has taken yet, in order."""

    def receive(self, envelope: Envelope, now: float) -> None:
        """Take a request."""
        raise NotImplementedError

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Take the outcome of one of its disk jobs."""

    def code_fetched(self, token: object, program: Program | BadCode, now: float) -> None:
        """Take the outcome of its FetchCode or CompileCode."""

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """Take the outcome of a request that it sent with a SystemToken."""

    def taken(self, token: object, now: float) -> None:
        """Learn that a request with that receipt has been delivered, or cannot be."""

    def kept(self, token: object, problem: str | None, now: float) -> None:
        """Learn that what had changed at its AskKept is durable, or why it cannot be written."""

    def abandoned(self, reply_to: ReplyTo, now: float) -> None:
        """Learn that a process, which runs on, does not want the answer to a request of its any more."""

    def ended(self, process: ProcessId, now: float) -> None:
        """Forget what is kept for a guest's process, which has ended, in whatever way."""

    def next_deadline(self) -> float | None:
        """Return when `on_timer` is due, or None."""
        return None

    def on_timer(self, now: float) -> None:
        """Do everything that is due."""

    def next_action(self) -> SystemAction | None:
        """Return the next action, in order; None: nothing more."""
        return self._out.popleft() if self._out else None

    def recover(self, cause: Cause, now: float) -> None:
        """End what was being handled when its own code failed at `cause`, and that alone.

        The requester gets an error that it knows, and counts are brought in line with what is there.
        """
        raise NotImplementedError


def bare(envelope: Envelope) -> Envelope:
    """Return a request without what its answer does not need, to be kept until it is answered."""
    return envelope._replace(message=Request(False, None, b"", envelope.message.metadata), blob=None)


def metadata_bytes(envelope: Envelope) -> int:
    """Return how many bytes a `bare` request keeps alive."""
    metadata = envelope.message.metadata
    return 0 if metadata is None else len(metadata.encode(errors="replace"))


def reply(source: ProcessId, envelope: Envelope, body: bytes, blob: LazyLoadBlob | None = None) -> Reply | None:
    """Return the response to a request, with its metadata echoed; None: nobody waits for one."""
    if envelope.reply_to is None:
        return None
    response = Response(False, body, envelope.message.metadata)
    return Reply(source, envelope.reply_to, response, blob)
