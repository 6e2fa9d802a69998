"""state:distro:sys: what processes save for their next life (G27).

It is mostly used by the kernel, for the calls get-state, set-state and clear-state. By message, with this process's
messaging capability, the existing node's JSON does the same: {"GetState": id} is answered "GetState" with the bytes in
the blob; {"SetState": id}, with the bytes in the blob, and {"DeleteState": id} are answered with their own names when
that is durable; errors are {"Err": …}. The id must be the sender's own, because with another it could read and
alter what any process has saved. "Backup" is not for processes either.

States are rows of the node's store (`nectar_node.core.store`), and what many processes save shares one sync. What one
process asks for is done in order (`system.state_queues`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.events import StateAction, StateUsed, UseState
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob
from nectar_node.contract.actions import Kept, LogLine
from nectar_node.contract.json_shapes import RequestRefused, bad_request, dump, load_untrusted, variant_untrusted
from nectar_node.storage import operations as ops
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.turns import count_lane
from nectar_node.system.process import SORRY, Cause, Committed, Removal, SystemProcess, bare, metadata_bytes, reply
from nectar_node.system.state_queues import Ask, StateOutcome, StateQueues

STATE = ProcessId("state", "distro", "sys")

MAX_WAITING = 64
"""Requests by message, of one process, that wait for the disk; further ones are refused."""
MAX_WAITING_BYTES = 1 << 30
"""Bytes of states and metadata in the requests of all processes; below it, one more of any size is taken."""
MAX_BODY_BYTES = 4096
"""Bytes of a request's body."""

_ACTIONS = {"GetState": StateAction.GET, "SetState": StateAction.SET, "DeleteState": StateAction.CLEAR}


class Saved(NamedTuple):
    """What a process has saved."""

    bytes: int
    at: float | None
    """When it was saved, on the node's clock in seconds; None: before the node was booted."""


class _Owner(NamedTuple):
    """A request by message that waits for the disk."""

    envelope: Envelope
    """The bare request."""
    name: str
    weight: int
    """Bytes that it keeps alive."""


class _Reading(NamedTuple):
    """The owner of a job that reads a state."""

    key: str
    owner: object


class _Counting(NamedTuple):
    """The owner of a count of what a package has."""

    package: str


class State(SystemProcess):
    """The saved states of one node."""

    id = STATE

    def __init__(
        self, store: ops.Location, lengths: Mapping[str, int], ledger: Ledger, memory: Memory = UNMETERED
    ) -> None:
        """`store` is the node's store, which holds states of these lengths, by key (`operations.StateRow`); `memory`
        pays for what waits.
        """
        super().__init__()
        self._store = store
        self._ledger = ledger
        self._memory = memory
        self._queues = StateQueues(lengths, ledger, self._read, self._count_package, self._finish)
        self._calls: dict[int, UseState] = {}
        """Calls that are not answered yet, by their identities."""
        self._open: dict[int, _Owner] = {}
        """Requests that wait for the disk, by the ids of their envelopes."""
        self._waiting: Counter[ProcessId] = Counter()
        """How many of those each process has."""
        self._bytes = 0

    @property
    def lengths(self) -> Mapping[str, int]:
        """The lengths of all states in bytes, by key."""
        return self._queues.lengths

    def key_of(self, process: ProcessId) -> str:
        """Return under which key a process has its state: its id, unless the first version of this program had to name
        a file after its hash.
        """
        id = str(process)
        if id in self._queues.lengths:
            return id
        former = ops.file_name(id)
        return former if former in self._queues.lengths else id

    def saved(self, process: ProcessId) -> Saved | None:
        """Return what a process has saved; None: nothing."""
        key = self.key_of(process)
        length = self._queues.lengths.get(key)
        return None if length is None else Saved(length, self._queues.written_at.get(key))

    def use(self, wanted: UseState) -> None:
        """Carry out a process's call; `StateUsed` tells the kernel when that is done."""
        self._calls[id(wanted)] = wanted
        self._ask(wanted.process, wanted.action, wanted.state, wanted)

    def receive(self, envelope: Envelope, now: float) -> None:
        """Carry out a process's request, which does the same by message."""
        try:
            name = _parse_untrusted(envelope.message.body, envelope.source.process)
            data: Buffer = b""
            if name == "SetState":
                if envelope.blob is None:
                    raise RequestRefused({"BadBytes": {"action": name}})
                data = envelope.blob.bytes
            owner = _Owner(bare(envelope), name, len(data) + metadata_bytes(envelope))
            self._count(owner)
            self._ask(envelope.source.process, _ACTIONS[name], data, owner)
        except RequestRefused as refusal:
            self._answer(envelope, {"Err": refusal.value}, None)

    def remove(self, key: str, order: Removal) -> None:
        """Remove a state in the name of the node's user; `Kept` says when that is done."""
        self._queues.add(key, Ask(StateAction.CLEAR, None, order))

    def _count(self, owner: _Owner) -> None:
        process = owner.envelope.source.process
        if self._bytes >= MAX_WAITING_BYTES:
            raise RequestRefused({"IOError": {"error": "too much waits for the disk already"}})
        if self._waiting[process] >= MAX_WAITING:
            self._out.append(LogLine(str(process), 0, "uses its state by message faster than the disk can follow"))
            raise RequestRefused({"IOError": {"error": f"{MAX_WAITING} requests of yours wait for the disk already"}})
        account = self._memory.of_process(process)
        if not account.may_add(owner.weight):
            raise RequestRefused({"IOError": {"error": "too much waits for the disk already"}})
        account.add(owner.weight)
        self._open[owner.envelope.id] = owner
        self._waiting[process] += 1
        self._bytes += owner.weight

    def _ask(self, process: ProcessId, action: StateAction, state: Buffer, owner: object) -> None:
        self._queues.add(self.key_of(process), Ask(action, state if action is StateAction.SET else None, owner))

    # --- what the queues want -----------------------------------------------------------------------------------------

    def _read(self, key: str, package: str, owner: object) -> None:
        operation = ops.ReadState(self._store, key, self._queues.lengths[key])
        self._out.append(ops.Job(operation, f"state {key}", _Reading(key, owner), package))

    def _count_package(self, package: str) -> None:
        self._out.append(ops.Job(self._ledger.measure(package), count_lane(package), _Counting(package), package))

    # --- the store's commits ------------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether a state is to be written with the next commit."""
        queues = self._queues
        return queues.waiting != {} and queues.writing == {}

    def take(self, taken: list[ops.StateRow]) -> None:
        """Add what goes into the next commit."""
        taken += self._queues.take()

    def written(self, committed: Committed, now: float) -> None:
        """Learn what has become of that commit."""
        self._queues.written(committed, now)

    # --- answers ------------------------------------------------------------------------------------------------------

    def done(self, job: ops.Job, outcome: ops.Outcome, now: float) -> None:
        """Go on after a disk job that is done or has failed."""
        if isinstance(job.owner, _Counting):
            self._queues.counted(job.owner.package)
            return
        assert isinstance(job.owner, _Reading)
        key, owner = job.owner
        if isinstance(outcome, ops.DiskError):
            self._finish(owner, StateOutcome(None, outcome.text))
        else:
            assert isinstance(outcome, (bytes, bytearray))
            self._finish(owner, StateOutcome(bytes(outcome), None))
        self._queues.has_read(key)

    def _finish(self, owner: object, done: StateOutcome) -> None:
        """Answer somebody who was not answered yet, as may be after a failure of our own code."""
        problem = None if done.problem is None else f"its state cannot be used: {done.problem}"
        if isinstance(owner, UseState):
            if id(owner) in self._calls:
                self._out.append(StateUsed(owner.token, done.state, problem))
                del self._calls[id(owner)]
            return
        if isinstance(owner, Removal):
            self._out.append(Kept(owner.token, done.problem))
            return
        assert isinstance(owner, _Owner)
        envelope, name, weight = owner
        if envelope.id not in self._open:
            return
        if problem is not None:
            self._answer(envelope, {"Err": {"IOError": {"error": problem}}}, None)
        elif name == "GetState" and done.state is None:
            self._answer(envelope, {"Err": {"NotFound": {"process_id": str(envelope.source.process)}}}, None)
        else:
            self._answer(envelope, name, done.state)
        del self._open[envelope.id]
        self._memory.of_process(envelope.source.process).remove(weight)
        self._bytes -= weight
        self._waiting -= Counter([envelope.source.process])  # which forgets those without any

    def recover(self, cause: Cause, now: float) -> None:
        """Answer a request or a call whose handling has failed, and go on with the others."""
        failed = cause.owner if isinstance(cause, ops.Job) else cause
        if isinstance(failed, _Counting):
            self._queues.counted(failed.package)
        if isinstance(failed, _Reading):
            self._queues.has_read(failed.key)
            failed = failed.owner
        if isinstance(failed, Envelope):
            failed = self._open.get(failed.id, failed)
        self._queues.give_up(failed)
        if isinstance(failed, _Owner):
            failed = failed.envelope
        if isinstance(failed, UseState):
            self._finish(failed, StateOutcome(None, SORRY))
        elif isinstance(failed, Removal):
            self._out.append(Kept(failed.token, SORRY))
        elif isinstance(failed, Envelope):
            owner = self._open.pop(failed.id, None)
            if owner is not None:
                self._memory.of_process(failed.source.process).remove(owner.weight)
            self._answer(failed, {"Err": {"IOError": {"error": SORRY}}}, None)
        self._waiting = Counter(owner.envelope.source.process for owner in self._open.values())
        self._bytes = sum(owner.weight for owner in self._open.values())
        self._queues.recover(cause if isinstance(cause, Committed) else None, now)

    def _answer(self, envelope: Envelope, value: object, state: Buffer | None) -> None:
        blob = LazyLoadBlob(None, state) if state is not None else None
        answer = reply(STATE, envelope, dump(value), blob)
        if answer is not None:
            self._out.append(answer)


def _parse_untrusted(body: bytes, sender: ProcessId) -> str:
    """Return which action a request asks for, on the sender's own state; raises RequestRefused."""
    name, process = variant_untrusted(load_untrusted(body, MAX_BODY_BYTES))
    if name not in _ACTIONS and name != "Backup":
        raise bad_request('expected {"GetState": id}, {"SetState": id} or {"DeleteState": id}')
    if name == "Backup" or process != str(sender):  # for which no generation has an error of its own
        raise bad_request("a process uses its own state alone")
    return name
