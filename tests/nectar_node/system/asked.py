"""A system process for databases over a disk in memory, for tests."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability, canonical
from kernel.contract.events import GrantCapabilities, Reply, WithdrawCapabilities
from kernel.contract.guest import Generation
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.databases.databases import Databases
from nectar_node.storage.ledger import Ledger, Quotas
from nectar_node.storage.operations import Job
from testnet.sim.disk import SimDisk

OUR = "our.nec"
APP = ProcessId("main", "app", "sys")
SIBLING = ProcessId("second", "app", "sys")
OTHER = ProcessId("main", "other", "sys")
PACKAGE = {"package_name": "app", "publisher_node": "sys"}


class Asked:
    """One of them over a disk in memory, which works only when told to."""

    def __init__(self, kind: type[Databases[Any]], quota: int = 1 << 30) -> None:
        self.held: set[tuple[ProcessId, Capability]] = set()
        self.holds_too_much = False
        """Whether nobody can be granted anything."""
        self.generations: dict[ProcessId, Generation] = {}
        self.process: Databases[Any] = kind(OUR, "drives", self._holds, self._generation)
        self.disk = SimDisk(lambda: 1.0, ledger=Ledger("drives", Quotas(bytes=quota)))
        self.disk.open_store("node", "drives")
        for package in ("app:sys", "other:sys"):
            self.disk.perform(self.disk.ledger.measure(package))
        self.undone: deque[Job] = deque()
        self.jobs: list[Job] = []
        """All there were."""
        self.replies: list[Reply] = []
        self._number = 0

    def _holds(self, holder: ProcessId, wanted: Capability) -> bool:
        return (holder, canonical(wanted)) in self.held

    def _generation(self, process: ProcessId) -> Generation:
        return self.generations.get(process, Generation.LATE)

    def hold(self, holder: ProcessId, kind: str, db: str) -> None:
        """Let a process hold a capability for a database of APP."""
        params = json.dumps({"kind": kind, "db_key": [PACKAGE, db]})
        self.held.add((holder, canonical(Capability(Address(OUR, self.process.id), params))))

    def send(self, body: bytes, blob: bytes | None = None, source: ProcessId = APP) -> None:
        """Give it a request, and see what it wants."""
        address, self._number = Address(OUR, source), self._number + 1
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        request = Request(False, 5, body, '"echo me"')
        to = Address(OUR, self.process.id)
        envelope = Envelope(self._number, address, to, ReplyTo(address, self._number), request, carried)
        self.process.receive(envelope, 0.0)
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
                case Job():
                    self.jobs.append(action)
                    self.undone.append(action)
                case _:
                    raise AssertionError(action)

    def work(self) -> None:
        """Do all jobs."""
        while self.undone:
            job = self.undone.popleft()
            self.process.done(job, self.disk.perform(job.operation), 0.0)
            self.look()

    def put(self, action: object, blob: bytes | None = None, source: ProcessId = APP, db: str = "d") -> None:
        """Send a request for a database of APP."""
        self.send(json.dumps({"package_id": PACKAGE, "db": db, "action": action}).encode(), blob, source)

    def ask(self, action: object, blob: bytes | None = None, source: ProcessId = APP, db: str = "d") -> Any:
        """One request for a database of APP, done; its answer's JSON, and its blob if it has one."""
        before = len(self.replies)
        self.put(action, blob, source, db)
        self.work()
        (reply,) = self.replies[before:]
        assert reply.response.metadata == '"echo me"'
        value = json.loads(reply.response.body)
        return (value, reply.blob.bytes) if reply.blob is not None else value

    def boot_again(self) -> None:
        """Let the disk be that of a node that boots again."""
        ledger = Ledger("drives", self.disk.ledger.quotas)
        self.disk.ledger = ledger
        self.disk.open_store("node", "drives")
        for package in ("app:sys", "other:sys"):
            self.disk.perform(ledger.measure(package))
