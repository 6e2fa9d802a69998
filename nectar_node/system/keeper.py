"""backups:distro:sys: keeps the encrypted backups of other nodes that the user has agreed to keep.

Requests come from other nodes alone (`kept_requests`; the asking side is `backup.stores.node_messages`). The sender's
node is proven, and decides what it may do: all with its own objects, or read another node's, once it has proved to know
that node's recovery phrase (`kept_access`). Of a node only the terminal is listened to, in whose name its user sends:
the packages of an honest node cannot speak in its name, so they do not reach its backups.

An object is a file `OWNER/name` below the folder `kept`, as in a remote that is a folder. A put writes its row first,
then the file, then that the row is settled, and only then is it answered; a removal goes the other way round
(`kept_objects`). What a crash leaves unsettled is removed at the next boot, and so is what is there no longer, such as
when this node itself was restored from a backup, which has nothing of what it keeps.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from kernel.contract.memory import UNMETERED, Account, Memory
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob
from nectar_node.backup.stores import node_messages as kinds
from nectar_node.base.system_processes import BACKUPS, TERMINAL
from nectar_node.contract.actions import Kept, LogLine
from nectar_node.contract.json_shapes import RequestRefused, dump
from nectar_node.storage.operations import (
    DiskError,
    DiskFault,
    Job,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    ReadAt,
    RemoveFile,
    RemoveFolder,
    Replace,
    Stat,
    new_file_name,
)
from nectar_node.system.kept_access import KeptAccess
from nectar_node.system.kept_objects import MAX_KEYS, KeptObjects, Owner, doomed
from nectar_node.system.kept_requests import (
    ChallengePhrase,
    DeleteKept,
    GetKept,
    IntroducePhrase,
    KeepRequest,
    ListKept,
    ProvePhrase,
    PutKept,
    parse_untrusted,
)
from nectar_node.system.process import (
    SORRY,
    AskKept,
    Cause,
    Removal,
    SystemProcess,
    SystemToken,
    bare,
    metadata_bytes,
    reply,
)

MAX_OWNERS = 256
"""Nodes for which something is kept: each may have so much in flight as below."""
MAX_OBJECTS = 200_000
"""Objects of one owner: a terabyte in packs. Each takes half a KiB of memory."""
MAX_ALL_OBJECTS = 1_000_000
"""Objects of all owners."""
MAX_REQUESTS = 64
"""Requests of one node that wait or are being done; the engine of backups has four."""
MAX_BYTES = 96 << 20
"""Bytes of objects in those: twelve packs. One request of any size is always taken."""


class _Stage(enum.Enum):
    """What a task waits for."""

    BEGIN = "the row of an object that is to be put"
    WRITE = "its file"
    FOLDER = "the folder of that file"
    SETTLE = "the row of an object that is there"
    DOOM = "the row of an object that is to be removed"
    REMOVE = "the end of its file"
    TIDY = "the end of what a crash has left beside it"
    GONE = "the end of the owner's rows"
    READ = "a part of a file"
    KNOW = "the owner's row"
    LOOK = "whether the owner's folder is there"
    EMPTY = "the end of the owner's folder"


@dataclass(slots=True, eq=False)
class _Task:
    """Something that is being done."""

    owner: Owner
    stage: _Stage
    envelope: Envelope | None = None
    """The bare request; None: nobody waits for an answer."""
    name: str = ""
    data: Buffer | None = None
    start: int = 0
    length: int = 0
    weight: int = 0
    """Bytes that it keeps alive."""
    order: Removal | None = None
    """The order of the node's user, if it is one."""
    error: dict[str, object] | None = None
    """What the answer says if all goes well from here; None: it is done."""
    over: bool = False


@dataclass(slots=True)
class _Flight:
    """What is being done for one node."""

    account: Account
    requests: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Look:
    """What is known of an owner since the boot."""

    going: int = 0
    """Tasks that concern it."""
    seen: bool = True
    """Whether it is known that its folder is there."""
    removal: Removal | None = None
    """The order to remove all that it has, when nothing else is going."""


class Keeper(SystemProcess):
    """What one node keeps for others."""

    id = BACKUPS
    remote = True

    def __init__(
        self,
        our: str,
        root: str,
        owners: tuple[Owner, ...],
        fresh_id: Callable[[], int],
        key_of: Callable[[str], bytes | None],
        memory: Memory = UNMETERED,
    ) -> None:
        """`root` is the folder `kept`; `owners` is what earlier boots have kept; `fresh_id` is a source of
        unpredictable u64s; `key_of` returns a node's public key, if it is known; `memory` pays for what waits.
        """
        super().__init__()
        self._our = our
        self._root = root
        self.objects = KeptObjects(owners)
        """Whose objects are here; read-only."""
        self._access = KeptAccess(our, fresh_id)
        self._memory = memory
        self._key_of = key_of
        self._flights: dict[str, _Flight] = {}
        self._looks: dict[str, _Look] = {}
        self._taken: _Task | None = None
        """The task of the request that `receive` is handling."""

    def boot(self) -> None:
        """See whether the files of all owners are there, and remove what a crash has left unsettled."""
        for owner in self.objects.owners.values():
            if owner.sizes:
                self._look(owner).seen = False
                self._begin(_Task(owner, _Stage.LOOK))

    # --- orders of the node's user ----------------------------------------------------------------------------------

    def problem(self, owner: str) -> str | None:
        """Return why nothing can be kept for a node, as a sentence; None: it can."""
        known = self.objects.owners.get(owner)
        look = self._looks.get(owner)
        if owner == self._our:
            return f"{owner} is this node itself: a backup belongs on another machine."
        if look is not None and look.removal is not None:
            return f"What {owner} had here is being removed: try again in a moment."
        if known is None and len(self.objects.owners) >= MAX_OWNERS:
            return f"This node keeps backups of {MAX_OWNERS} nodes already, and no more."
        return None

    def accept(self, owner: str, quota: int, *, append_only: bool) -> None:
        """Agree to keep so many bytes for a node; `problem` has said that it can be."""
        self.objects.accept(owner, quota, append_only=append_only)

    def refuse(self, name: str, order: Removal | None) -> None:
        """Keep nothing more for a node, and remove what it has, if there is an `order`; `Kept` says when that is
        done.
        """
        owner = self.objects.owners[name]
        self._access.forget(name)
        self.objects.refuse(owner)
        if order is not None:
            self._look(owner).removal = order
            self._go_on(owner)

    # --- the five verbs ---------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Take a request, or refuse it."""
        self._taken = None
        try:
            request = parse_untrusted(envelope.message.body, envelope.blob)
            self._take(envelope, request, now)
        except RequestRefused as refused:
            self._answer(envelope, {"Err": refused.value})

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Go on with a task whose operation is done."""
        task = job.owner
        assert isinstance(task, _Task)
        if task.over:
            return
        problem = outcome if isinstance(outcome, DiskError) else None
        match task.stage:
            case _Stage.WRITE if problem is not None and problem.fault is DiskFault.NOT_FOUND:
                self._do(task, _Stage.FOLDER)
            case _Stage.WRITE if problem is not None:
                full = problem.fault is DiskFault.FULL
                task.error = _error(kinds.FULL if full else kinds.FAILED, f"cannot write it: {problem.text}")
                self._do(task, _Stage.REMOVE)
            case _Stage.WRITE:
                task.data = None
                self.objects.settle(task.owner, task.name)
                self._write_down(task, _Stage.SETTLE)
            case _Stage.FOLDER if problem is not None:
                task.error = _error(kinds.FAILED, f"cannot write it: {problem.text}")
                self._do(task, _Stage.REMOVE)
            case _Stage.FOLDER:
                self._do(task, _Stage.WRITE)
            case _Stage.REMOVE | _Stage.TIDY:
                self._removed(task, problem)
            case _Stage.READ:
                self._read(task, outcome)
            case _Stage.LOOK:
                self._looked(task, problem)
            case _Stage.EMPTY:
                self._emptied(task, problem)
            case stage:
                raise AssertionError(stage)

    def kept(self, token: object, problem: str | None, now: float) -> None:
        """Go on with a task whose rows are durable, or cannot be written."""
        task = token
        assert isinstance(task, _Task)
        if task.over:
            return
        if task.order is not None:
            self._out.append(Kept(task.order.token, problem))
            self._end(task)
        elif problem is not None and task.stage is _Stage.BEGIN:
            self.objects.gone(task.owner, task.name)
            self._finish(task, _error(kinds.FAILED, problem))
        elif problem is not None:
            self._finish(task, _error(kinds.FAILED, problem))
        elif task.stage is _Stage.BEGIN:
            self._do(task, _Stage.WRITE)
        elif task.stage is _Stage.DOOM:
            self._do(task, _Stage.REMOVE)
        else:
            self._finish(task, task.error)

    def recover(self, cause: Cause, now: float) -> None:
        """End what has failed here; what it leaves unsettled is removed at the next boot."""
        failed = cause.owner if isinstance(cause, Job) else cause.token if isinstance(cause, SystemToken) else cause
        if isinstance(failed, Envelope) and self._taken is not None:
            failed = self._taken
        if isinstance(failed, Envelope):
            self._answer(failed, {"Err": _error(kinds.FAILED, SORRY)})
        elif isinstance(failed, Removal):
            self._out.append(Kept(failed.token, SORRY))
        elif isinstance(failed, _Task) and not failed.over:
            if failed.order is not None:
                self._out.append(Kept(failed.order.token, SORRY))
            self._finish(failed, _error(kinds.FAILED, SORRY))

    # --- requests ---------------------------------------------------------------------------------------------------

    def _take(self, envelope: Envelope, request: KeepRequest, now: float) -> None:
        node, process = envelope.source.node, envelope.source.process
        if process != TERMINAL:
            raise _refusal(kinds.REFUSED, "listens to the user of a node, and not to its packages")
        owner = self.objects.owners.get(request.owner)
        if owner is None or owner.acceptance is None:
            raise _refusal(kinds.NOT_KEPT, f"keeps no backup of {request.owner}, or not any more")
        match request:
            case ChallengePhrase():
                if not owner.acceptance.access:
                    raise _refusal(kinds.NOT_KEPT, f"has no complete copy of {owner.name} yet")
                self._answer(envelope, {"Nonce": self._access.nonce(node, owner.name, now).hex()})
                return
            case ProvePhrase(_, nonce, proof):
                access = owner.acceptance.access
                if not self._access.enter_untrusted(node, owner.name, access, nonce, proof, now):
                    raise _refusal(kinds.WRONG_PROOF, f"does not take this recovery phrase for that of {owner.name}")
                self._out.append(
                    LogLine("backups", 0, f"{node} knows the phrase of {owner.name}, and may read its backup")
                )
                self._answer(envelope, "Ok")
                return
        reads = isinstance(request, GetKept | ListKept)
        if node != owner.name and not (reads and self._access.may_read(node, owner.name, now)):
            raise _refusal(kinds.NOT_KEPT, f"lets {node} do no such thing with the backup of {owner.name}")
        if (look := self._looks.get(owner.name)) is not None and not look.seen:
            raise _refusal(kinds.BUSY, "has just started, and looks at what it keeps: try again in a moment")
        if node == owner.name and owner.acceptance.key is None and (key := self._key_of(node)) is not None:
            self.objects.meet(owner, key)
        self._take_own(envelope, owner, request)

    def _only_adds(self, owner: Owner) -> str | None:
        """Return why an owner may not remove or replace anything, None: it may."""
        assert owner.acceptance is not None
        if owner.acceptance.append_only:
            return f"lets {owner.name} add to its backup, and remove nothing"
        if owner.acceptance.key != self._key_of(owner.name):
            return f"removes nothing for {owner.name}, which has another key now, until its user accepts that once more"
        return None

    def _take_own(self, envelope: Envelope, owner: Owner, request: KeepRequest) -> None:
        assert owner.acceptance is not None
        match request:
            case PutKept(_, name, data):
                self._put(envelope, owner, name, data)
            case GetKept(_, name, start, length):
                if not owner.has(name):
                    raise _refusal(kinds.NOT_FOUND, f"has no {name}")
                size = max(0, min(length, owner.sizes[name] - start))
                task = self._admit(envelope, owner, _Stage.READ, size)
                task.name, task.start, task.length = name, start, size
                self._do(task, _Stage.READ)
            case ListKept(_, prefix, after):
                self._answer(envelope, {"Objects": owner.page(prefix, after)})
            case DeleteKept(_, name):
                self._delete(envelope, owner, name)
            case IntroducePhrase(_, key):
                self._introduce(envelope, owner, key)

    def _introduce(self, envelope: Envelope, owner: Owner, key: bytes) -> None:
        assert owner.acceptance is not None
        keys, append_only = owner.acceptance.access, self._only_adds(owner) is not None
        if append_only and key not in keys and len(keys) >= MAX_KEYS:
            raise _refusal(kinds.REFUSED, f"has {MAX_KEYS} phrases of {owner.name} already, and may forget none")
        task = self._admit(envelope, owner, _Stage.KNOW)
        wanted = (*(each for each in keys if append_only and each != key), key)
        if keys != wanted:
            self._access.forget(owner.name)
            self.objects.introduce(owner, wanted)
        self._write_down(task, _Stage.KNOW)

    def _put(self, envelope: Envelope, owner: Owner, name: str, data: Buffer) -> None:
        assert owner.acceptance is not None
        size, quota = len(data), owner.acceptance.quota
        if name in owner.unsettled:
            raise _refusal(kinds.BUSY, f"is busy with {name}: try again in a moment")
        if name in owner.sizes:
            raise _refusal(kinds.ALREADY_EXISTS, f"has {name} already")
        if owner.bytes + size > quota:
            raise _refusal(kinds.FULL, f"is full: it keeps {quota} bytes for {owner.name}, and {owner.bytes} are used")
        if len(owner.sizes) >= MAX_OBJECTS or self.objects.count >= MAX_ALL_OBJECTS:
            raise _refusal(kinds.FULL, f"is full: it has {len(owner.sizes)} objects of {owner.name}; prune old copies")
        task = self._admit(envelope, owner, _Stage.BEGIN, size)
        task.name, task.data = name, data
        self.objects.begin(owner, name, size)
        self._write_down(task, _Stage.BEGIN)

    def _delete(self, envelope: Envelope, owner: Owner, name: str) -> None:
        if (why := self._only_adds(owner)) is not None:
            raise _refusal(kinds.REFUSED, why)
        if name in owner.unsettled:
            raise _refusal(kinds.BUSY, f"is busy with {name}: try again in a moment")
        if name not in owner.sizes:
            self._answer(envelope, "Ok")
            return
        task = self._admit(envelope, owner, _Stage.DOOM)
        task.name = name
        self.objects.doom(owner, name)
        self._write_down(task, _Stage.DOOM)

    def _admit(self, envelope: Envelope, owner: Owner, stage: _Stage, size: int = 0) -> _Task:
        """Return a task for a request; raises RequestRefused if its node has too much going on."""
        node, weight = envelope.source.node, size + metadata_bytes(envelope)
        flight = self._flights.get(node) or _Flight(self._memory.of_node(node))
        full = flight.requests >= MAX_REQUESTS or (flight.requests and flight.bytes + weight > MAX_BYTES)
        if full or not flight.account.may_add(weight):
            raise _refusal(kinds.BUSY, "has too much to do already: try again later")
        self._flights[node] = flight
        flight.requests += 1
        flight.bytes += weight
        flight.account.add(weight)
        self._taken = task = _Task(owner, stage, bare(envelope), weight=weight)
        self._look(owner).going += 1
        return task

    # --- tasks ------------------------------------------------------------------------------------------------------

    def _begin(self, task: _Task) -> None:
        """Begin a task that no request has asked for."""
        self._look(task.owner).going += 1
        self._do(task, task.stage)

    def _do(self, task: _Task, stage: _Stage) -> None:
        """Have the operation of a stage carried out, in the owner's turn."""
        task.stage = stage
        owner = task.owner.name
        self._out.append(Job(self._operation(task), f"kept {owner}/{task.name}", task, owner))

    def _operation(self, task: _Task) -> Operation:
        owner = Location(self._root, (task.owner.name,))
        if task.stage is _Stage.LOOK:
            return Stat(owner)
        if task.stage is _Stage.EMPTY:
            return RemoveFolder(owner, recursive=True, synced=True)
        folder, _, name = task.name.partition("/")
        location = Location(self._root, (*owner.parts, folder, name))
        match task.stage:
            case _Stage.WRITE:
                assert task.data is not None
                return Replace(location, task.data)
            case _Stage.FOLDER:
                return MakeFolder(Location(self._root, (*owner.parts, folder)))
            case _Stage.READ:
                return ReadAt(location, task.start, task.length)
            case _Stage.TIDY:
                return RemoveFile(Location(self._root, (*owner.parts, folder, new_file_name(name))), synced=True)
            case stage:
                assert stage is _Stage.REMOVE
                return RemoveFile(location, synced=True)

    def _write_down(self, task: _Task, stage: _Stage) -> None:
        """Wait until all that has changed is durable."""
        task.stage = stage
        self._out.append(AskKept(task))

    def _removed(self, task: _Task, problem: DiskError | None) -> None:
        """Go on when a file is gone; one that cannot be removed stays counted until a boot removes it."""
        if problem is not None and problem.fault is not DiskFault.NOT_FOUND:
            self._finish(task, task.error or _error(kinds.FAILED, f"cannot remove it: {problem.text}"))
        elif task.stage is _Stage.REMOVE and task.envelope is None:
            self._do(task, _Stage.TIDY)
        else:
            self.objects.gone(task.owner, task.name)
            self._finish(task, task.error)  # until its row is gone, too, a boot would remove it again

    def _read(self, task: _Task, outcome: Outcome) -> None:
        if isinstance(outcome, DiskError):
            missing = outcome.fault is DiskFault.NOT_FOUND
            self._finish(task, _error(kinds.NOT_FOUND if missing else kinds.FAILED, f"cannot read it: {outcome.text}"))
            return
        assert isinstance(outcome, bytes | bytearray)
        self._finish(task, None, outcome)

    def _looked(self, task: _Task, problem: DiskError | None) -> None:
        """Learn whether an owner's folder is there after a boot."""
        owner = task.owner
        if problem is not None and problem.fault is DiskFault.NOT_FOUND:
            lost = len(owner.sizes) - len(owner.unsettled)
            if lost:
                text = f"all that was kept for {owner.name} is gone, {lost} objects: its next copy begins anew"
                self._out.append(LogLine("backups", 0, text))
            self.objects.all_gone(owner)
        else:
            for _, name in [*doomed((owner,))]:
                self._begin(_Task(owner, _Stage.REMOVE, name=name))
        self._look(owner).seen = True
        self._end(task)

    def _emptied(self, task: _Task, problem: DiskError | None) -> None:
        """Learn that the folder of an owner that is refused is gone."""
        self._look(task.owner).removal = None
        if problem is not None and problem.fault is not DiskFault.NOT_FOUND:
            assert task.order is not None
            self._out.append(Kept(task.order.token, problem.text))
            self._end(task)
            return
        self.objects.all_gone(task.owner)
        self._write_down(task, _Stage.GONE)

    def _finish(self, task: _Task, error: dict[str, object] | None, blob: Buffer | None = None) -> None:
        """Answer a task, and end it."""
        if task.envelope is not None:
            self._answer(task.envelope, "Ok" if error is None else {"Err": error}, blob)
        self._end(task)

    def _end(self, task: _Task) -> None:
        task.over, task.data = True, None
        if task.envelope is not None:
            node = task.envelope.source.node
            flight = self._flights[node]
            flight.requests -= 1
            flight.bytes -= task.weight
            flight.account.remove(task.weight)
            if not flight.requests:
                del self._flights[node]
        self._look(task.owner).going -= 1
        self._go_on(task.owner)

    def _go_on(self, owner: Owner) -> None:
        """Remove what a refused owner has, once nothing else concerns it."""
        look = self._look(owner)
        if look.going:
            return
        if look.removal is None:
            del self._looks[owner.name]
        else:
            self._begin(_Task(owner, _Stage.EMPTY, order=look.removal))

    def _look(self, owner: Owner) -> _Look:
        return self._looks.setdefault(owner.name, _Look())

    def _answer(self, envelope: Envelope, value: object, blob: Buffer | None = None) -> None:
        carried = None if blob is None else LazyLoadBlob(None, blob)
        answer = reply(BACKUPS, envelope, dump(value), carried)
        if answer is not None:
            self._out.append(answer)


def _error(kind: str, text: str) -> dict[str, object]:
    return {kind: {"error": text}}


def _refusal(kind: str, text: str) -> RequestRefused:
    return RequestRefused(_error(kind, text))
