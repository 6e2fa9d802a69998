"""A keeper over a disk in memory and rows in a dict, for tests: it can be stopped at any of its steps."""

from __future__ import annotations

import json
from collections import deque
from itertools import count
from random import Random
from typing import Any

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Reply
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.backup.operations import DeleteObject, GetObject, Listed, ListObjects, PutObject, RemoteOperation
from nectar_node.backup.stores.node_messages import Exchange, NodeAnswer, NodeRequest, exchange
from nectar_node.base.system_processes import BACKUPS, TERMINAL
from nectar_node.contract.actions import Kept, LogLine
from nectar_node.contract.memory_budget import DEFAULT_BYTES, MemoryBudget
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import DiskError, DiskFault, Job, Location
from nectar_node.system.keeper import Keeper
from nectar_node.system.kept_objects import KEPT, OWNERS, decode_untrusted
from nectar_node.system.process import AskKept, Removal
from testnet.sim.disk.disk import SimDisk

KEEPER, OWNER, OTHER = "keeper.nec", "owner.nec", "other.nec"
ROOT = f"{KEEPER}/kept"
GIB = 1 << 30
PACKS = "packs/"
BAD_DISK = DiskError(DiskFault.OTHER, "Input/output error")


class Stopped(Exception):
    """The keeper has been killed."""


def name_of(number: int, prefix: str = PACKS) -> str:
    """The name of some object."""
    return f"{prefix}{number:032x}"


class Keepers:
    """One keeper through its boots, and the nodes that ask it."""

    def __init__(self, capacity: int = GIB) -> None:
        self.ledger = Ledger(f"{KEEPER}/vfs", kept=ROOT)
        self.disk = SimDisk(lambda: 1.0, capacity, self.ledger)
        self.rows: dict[tuple[str, str], bytes] = {}
        """Of the store, durable."""
        self.now = 1000.0
        self.lines: list[str] = []
        self.steps: int | None = None
        """How many things it may still do on the disk before it is killed; None: any number."""
        self.done = 0
        """How many it has done."""
        self.works = True
        """Whether the disk does anything."""
        self.problem: str | None = None
        """Why the store cannot be written."""
        self.memory = MemoryBudget(DEFAULT_BYTES)
        self.keys = {name: name.encode().ljust(32) for name in (OWNER, OTHER)}
        """The nodes' public keys."""
        self._numbers = count(1)
        self._undone: deque[Job | AskKept] = deque()
        self._replies: dict[int, tuple[Any, bytes | None]] = {}
        self.kept: list[Kept] = []
        self.boot()

    def boot(self) -> None:
        """Begin anew with what is durable."""
        tables: dict[str, dict[str, bytes]] = {OWNERS: {}, KEPT: {}}
        for (kind, key), value in self.rows.items():
            tables[kind][key] = value
        owners = decode_untrusted(tables[OWNERS], tables[KEPT])
        numbers = Random(1)
        self._undone.clear()
        self.keeper = Keeper(KEEPER, ROOT, owners, lambda: numbers.getrandbits(64), self.keys.get, self.memory)
        self.keeper.boot()
        self.look()

    def crash(self, seed: int | None = None) -> None:
        """Kill it, perhaps with the whole machine, and boot it again."""
        self.steps = None
        self.memory = MemoryBudget(DEFAULT_BYTES)
        if seed is not None:
            self.disk.lose_unsynced(Random(seed))
        self.boot()

    def accept(self, owner: str = OWNER, quota: int = GIB, *, append_only: bool = False) -> None:
        """Agree to keep something for a node."""
        assert self.keeper.problem(owner) is None
        self.keeper.accept(owner, quota, append_only=append_only)
        self._write()

    def refuse(self, owner: str = OWNER, *, removes: bool = False) -> None:
        """Keep nothing more for a node."""
        self.keeper.refuse(owner, Removal("order") if removes else None)
        self.look()
        self._write()

    def request(
        self,
        request: NodeRequest,
        node: str = OWNER,
        process: ProcessId = TERMINAL,
    ) -> int:
        """Send a request, and return its number."""
        number = next(self._numbers)
        source = Address(node, process)
        message = Request(False, 600, request.body, '"echo"')
        blob = None if request.blob is None else LazyLoadBlob(None, request.blob)
        target = Address(KEEPER, BACKUPS)
        envelope = Envelope(number, source, target, ReplyTo(source, number), message, blob, node != KEEPER)
        self.keeper.receive(envelope, self.now)
        self.look()
        return number

    @property
    def answered(self) -> int:
        """How many requests have been answered."""
        return len(self._replies)

    def answer(self, number: int) -> tuple[Any, bytes | None] | None:
        """The answer to a request, if there is one."""
        return self._replies.get(number)

    def say(
        self, body: object, node: str = OWNER, process: ProcessId = TERMINAL, blob: bytes | None = None
    ) -> tuple[Any, bytes | None]:
        """Send a request, and return its answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.answer(self.request(NodeRequest(data, blob), node, process))
        assert answer is not None
        return answer

    def converse(self, steps: Exchange, node: str = OWNER) -> Any:
        """Carry out an exchange in the name of a node."""
        answer: NodeAnswer | None = None
        try:
            while True:
                request = next(steps) if answer is None else steps.send(answer)
                self.now += request.after
                body, blob = self._answered(self.request(request, node))
                answer = NodeAnswer(json.dumps(body).encode(), blob)
        except StopIteration as end:
            return end.value

    def do(self, operation: RemoteOperation, owner: str = OWNER, node: str | None = None) -> Any:
        """Carry out an operation in the name of a node; raises what a remote raises."""
        return self.converse(exchange(KEEPER, owner, operation), node or owner)

    def put(self, number: int, size: int = 4096, owner: str = OWNER) -> bytes:
        """Put some object, and return its bytes."""
        data = Random(number).randbytes(size)
        self.do(PutObject(name_of(number), data), owner)
        return data

    def get(self, number: int, owner: str = OWNER, node: str | None = None) -> bytes:
        """Return all of some object."""
        data: bytes = self.do(GetObject(name_of(number), 0, 64 << 20), owner, node)
        return data

    def files(self, owner: str = OWNER) -> dict[str, bytes]:
        """What lies on the disk for a node."""
        found = {
            path: self.disk.get(Location(path[0], path[1:])) for path in self.disk.paths() if path[:2] == (ROOT, owner)
        }
        return {"/".join(path[2:]): data for path, data in found.items() if data is not None}

    def sizes(self, owner: str = OWNER) -> dict[str, int]:
        """What is counted for a node."""
        return self.keeper.objects.owners[owner].sizes

    def look(self) -> None:
        """Do what it wants done, as far as the disk works."""
        while True:
            while (action := self.keeper.next_action()) is not None:
                match action:
                    case Job() | AskKept():
                        self._undone.append(action)
                    case Reply(_, reply_to, response, blob):
                        assert response.metadata == '"echo"'
                        data = None if blob is None else bytes(blob.bytes)
                        assert reply_to.id not in self._replies
                        self._replies[reply_to.id] = json.loads(response.body), data
                    case LogLine(_, _, text):
                        self.lines.append(text)
                    case Kept():
                        self.kept.append(action)
                    case _:
                        raise AssertionError(action)
            if not self.works or not self._undone:
                if self.works and self.problem is None and self.keeper.objects.has_changed:
                    self._count()
                    self._write()  # as the store does, whether or not anybody waits for it
                return
            self._count()
            undone = self._undone.popleft()
            if isinstance(undone, Job):
                self.keeper.done(undone, self.disk.perform(undone.operation), self.now)
            else:
                if self.problem is None:
                    self._write()
                self.keeper.kept(undone.token, self.problem, self.now)

    def _write(self) -> None:
        for kind, key, value in self.keeper.objects.changes():
            if value is None:
                self.rows.pop((kind, key), None)
            else:
                self.rows[kind, key] = value

    def _count(self) -> None:
        self.done += 1
        if self.steps is not None:
            if not self.steps:
                raise Stopped
            self.steps -= 1

    def _answered(self, number: int) -> tuple[Any, bytes | None]:
        answer = self.answer(number)
        assert answer is not None
        return answer


class KeptRemote:
    """What a keeper keeps for a node, as a remote of the engine."""

    def __init__(self, keepers: Keepers, owner: str = OWNER, node: str | None = None) -> None:
        self._keepers = keepers
        self._owner = owner
        self._node = node

    def put(self, name: str, data: bytes) -> None:
        self._keepers.do(PutObject(name, data), self._owner, self._node)

    def get(self, name: str, start: int, length: int) -> bytes:
        data: bytes = self._keepers.do(GetObject(name, start, length), self._owner, self._node)
        return data

    def list(self, prefix: str) -> list[Listed]:
        found: list[Listed] = self._keepers.do(ListObjects(prefix), self._owner, self._node)
        return found

    def delete(self, name: str) -> None:
        self._keepers.do(DeleteObject(name), self._owner, self._node)
