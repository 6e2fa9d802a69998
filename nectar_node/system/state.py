"""state:distro:sys: what processes save for their next life (G27).

It is mostly used by the kernel, for the calls get-state, set-state and clear-state. By message, with this process's
messaging capability, the existing node's JSON does the same: {"GetState": id} is answered "GetState" with the bytes in
the blob; {"SetState": id}, with the bytes in the blob, and {"DeleteState": id} are answered with their own names when
that is durable; errors are {"Err": …}. The id must be the sender's own, because with another it could read and
alter what any process has saved. "Backup" is not for processes either.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.events import StateAction, StateUsed, UseState
from kernel.contract.limits import MAX_STATE_BYTES
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob
from nectar_node.contract.actions import LogLine
from nectar_node.contract.json_shapes import RequestRefused, bad_request, dump, load_untrusted, variant_untrusted
from nectar_node.storage import operations as ops
from nectar_node.system.process import SORRY, Cause, SystemProcess, bare, metadata_bytes, reply

STATE = ProcessId("state", "distro", "sys")

MAX_WAITING = 64
"""Requests by message, of one process, that wait for the disk; further ones are refused."""
MAX_WAITING_BYTES = 1 << 30
"""Bytes of states and metadata in the requests of all processes; below it, one more of any size is taken."""
MAX_BODY_BYTES = 4096
"""Bytes of a request's body."""

_ACTIONS = {"GetState": StateAction.GET, "SetState": StateAction.SET, "DeleteState": StateAction.CLEAR}


class _Owner(NamedTuple):
    """A request by message that waits for the disk."""

    envelope: Envelope
    """The bare request."""
    name: str
    weight: int
    """Bytes that it keeps alive."""


class State(SystemProcess):
    """The saved states of one node."""

    id = STATE

    def __init__(self, root: str, memory: Memory = UNMETERED) -> None:
        """`root` is the folder of all saved states; `memory` pays for what waits."""
        super().__init__()
        self._root = root
        self._memory = memory
        self._open: dict[int, _Owner] = {}
        """Requests that wait for the disk, by the ids of their envelopes."""
        self._waiting: Counter[ProcessId] = Counter()
        """How many of those each process has."""
        self._bytes = 0

    def use(self, wanted: UseState) -> None:
        """Carry out a process's call; `StateUsed` tells the kernel when that is done."""
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
        location = ops.Location(self._root, (ops.file_name(str(process)),))
        operation: ops.Operation
        match action:
            case StateAction.GET:
                operation = ops.ReadAt(location, 0, MAX_STATE_BYTES)
            case StateAction.SET:
                operation = ops.Replace(location, state)
            case StateAction.CLEAR:
                operation = ops.RemoveFile(location)
        self._out.append(ops.Job(operation, f"state {process}", owner, str(process.package_id)))

    def done(self, job: ops.Job, outcome: ops.Outcome, now: float) -> None:
        """Answer what a disk job was for, now that it is done or has failed."""
        owner = job.owner
        state, problem, missing = None, None, False
        if isinstance(outcome, ops.DiskError):
            missing = outcome.fault is ops.DiskFault.NOT_FOUND
            problem = None if missing else f"its state cannot be used: {outcome.text}"
        elif isinstance(outcome, (bytes, bytearray)):
            state = bytes(outcome)
        if isinstance(owner, UseState):
            self._out.append(StateUsed(owner.token, state, problem))
            return
        assert isinstance(owner, _Owner)
        envelope, name, weight = owner
        if self._open.pop(envelope.id, None) is not None:
            self._memory.of_process(envelope.source.process).remove(weight)
        self._bytes -= weight
        self._waiting -= Counter([envelope.source.process])  # which forgets those without any
        if problem is not None:
            self._answer(envelope, {"Err": {"IOError": {"error": problem}}}, None)
        elif missing and name == "GetState":
            self._answer(envelope, {"Err": {"NotFound": {"process_id": str(envelope.source.process)}}}, None)
        else:
            self._answer(envelope, name, state)

    def recover(self, cause: Cause, now: float) -> None:
        """Answer a request or a call whose handling has failed."""
        failed = cause.owner if isinstance(cause, ops.Job) else cause
        if isinstance(failed, _Owner):
            failed = failed.envelope
        if isinstance(failed, UseState):
            self._out.append(StateUsed(failed.token, None, f"its state cannot be used: {SORRY}"))
        elif isinstance(failed, Envelope):
            owner = self._open.pop(failed.id, None)
            if owner is not None:
                self._memory.of_process(failed.source.process).remove(owner.weight)
            self._answer(failed, {"Err": {"IOError": {"error": SORRY}}}, None)
        self._waiting = Counter(owner.envelope.source.process for owner in self._open.values())
        self._bytes = sum(owner.weight for owner in self._open.values())

    def _answer(self, envelope: Envelope, value: object, state: Buffer | None) -> None:
        blob = LazyLoadBlob(None, state) if state is not None else None
        answer = reply(STATE, envelope, dump(value), blob)
        if answer is not None:
            self._out.append(answer)


def _parse_untrusted(body: bytes, sender: ProcessId) -> str:
    """Return which action a request asks for, on the sender's own state; raises RequestRefused."""
    name, process = variant_untrusted(load_untrusted(body, MAX_BODY_BYTES))
    if name == "Backup":
        raise RequestRefused({"NoCap": {"action": name}})
    if name not in _ACTIONS:
        raise bad_request('expected {"GetState": id}, {"SetState": id} or {"DeleteState": id}')
    if process != str(sender):
        raise RequestRefused({"NoCap": {"action": name}})
    return name
