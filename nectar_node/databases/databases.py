"""What the system processes for packages' databases have in common: names, rights, order, transactions and errors.

Body: {"package_id": {"package_name", "publisher_node"}, "db": name, "action": …}. A database belongs to the package in
whose name it was opened, whose processes may read and write it; others need {"kind": "read" or "write", "db_key":
[package_id, name]} from this process, which "Open" gives to the opener to pass on.

Requests on one database are done in the order in which they came, and what comes while a commit is under way goes into
the next one together. A transaction ("BeginTx") is the list of what was requested with its number: nothing of it is
done before "Commit", then all or nothing. It ends with the process that began it.

Errors have the shape that the requester's interface has for them (`nectar_node.contract.generations`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability, canonical
from kernel.contract.errors import BadAddress
from kernel.contract.events import GrantCapabilities, Reply, WithdrawCapabilities
from kernel.contract.guest import Generation
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob
from nectar_node.base.system_processes import TERMINAL
from nectar_node.contract.generations import GenerationOf, error_answer
from nectar_node.contract.json_shapes import (
    RequestRefused,
    bad_request,
    dump,
    field_untrusted,
    number_untrusted,
    variant_untrusted,
)
from nectar_node.storage.operations import (
    DATABASES,
    DiskError,
    DiskFault,
    Job,
    Location,
    OpenDatabase,
    Operation,
    Outcome,
    RemoveDatabase,
    Values,
)
from nectar_node.storage.package_databases import file_of
from nectar_node.system.process import SORRY, Cause, SystemAction, SystemProcess, bare, metadata_bytes, reply
from nectar_node.system.vfs_queue import Pending, VfsQueue

MAX_BODY_BYTES = 1 << 20
"""Bytes of a request's body: a key is an array of numbers, and bulk data travels in the blob."""
MAX_NAME_BYTES = 256
"""Bytes of a database's name."""
MAX_DATABASES = 128
"""Databases of one package, of both kinds together."""
MAX_TRANSACTIONS = 64
"""Transactions of one package that are begun and not ended, in one of these processes."""
MAX_TRANSACTION_BYTES = 64 << 20
"""Bytes that one transaction collects: more would hold a worker thread up for seconds."""
_PARSED = 40
"""Bytes of memory that one byte of JSON becomes at most, as in the vfs."""
_STEP_BYTES = 64
"""Bytes of memory that one entry of a transaction takes beside its data."""

Holds = Callable[[ProcessId, Capability], bool]
S = TypeVar("S")


class Wrong(Exception):
    """A request that is not done: by which of the errors in `ERRORS`, and in which words."""

    def __init__(self, kind: str, text: str = "", number: int = 0) -> None:
        super().__init__(text)
        self.kind = kind
        """`NoDb`, `NoTx`, `NoWriteCap`, `NoReadCap`, `NotOwn`, `NotGiven`, `Malformed`, `Io`, `Database`, or one of a
        process's own."""
        self.text = text
        self.number = number
        """The transaction that there is not."""


class Name(NamedTuple):
    """A database, as requests name it."""

    package: PackageId
    db: str

    def json(self) -> list[object]:
        """Return it as later interfaces and capabilities have it."""
        return [{"package_name": self.package.package, "publisher_node": self.package.publisher}, self.db]


class _Package(msgspec.Struct):
    package_name: str
    publisher_node: str


class _Asked(msgspec.Struct):
    """The body of a request."""

    package_id: _Package
    db: str
    action: Any


_ASKED = msgspec.json.Decoder(_Asked)


@dataclass(slots=True)
class Transaction(Generic[S]):
    """What was requested in one transaction."""

    name: Name
    owner: ProcessId
    steps: list[S] = field(default_factory=list)
    bytes: int = 0


class Gathers(Enum):
    """Which requests that follow each other on a database are done in one operation."""

    ALONE = 0
    READS = 1
    WRITES = 2
    """They share one commit."""


class DatabaseTask(NamedTuple):
    """A request that waits for the disk, or is being done."""

    envelope: Envelope
    """The bare request."""
    name: Name
    action: str
    work: object
    """What the process needs to do it."""
    gathers: Gathers
    """Which others may be done with it."""
    grants: bool = False
    """Whether its sender gets the database's capabilities."""


@dataclass(slots=True)
class _Line:
    """The requests for one database that may be done now, in order."""

    waiting: deque[Pending[DatabaseTask]] = field(default_factory=deque)
    going: tuple[Pending[DatabaseTask], ...] = ()


class Databases(SystemProcess, ABC, Generic[S]):
    """One kind of databases; `S` is one step of a transaction."""

    kind: str
    """The beginning of its files' names."""
    commits = Gathers.WRITES
    """Whether commits of different requests may become one."""
    reads: frozenset[str]
    """The actions that need the right to read; "Open" and "RemoveDb" are the owner's, all others write."""

    def __init__(self, our: str, root: str, holds: Holds, generation: GenerationOf, memory: Memory = UNMETERED) -> None:
        """`root` is the folder of all drives; `holds` tells whether a process holds a capability, and `generation`
        which shapes it knows; `memory` pays for what waits.
        """
        super().__init__()
        self._address = Address(our, self.id)
        self._root = root
        self._holds = holds
        self.generation = generation
        self._memory = memory
        self._queue: VfsQueue[DatabaseTask] = VfsQueue(memory)
        self._lines: dict[str, _Line] = {}
        self._transactions: dict[int, Transaction[S]] = {}
        self._of_package: Counter[PackageId] = Counter()
        """How many transactions processes of each package have begun."""
        self._number = 0
        self._given: deque[tuple[SystemAction, DatabaseTask]] = deque()
        """Grants among the actions, and the requests that are answered after them."""
        self._granted: DatabaseTask | None = None
        """The request whose grant was the last action."""

    # --- what each kind has of its own -------------------------------------------------------------------------------

    @abstractmethod
    def take_untrusted(self, envelope: Envelope, name: Name, action: str, argument: Any) -> None:
        """Do one of its own actions, or queue it (`wait`), or put it into a transaction (`collect`); raises Wrong."""

    @abstractmethod
    def commit(self, steps: list[S]) -> object:
        """Return the work of a task that commits a transaction."""

    @abstractmethod
    def operation(self, location: Location, tasks: Sequence[DatabaseTask]) -> Operation:
        """Return the operation that does some tasks of one database, which may be done together."""

    def learn(self, place: str, tasks: Sequence[DatabaseTask], outcome: Outcome) -> None:
        """Take note of what a job on the database there has read or written, before anybody is answered."""

    def forget(self, place: str) -> None:
        """Rely on nothing that was known of the database there: it is not known what a job has done."""

    @abstractmethod
    def answer(self, task: DatabaseTask, outcome: Outcome, generation: Generation) -> tuple[object, Buffer | None]:
        """Return the answer to a task that is done; raises Wrong."""

    # --- the five verbs ---------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Queue a request, or refuse it."""
        name, action = None, ""
        try:
            name, action, argument = self._parse_untrusted(envelope)
            self._check_rights(envelope.source.process, name, action)
            self._take_untrusted(envelope, name, action, argument)
        except RequestRefused as refused:
            self._refuse(envelope, Wrong("Malformed", str(refused)), name, action)
        except Wrong as wrong:
            self._refuse(envelope, wrong, name, action)
        self._go_on()

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Answer the requests whose operation is done."""
        going = job.owner
        assert isinstance(going, tuple)
        self.learn(job.lane, [pending.task for pending in going], outcome)
        if len(going) > 1 and isinstance(outcome, DiskError) and outcome.fault is not DiskFault.NOT_FOUND:
            self._line(job.lane).going = ()
            self._begin_alone(job.lane, going)  # one of them may have been too much: the others are done
            return
        line = self._line(job.lane)
        if isinstance(outcome, Values):
            line.waiting.extendleft(reversed(going[len(outcome.values) :]))  # for which there was no room in it
            going = going[: len(outcome.values)]
        for place, pending in enumerate(going):
            if pending in self._queue:
                self._finish(pending.task, outcome.values[place] if isinstance(outcome, Values) else outcome)
                self._queue.finished(pending)
        line.going = ()
        self._go_on()

    def ended(self, process: ProcessId, now: float) -> None:
        """End the transactions of a process that has ended."""
        for number in [n for n, each in self._transactions.items() if each.owner == process]:
            self._end(number)

    def recover(self, cause: Cause, now: float) -> None:
        """Answer the requests whose handling has failed."""
        failed: list[Envelope] = [cause] if isinstance(cause, Envelope) else []
        if isinstance(cause, Job) and isinstance(cause.owner, tuple):
            failed = [pending.task.envelope for pending in cause.owner if pending in self._queue]
            self._line(cause.lane).going = ()
            self.forget(cause.lane)
        numbers = {envelope.id for envelope in failed}
        forgotten = {id(each) for each in self._queue.mend(lambda task: task.envelope.id in numbers)}
        for line in self._lines.values():
            line.waiting = deque(each for each in line.waiting if id(each) not in forgotten)
        for envelope in failed:
            self._refuse(envelope, Wrong("Io", SORRY), None, "")
        self._go_on()

    # --- requests ---------------------------------------------------------------------------------------------------

    def _parse_untrusted(self, envelope: Envelope) -> tuple[Name, str, Any]:
        body = envelope.message.body
        if len(body) > MAX_BODY_BYTES:
            raise bad_request(f"the body is longer than {MAX_BODY_BYTES} bytes")
        try:
            asked = _ASKED.decode(body)  # its texts can be written as UTF-8, or it is no JSON
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_request(str(error)) from None
        action, argument = variant_untrusted(asked.action)
        package = asked.package_id
        return _name_untrusted(package.package_name, package.publisher_node, asked.db), action, argument

    def _check_rights(self, caller: ProcessId, name: Name, action: str) -> None:
        if caller.package_id == name.package or (action == "RemoveDb" and caller == TERMINAL):
            return  # its own, or it is the node's user who removes what a package has left
        if action in ("Open", "RemoveDb"):
            raise Wrong("NotOwn", f"{name.db} belongs to {name.package}")
        kind = "read" if action in self.reads else "write"
        if not self._holds(caller, self._right_to(name, kind)):
            raise Wrong("NoReadCap" if kind == "read" else "NoWriteCap", f"{action} of {name.db} of {name.package}")

    def _right_to(self, name: Name, kind: str) -> Capability:
        return canonical(Capability(self._address, json.dumps({"kind": kind, "db_key": name.json()})))

    def _take_untrusted(self, envelope: Envelope, name: Name, action: str, argument: Any) -> None:
        match action:
            case "Open":
                self.wait(envelope, name, action, OpenDatabase(self.locate(name), MAX_DATABASES), grants=True)
            case "RemoveDb":
                for number in [n for n, each in self._transactions.items() if each.name == name]:
                    self._end(number)
                self.wait(envelope, name, action, RemoveDatabase(self.locate(name)))
            case "BeginTx":
                self.respond(envelope, {"BeginTx": {"tx_id": self._begin_transaction(envelope, name)}}, None)
            case "Commit":
                number = number_untrusted(field_untrusted(argument, "tx_id"), (1 << 64) - 1)
                transaction = self.transaction(number, name)
                self._check_room(envelope.source.process, 0)
                self._end(number)  # what it keeps alive is the queue's from now on
                work = self.commit(transaction.steps)
                self.wait(envelope, name, action, work, gathers=self.commits, more=transaction.bytes)
            case _:
                self.take_untrusted(envelope, name, action, argument)

    def locate(self, name: Name) -> Location:
        """Return the file of a database."""
        return _locate(self._root, self.kind, name)[0]

    def place(self, name: Name) -> str:
        """Return the lane of a database's jobs."""
        return _locate(self._root, self.kind, name)[1]

    def is_idle(self, place: str) -> bool:
        """Whether no request on the database there waits or is being done."""
        return place not in self._lines

    def respond(self, envelope: Envelope, value: object, blob: Buffer | None) -> None:
        """Answer a request."""
        if (answer := self.answer_to(envelope, value, blob)) is not None:
            self._out.append(answer)

    def answer_to(self, envelope: Envelope, value: object, blob: Buffer | None) -> Reply | None:
        """Return the answer to a request; None: nobody waits for one."""
        return reply(self.id, envelope, dump(value), LazyLoadBlob(None, blob) if blob is not None else None)

    def wait(
        self,
        envelope: Envelope,
        name: Name,
        action: str,
        work: object,
        *,
        gathers: Gathers = Gathers.ALONE,
        grants: bool = False,
        more: int | None = None,
    ) -> None:
        """Queue a request; raises Wrong if too much waits. `more` are bytes that were accounted for before."""
        caller = envelope.source.process
        weight = _PARSED * len(envelope.message.body) + metadata_bytes(envelope)
        weight += len(envelope.blob.bytes) if envelope.blob is not None else 0
        if more is None:
            self._check_room(caller, weight)
        weight += more or 0
        task = DatabaseTask(bare(envelope), name, action, work, gathers, grants)
        self._queue.put(Pending(task, (self.place(name),), False, caller, weight))

    def _check_room(self, caller: ProcessId, weight: int) -> None:
        if not self._queue.has_room(caller, weight):
            raise Wrong("Io", "too much waits for the disk already")

    # --- transactions -----------------------------------------------------------------------------------------------

    def _begin_transaction(self, envelope: Envelope, name: Name) -> int:
        caller = envelope.source.process
        if self._of_package[caller.package_id] >= MAX_TRANSACTIONS:
            raise Wrong("Io", f"the package has begun {MAX_TRANSACTIONS} transactions already: commit one")
        self._number += 1
        self._transactions[self._number] = Transaction(name, caller)
        self._of_package[caller.package_id] += 1
        return self._number

    def transaction(self, number: int, name: Name) -> Transaction[S]:
        """Return a transaction of a database; raises Wrong."""
        transaction = self._transactions.get(number)
        if transaction is None or transaction.name != name:
            raise Wrong("NoTx", f"there is no transaction {number}", number)
        return transaction

    def collect(self, envelope: Envelope, transaction: Transaction[S], step: S, size: int) -> None:
        """Add a step of `size` bytes to a transaction, and say so; raises Wrong."""
        account = self._memory.of_process(transaction.owner)
        size += _STEP_BYTES
        if transaction.bytes + size > MAX_TRANSACTION_BYTES or not account.may_add(size):
            raise Wrong("Io", f"a transaction holds at most {MAX_TRANSACTION_BYTES} bytes: commit it")
        transaction.steps.append(step)
        transaction.bytes += size
        account.add(size)
        self.respond(envelope, "Ok", None)

    def _end(self, number: int) -> None:
        transaction = self._transactions.pop(number)
        self._memory.of_process(transaction.owner).remove(transaction.bytes)
        self._of_package -= Counter([transaction.owner.package_id])  # which forgets those without any

    # --- work -------------------------------------------------------------------------------------------------------

    def _line(self, lane: str) -> _Line:
        return self._lines.setdefault(lane, _Line())

    def _go_on(self) -> None:
        """Submit what may be done now."""
        while (pending := self._queue.next()) is not None:
            self._line(pending.places[0]).waiting.append(pending)
        for lane, line in [*self._lines.items()]:
            if not line.going and line.waiting:
                line.going = self._take_together(line)
                self._submit(lane, line.going)
            elif not line.going:
                del self._lines[lane]

    def _take_together(self, line: _Line) -> tuple[Pending[DatabaseTask], ...]:
        taken = [line.waiting.popleft()]
        size = taken[0].weight
        kind = taken[0].task.gathers
        while line.waiting and kind is not Gathers.ALONE and line.waiting[0].task.gathers is kind:
            size += line.waiting[0].weight
            if len(taken) >= MAX_TOGETHER or size > MAX_TOGETHER_BYTES:
                break
            taken.append(line.waiting.popleft())
        return tuple(taken)

    def _begin_alone(self, lane: str, pending: tuple[Pending[DatabaseTask], ...]) -> None:
        line = self._line(lane)
        for each in reversed(pending):
            each.task = each.task._replace(gathers=Gathers.ALONE)
            line.waiting.appendleft(each)
        self._go_on()

    def _submit(self, lane: str, going: tuple[Pending[DatabaseTask], ...]) -> None:
        tasks = [pending.task for pending in going]
        work = tasks[0].work
        if not isinstance(work, (OpenDatabase, RemoveDatabase)):
            work = self.operation(self.locate(tasks[0].name), tasks)
        self._out.append(Job(work, lane, going, str(going[0].caller.package_id)))

    def _finish(self, task: DatabaseTask, outcome: Outcome) -> None:
        generation = self.generation(task.envelope.source.process)
        try:
            if isinstance(outcome, DiskError) and outcome.fault is DiskFault.NOT_FOUND:
                raise Wrong("NoDb", f"there is no database {task.name.db} of {task.name.package}: open it")
            if isinstance(outcome, DiskError):
                raise Wrong("Io" if outcome.fault is DiskFault.FULL else "Database", outcome.text)
            value, blob = self.answer(task, outcome, generation)
        except Wrong as wrong:
            self._refuse(task.envelope, wrong, task.name, task.action)
            return
        if task.grants and not self._holds_all(task):
            # To its opener (G20), to pass them on; whether there is room for them shows when that is done.
            self._out.append(GrantCapabilities(task.envelope.source.process, self._rights_to(task.name)))
            self._given.append((self._out[-1], task))
            return
        if task.action == "RemoveDb":
            self._out.append(WithdrawCapabilities(task.envelope.source.process, self._rights_to(task.name)))
        self.respond(task.envelope, value, blob)

    def next_action(self) -> SystemAction | None:
        """Return the next action; after a grant, the answer to who gets it comes first."""
        if self._granted is not None:
            task, self._granted = self._granted, None
            if self._holds_all(task):
                answered = self.answer_to(task.envelope, "Ok", None)
            else:
                text = "the process holds too many capabilities to be given those of the database"
                answered = self._refusal(task.envelope, Wrong("NotGiven", text), task.name, task.action)
            if answered is not None:
                return answered
        action = super().next_action()
        if self._given and self._given[0][0] is action:
            self._granted = self._given.popleft()[1]
        return action

    def _holds_all(self, task: DatabaseTask) -> bool:
        return all(self._holds(task.envelope.source.process, right) for right in self._rights_to(task.name))

    def _rights_to(self, name: Name) -> tuple[Capability, ...]:
        return tuple(self._right_to(name, kind) for kind in ("read", "write"))

    def _refuse(self, envelope: Envelope, wrong: Wrong, name: Name | None, action: str) -> None:
        if (answer := self._refusal(envelope, wrong, name, action)) is not None:
            self._out.append(answer)

    def _refusal(self, envelope: Envelope, wrong: Wrong, name: Name | None, action: str) -> Reply | None:
        facts = {"error": wrong.text, "number": wrong.number, "action": action}
        if name is not None:
            facts["database"] = name.json()
        generation = self.generation(envelope.source.process)
        return self.answer_to(envelope, error_answer(self.id, generation, wrong.kind, facts), None)


@lru_cache(1024)  # most requests name a database that was named a moment ago
def _name_untrusted(package: str, publisher: str, db: str) -> Name:
    if not 0 < len(db.encode()) <= MAX_NAME_BYTES:
        raise Wrong("Malformed", f"the name of a database has 1 to {MAX_NAME_BYTES} bytes")
    try:
        return Name(PackageId.parse(f"{package}:{publisher}"), db)
    except BadAddress as error:
        raise Wrong("Malformed", str(error)) from None


@lru_cache(1024)
def _locate(root: str, kind: str, name: Name) -> tuple[Location, str]:
    location = Location(root, (str(name.package), DATABASES, file_of(kind, name.db)))
    return location, str(location)


MAX_TOGETHER = 256
"""Requests that are done in one operation."""
MAX_TOGETHER_BYTES = 8 << 20
"""Bytes that they keep alive; one alone may have more."""
