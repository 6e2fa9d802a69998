"""A vfs over a disk in memory, for tests."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability, canonical
from kernel.contract.events import GrantCapabilities, Inject, Reply
from kernel.contract.guest import Generation
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.base.system_processes import VFS
from nectar_node.contract.actions import LogLine
from nectar_node.contract.generations import GenerationOf
from nectar_node.storage.operations import STOPPED, Job, StopJob
from nectar_node.system.vfs import Vfs
from testnet.sim.disk import SimDisk

OUR = "our.nec"
APP = ProcessId("main", "app", "sys")
OTHER = ProcessId("main", "other", "sys")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value."""


class Drives:
    """A vfs over a disk in memory, which works only when told to."""

    def __init__(self, generation: GenerationOf = lambda _: Generation.EARLY) -> None:
        self.held: set[tuple[ProcessId, Capability]] = set()
        self.awaited: dict[ReplyTo, float] = {}
        """Until when, where the kernel knows."""
        self.vfs = Vfs(OUR, "drives", self._holds, self.awaited.get, generation=generation)
        self.now = 0.0
        self.disk = SimDisk(lambda: 1.0, capacity=1 << 28)
        self.jobs: list[Job] = []
        """All there were."""
        self.undone: deque[Job] = deque()
        self.stopped: list[int] = []
        """The tickets of jobs that are to be given up."""
        self.lines: list[LogLine] = []
        self.replies: list[Reply] = []
        self.told: list[Inject] = []
        """The requests that the vfs has sent."""

    def _holds(self, holder: ProcessId, wanted: Capability) -> bool:
        return (holder, canonical(wanted)) in self.held

    def hold(self, holder: ProcessId, params: str) -> None:
        """Let a process hold a capability of the vfs."""
        self.held.add((holder, canonical(Capability(Address(OUR, VFS), params))))

    def send(
        self, body: bytes, blob: LazyLoadBlob | None = None, source: ProcessId = APP, *, awaited: bool = True
    ) -> None:
        """Give the vfs a request, and see what it wants."""
        address = Address(OUR, source)
        request = Request(False, 5, body, '"echo me"')
        reply_to = ReplyTo(address, len(self.replies)) if awaited else None
        self.vfs.receive(Envelope(1, address, Address(OUR, VFS), reply_to, request, blob), 0.0)
        self.look()

    def look(self) -> None:
        """Take what the vfs wants done."""
        while (action := self.vfs.next_action()) is not None:
            match action:
                case Reply():
                    self.replies.append(action)
                case GrantCapabilities(holder, capabilities):
                    self.held.update((holder, each) for each in capabilities)
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
        self.vfs.done(job, STOPPED if job.ticket in self.stopped else self.disk.perform(job.operation), self.now)
        self.look()

    def pass_to(self, time: float) -> None:
        """Let it be that time."""
        self.now = time
        self.vfs.on_timer(time)
        self.look()

    def end(self, process: ProcessId) -> None:
        """A process has ended."""
        self.vfs.ended(process, 0.0)
        self.look()

    def ask_raw(self, body: bytes, blob: LazyLoadBlob | None = None, source: ProcessId = APP) -> Reply | None:
        """One request, done; its answer."""
        before = len(self.replies)
        self.send(body, blob, source)
        while self.undone:
            self.work()
        answers = self.replies[before:]
        assert len(answers) < 2
        return answers[0] if answers else None

    def ask(
        self, path: str, action: object, blob: bytes | None = None, source: ProcessId = APP, mime: str | None = None
    ) -> Any:
        """One request, done; its answer's JSON, and its blob if it has one."""
        carried = LazyLoadBlob(mime, blob) if blob is not None else None
        reply = self.ask_raw(json.dumps({"path": path, "action": action}).encode(), carried, source)
        assert reply is not None
        value = json.loads(reply.response.body)
        return (value, reply.blob.bytes) if reply.blob is not None else value
