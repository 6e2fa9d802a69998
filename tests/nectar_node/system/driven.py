"""A system process over a disk in memory, for tests."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability, canonical
from kernel.contract.events import GrantCapabilities, Inject, Reply, WithdrawCapabilities
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.contract.actions import LogLine
from nectar_node.storage.operations import STOPPED, Job, StopJob
from nectar_node.system.process import SystemProcess
from testnet.sim.disk.disk import SimDisk

OUR = "our.nec"
APP = ProcessId("main", "app", "sys")
OTHER = ProcessId("main", "other", "sys")
_METADATA = '"echo me"'

P = TypeVar("P", bound=SystemProcess)


class Driven(Generic[P]):
    """A system process over a disk in memory, which works only when told to."""

    def __init__(self, make: Callable[[Callable[[ProcessId, Capability], bool]], P], disk: SimDisk) -> None:
        """`make` is given what says whether a process holds a capability."""
        self.held: set[tuple[ProcessId, Capability]] = set()
        self.holds_too_much = False
        """Whether nobody can be granted anything."""
        self.process = make(self._holds)
        self.disk = disk
        self.now = 0.0
        self.number = 0
        """Of the last request."""
        self.jobs: list[Job] = []
        """All there were."""
        self.undone: deque[Job] = deque()
        self.stopped: list[int] = []
        """The tickets of jobs that are to be given up."""
        self.lines: list[LogLine] = []
        self.replies: list[Reply] = []
        self.told: list[Inject] = []
        """The requests that it has sent."""

    def _holds(self, holder: ProcessId, wanted: Capability) -> bool:
        return (holder, canonical(wanted)) in self.held

    def hold(self, holder: ProcessId, params: str) -> None:
        """Let a process hold a capability that this one has issued."""
        self.held.add((holder, canonical(Capability(Address(OUR, self.process.id), params))))

    def send(
        self, body: bytes, blob: LazyLoadBlob | None = None, source: ProcessId = APP, *, awaited: bool = True
    ) -> None:
        """Give it a request, and see what it wants."""
        self.number += 1
        address = Address(OUR, source)
        request, reply_to = Request(False, 5, body, _METADATA), ReplyTo(address, self.number) if awaited else None
        to = Address(OUR, self.process.id)
        self.process.receive(Envelope(self.number, address, to, reply_to, request, blob), 0.0)
        self.look()

    def look(self) -> None:
        """Take what it wants done."""
        while (action := self.process.next_action()) is not None:
            match action:
                case Reply():
                    self.replies.append(action)
                case GrantCapabilities(holder, capabilities):
                    self.held.update((holder, each) for each in capabilities if not self.holds_too_much)
                case WithdrawCapabilities(holder, capabilities):
                    self.held.difference_update((holder, each) for each in capabilities)
                case Inject():
                    self.told.append(action)
                case LogLine():
                    self.lines.append(action)
                case StopJob(ticket):
                    self.stopped.append(ticket)
                case Job():
                    self.jobs.append(action)
                    self.undone.append(action)
                case _:
                    raise AssertionError(action)

    def work(self) -> None:
        """Do one job, or give it up."""
        job = self.undone.popleft()
        self.process.done(job, STOPPED if job.ticket in self.stopped else self.disk.perform(job.operation), self.now)
        self.look()

    def finish(self) -> None:
        """Do all jobs."""
        while self.undone:
            self.work()

    def pass_to(self, time: float) -> None:
        """Let it be that time."""
        self.now = time
        self.process.on_timer(time)
        self.look()

    def end(self, process: ProcessId) -> None:
        """A process has ended."""
        self.process.ended(process, 0.0)
        self.look()

    def ask_raw(self, body: bytes, blob: LazyLoadBlob | None = None, source: ProcessId = APP) -> Reply | None:
        """One request, done; its answer."""
        before = len(self.replies)
        self.send(body, blob, source)
        self.finish()
        answers = self.replies[before:]
        assert len(answers) < 2
        assert all(each.response.metadata == _METADATA for each in answers)
        return answers[0] if answers else None

    def ask_json(self, value: object, blob: LazyLoadBlob | None = None, source: ProcessId = APP) -> Any:
        """One request, done; its answer's JSON, and its blob if it has one."""
        reply = self.ask_raw(json.dumps(value).encode(), blob, source)
        assert reply is not None
        got = json.loads(reply.response.body)
        return (got, reply.blob.bytes) if reply.blob is not None else got
