"""The backups of simulated nodes: the engine itself, in virtual time, from a node's disk at one instant to remotes that
fail.

What a node remembers of its backups is on its disk, and lost with it. The recovery phrase is on paper, and what each
copy must hold is known here alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from nectar_node.backup.cache import Cache
from nectar_node.backup.format.access import access_key
from nectar_node.backup.format.boxes import TAG_BYTES
from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.format.heads import HeadLink
from nectar_node.backup.format.keys import ID_BYTES, Ring, new_phrase, phrase_key, rotated
from nectar_node.backup.format.names import HEADS, PACKS, head_number
from nectar_node.backup.format.packs import (
    LENGTH_PART_BYTES,
    directory_length_untrusted,
    directory_untrusted,
    places,
)
from nectar_node.backup.operations import DeleteObject, GetObject, ListObjects, Operation, PutObject, Result, Steps
from nectar_node.backup.prune import Pruned, keep_recent, prune
from nectar_node.backup.repository import newest_number
from nectar_node.backup.restore import RestoredCopy, restore
from nectar_node.backup.run import BackupJob, Report, back_up, put_ring
from nectar_node.backup.schedule import KnownRemote, RemotePlan
from nectar_node.backup.stores.node_messages import SCHEME
from nectar_node.backup.stores.settings import BackupKeys, Remotes, RemoteState, new_keys, sealed_keys
from nectar_node.backup.verify import verify
from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import Location
from testnet.model.backups import UNSEEN, LabBackups, Restoring, SafeCopy, Truth
from testnet.remotes.conductor import Conductor, Ended
from testnet.remotes.faulty import FaultyRemote
from testnet.remotes.keeper import KeeperLab, KeeperPlace, KeeperRemote
from testnet.remotes.tasks import BegunTask, VerifyTask
from testnet.sim.backup_disk import DiskSnapshot, DiskTarget, packages_of
from testnet.sim.context import NodeContext
from testnet.sim.disk.disk import SimDisk
from testnet.sim.node import SimNode

_REMOTES = ("backup", "remotes.json")
"""The file in the node's folder that names the remotes; of all that a node remembers of its backups, it alone is in the
copies."""
_WAITS = 0.5
"""Seconds after which a run looks again whether another one has ended."""

key_of = cache(phrase_key)
"""Opening a phrase is slow on purpose."""


class HostMachine(KeeperLab, Protocol):
    """What can be done to the machine under a node, and the network around it."""

    def node(self, host: str) -> SimNode:
        """Return the node as it is, or as it was when it ended."""

    def running(self, name: str) -> bool:
        """Return whether the node runs."""

    def cut_power(self, host: str) -> object:
        """Cut its power."""

    def start(self, host: str) -> object:
        """Boot the node."""

    def disk_lost(self, host: str) -> None:
        """Take the news that its disk is lost for good."""

    def visit(self, name: str, joined: Callable[[bool], None]) -> None:
        """Boot a node of a new name; say whether it has joined the network, or cannot for now."""

    def dismiss_visitor(self, name: str) -> None:
        """End it, and forget it."""


@dataclass(slots=True)
class BackupMemory:
    """What a node remembers of its backups."""

    keys: BackupKeys
    remotes: Remotes = field(default_factory=Remotes)
    caches: dict[str, Cache] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class RunTask(BegunTask[Report]):
    """A run."""

    is_due_a_refusal: bool = False
    told: SimNode | None = None
    """The node that has begun it, and is told what comes of it; None: its user has."""


@dataclass(slots=True, eq=False)
class RestoreTask(BegunTask[RestoredCopy]):
    """A restore onto an empty disk."""

    disk: SimDisk | None = None
    files: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The number of the copy."""
        assert self.result is not None
        return self.result.head.number


class SimBackups(LabBackups):
    """The backups of the node on one host."""

    def __init__(
        self, context: NodeContext, machine: HostMachine, host: str, others: Callable[[], list[bytes]]
    ) -> None:
        """`others` gives the objects that other nodes have at their remotes."""
        self.remotes: tuple[str, ...] = ()
        self._runs: list[RunTask] = []
        self.lost = False
        self.power_cuts = 0
        """How often the power of the node's machine was cut."""
        self.places: dict[str, FaultyRemote] = {}
        """The remotes themselves, by name."""
        self.keepers: dict[str, KeeperRemote] = {}
        """Those that are nodes, by URL, which is their name, too."""
        self._context = context
        self._machine = machine
        self._host = host
        self._others = others
        self._entropy = context.chance("backup", host).randbytes
        self._phrase = ""
        """The recovery phrase on paper."""
        self._memory: BackupMemory | None = None
        self._tasks: list[BegunTask[Any]] = []
        """What the node's machine has begun."""
        self._verifying: list[VerifyTask] = []
        """Verifications that go through the node itself."""
        self._plans: dict[str, int | None] = {}
        """Seconds between two copies that the node makes by itself, by remote; None: it makes none."""
        self._since: dict[str, float] = {}
        """When each remote was added."""
        self._taken_over: set[str] = set()
        """Remotes where this copy of the node goes on from what the lost one has written."""
        self._truths: dict[tuple[str, int], Truth] = {}

    def place(self, remote: str) -> FaultyRemote:
        """Return a remote; it may not have been added yet."""
        if remote not in self.places:
            chance = self._context.chance("remote", self._host, remote)
            self.places[remote] = FaultyRemote(chance, lambda: self._context.now, self._at, self._others)
        return self.places[remote]

    def _any_place(self, remote: str) -> FaultyRemote | KeeperRemote:
        if not remote.startswith(SCHEME):
            return self.place(remote)
        if remote not in self.keepers:
            chance = self._context.chance("remote", self._host, remote)
            self.keepers[remote] = KeeperRemote(self._machine, chance, remote.removeprefix(SCHEME), self._host)
        return self.keepers[remote]

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        self._context.schedule(self._context.now + seconds, what)

    def add(self, plans: Mapping[str, int | None]) -> None:
        if self._memory is None:
            self._phrase = new_phrase(self._entropy)
            self._memory = BackupMemory(new_keys(key_of(self._phrase), self._entropy))
        self.remotes += tuple(plans)
        self._plans |= plans
        for name in plans:
            self._known.remotes.remotes[name] = RemoteState(_url(name))
            self._since[name] = self._context.now
        settings = json.dumps(self._plans).encode()
        self._machine.node(self._host).disk.put(Location(self._host, _REMOTES), settings)
        self._tell_node()

    def add_again(self, remote: str) -> None:
        self._known.remotes.remotes[remote] = RemoteState(_url(remote))
        self._known.caches.pop(remote, None)
        self._since[remote] = self._context.now
        self._taken_over.add(remote)
        self._record(remote, "is added again")
        self._tell_node()

    def accept(self, owner: str, quota: int) -> None:
        node = self._machine.node(self._host)
        node.core.keeper.accept(owner, quota, append_only=False)
        node.go_on()

    @property
    def _known(self) -> BackupMemory:
        assert self._memory is not None, f"{self._host} has no backups"
        return self._memory

    @property
    def runs(self) -> Sequence[RunTask]:
        return self._runs

    @property
    def busy(self) -> bool:
        self._tasks = [task for task in self._tasks if not task.done]
        return bool(self._tasks)

    def node_ended(self) -> None:
        """Break off what runs on the node's machine."""
        for task in (*self._tasks, *self._verifying):
            if not task.done:
                self._record(task.remote, "is broken off")
                task.break_off()
        self._tasks.clear()
        self._verifying.clear()

    # --- what people do ---------------------------------------------------------------------------------------------

    def run(self) -> tuple[RunTask, ...]:
        tasks = tuple(map(RunTask, self.remotes))
        self._tasks += tasks
        self._runs += tasks
        self._machine.node(self._host).happens(lambda: self._run(tasks))  # a paused node gives no snapshot
        return tasks

    def _run(self, tasks: Iterable[RunTask]) -> None:
        try:
            snapshot = DiskSnapshot(self._machine.node(self._host).disk, self._host)
        except OSError as error:  # its disk is full
            for task in tasks:
                task.undisturbed, task.error = False, BackupError(f"{self._host} cannot be copied: {error}.")
                self._tell(task, str(task.error))
            return
        truth = Truth(self._context.now, snapshot.files)
        number = self._known.remotes.number + 1
        for task in tasks:
            job = self._job(task.remote, number, self._reserving(task.remote, truth))
            cached = self._known.caches.get(task.remote, Cache())
            task.is_due_a_refusal = job.known is not None and job.known.number > max(
                self._heads(task.remote), default=0
            )

            def complete(report: Report, job: BackupJob = job, task: RunTask = task) -> None:
                self._complete(task.remote, report.link, job.now)
                self._known.caches[task.remote] = report.cache
                self._tell(task, report.link.number)

            def fail(error: Exception, task: RunTask = task) -> None:
                task.error = error
                self._known.remotes.remotes[task.remote].failure = str(error)
                self._tell(task, str(error))

            self._begin(task, back_up(job, snapshot, cached), complete, fail, introduces=self._access(task.remote))

    def _access(self, remote: str) -> bytes | None:
        """Return the public key of the phrase for a remote that is a node."""
        return self._known.keys.access if remote.startswith(SCHEME) else None

    def start(self, remotes: tuple[str, ...]) -> None:
        """Begin a run for the node, when nothing else is under way."""
        node = self._machine.node(self._host)
        if node.crashed:
            return
        if self.busy:
            self._at(_WAITS, lambda: self.start(remotes) if node is self._machine.node(self._host) else None)
            return
        self._record("", f"begins by itself: {', '.join(remotes)}")
        tasks = tuple(RunTask(name, told=node) for name in remotes)
        self._tasks += tasks
        self._runs += tasks
        node.happens(lambda: self._run(tasks))

    def stop(self, remotes: tuple[str, ...]) -> None:
        """Break off what is not complete of a run of the node."""
        for task in self._tasks:
            if isinstance(task, RunTask) and task.told is not None and task.remote in remotes and not task.done:
                task.break_off()
                self._tell(task, None)

    def _tell(self, task: RunTask, outcome: int | str | None) -> None:
        """Tell the node what has come of a run."""
        node = task.told
        if node is None:
            self._tell_node()
            return

        def tell() -> None:
            node.core.backup_ended({task.remote: outcome}, self._context.now)
            node.go_on()

        node.happens(tell)

    def _tell_node(self) -> None:
        """Tell the node what it would find in its settings."""
        node = self._machine.node(self._host)

        def tell() -> None:
            node.core.set_remotes(self.known_remotes(), self._context.now)
            node.go_on()

        node.happens(tell)

    def known_remotes(self) -> tuple[KnownRemote, ...]:
        """Return the remotes as the node's settings have them."""
        if self._memory is None:
            return ()
        ahead = self._context.wall_clock(self._host) - self._context.now
        return tuple(
            KnownRemote(
                name,
                RemotePlan(self._plans[name]),
                self._since[name],
                None if state.known is None else state.known.number,
                None if state.time is None else state.time / 1000 - ahead,
                state.failure,
            )
            for name, state in self._memory.remotes.remotes.items()
        )

    def _reserving(self, remote: str, truth: Truth) -> Callable[[int], None]:
        return lambda used: self._remember(remote, used, truth)

    def prune(self, remote: str, keep: int) -> BegunTask[Pruned]:
        task = BegunTask[Pruned](remote)
        self._tasks.append(task)
        self._any_place(remote).pruned = True

        def reserve(used: int) -> None:
            newest = max((number for number in self._heads(remote) if number < used), default=0)
            self._remember(remote, used, self._truths.get((remote, newest), Truth(0.0, {})))

        def complete(pruned: Pruned) -> None:
            if pruned.kept:
                self._complete(remote, pruned.link, None)
                self._tell_node()

        job = self._job(remote, self._known.remotes.number + 1, reserve)
        self._begin(task, prune(job, keep_recent(keep, 0)), complete)
        return task

    def rotate(self) -> BegunTask[bool]:
        task = BegunTask[bool](self.remotes[0])
        self._tasks.append(task)
        number = self._known.remotes.number

        def ask(remotes: tuple[str, ...]) -> None:
            if remotes:
                steps = newest_number(remotes[0], self._known.keys.ring)
                self._go_on_with(task, remotes[0], steps, lambda found: asked(remotes[1:], found))
            else:
                self._new_keys(task, number)

        def asked(rest: tuple[str, ...], found: int) -> None:
            nonlocal number
            number = max(number, found)
            ask(rest)

        ask(self.remotes)
        return task

    def _new_keys(self, task: BegunTask[bool], number: int) -> None:
        """Give all remotes a new ring, and keep it then."""
        keys, phrase = self._known.keys, new_phrase(self._entropy)
        ring = rotated(keys.ring, keys.sealed[0], number + 1, self._entropy)
        self._known.remotes.number = ring.current.first - 1
        changed = sealed_keys(ring, key_of(phrase), keys.writer, self._entropy)

        def put(remotes: tuple[str, ...]) -> None:
            if remotes:
                steps = put_ring(remotes[0], changed.sealed)
                self._go_on_with(task, remotes[0], steps, lambda _: put(remotes[1:]))
            else:
                self._known.keys, self._phrase = changed, phrase
                self._record(task.remote, "and all others have new keys")
                introduce([remote for remote in self.remotes if remote.startswith(SCHEME)])

        def introduce(keepers: list[str]) -> None:
            if keepers:
                place = self.keepers[keepers[0]]
                place.introduce(access_key(key_of(phrase)), lambda *_: introduce(keepers[1:]))
            else:
                task.result = True  # a keeper that is not reached now learns of it with the next run

        put(self.remotes)

    def _go_on_with(
        self, task: BegunTask[bool], remote: str, steps: Steps[Result], then: Callable[[Result], None]
    ) -> None:
        """Let a task that has several steps do the next one."""
        step = BegunTask[Result](remote)
        self._begin(step, steps, then, lambda error: setattr(task, "error", error))
        task.under_way = step.under_way  # it is broken off with that

    def verify(self, remote: str) -> VerifyTask:
        keys, task = self._known.keys, VerifyTask(remote)
        known = self._known.remotes.remotes[remote].known
        if remote.startswith(SCHEME):
            self._verifying.append(task)
        self._begin(task, verify(remote, keys.ring, keys.sealed, known), lambda findings: None)
        return task

    def restore(self, remote: str, least: int = 0) -> RestoreTask:
        task = RestoreTask(remote)
        spec = self._machine.node(self._host).spec
        disk = SimDisk(lambda: self._context.wall_clock(self._host), spec.disk_bytes)
        target = DiskTarget(disk, self._host)

        def complete(_: RestoredCopy) -> None:
            task.disk, task.files = disk, target.files

        key = key_of(self._phrase)
        steps = restore(remote, key, lambda head: target, None, least)
        if remote.startswith(SCHEME):
            self._visit(task, key, steps, complete)
        else:
            self._begin(task, steps, complete)
        return task

    def _visit(
        self, task: RestoreTask, key: bytes, steps: Steps[RestoredCopy], complete: Callable[[RestoredCopy], None]
    ) -> None:
        """Restore from a keeper, as a node with a name that nobody knows, which is gone afterwards."""
        name, place = f"{self._entropy(8).hex()}.nec", self._any_place(task.remote)
        assert isinstance(place, KeeperRemote)

        def fail(error: Exception) -> None:
            self._machine.dismiss_visitor(name)
            task.error = error

        def done(copy: RestoredCopy) -> None:
            self._machine.dismiss_visitor(name)
            complete(copy)

        def joined(can_ask: bool) -> None:
            if can_ask:
                self._begin(task, steps, done, fail, place.visited(name, key))
            else:
                task.undisturbed = False
                fail(BackupError(f"{name} cannot join the network."))

        self._machine.visit(name, joined)

    def lose_disk(self) -> None:
        self._record("", "loses its disk")
        self.lost, self._memory = True, None
        self._machine.disk_lost(self._host)
        self._machine.cut_power(self._host)

    def bring_back(self, restored: Restoring) -> None:
        assert isinstance(restored, RestoreTask)
        copy, disk = restored.result, restored.disk
        assert copy is not None
        assert disk is not None
        node = self._machine.node(self._host)
        disk.packages = packages_of(disk, node.disk.packages)
        node.disk, self.lost = disk, False
        access = access_key(key_of(self._phrase))
        keys = BackupKeys(copy.ring, copy.sealed_ring, self._entropy(ID_BYTES), access)
        self._memory = BackupMemory(keys)
        names = self._plans = json.loads(disk.get(Location(self._host, _REMOTES)) or b"{}")
        self.remotes = tuple(names)
        for name in names:
            self._memory.remotes.remotes[name] = RemoteState(_url(name))
        self._complete(restored.remote, copy.newest, copy.head.time)
        self._taken_over = {*names} - ({restored.remote} if restored.undisturbed else set())
        self._record(restored.remote, f"has brought it back from copy {copy.head.number}")
        self._machine.start(self._host)

    # --- what is so -------------------------------------------------------------------------------------------------

    def safe(self) -> Mapping[str, SafeCopy]:
        if self._memory is None:
            return {}
        node, states = self._machine.node(self._host), self._memory.remotes.remotes
        if node.crashed:
            said = {name: None if state.known is None else state.known.number for name, state in states.items()}
        else:
            said = {each.name: each.copy for each in node.core.backups.status(self._context.now)}
        return {name: SafeCopy(number, states[name].time or 0) for name, number in said.items() if number is not None}

    def truth(self, remote: str, number: int) -> Truth | None:
        return self._truths.get((remote, number))

    def kept_promises(self, remote: str, since: float = 0.0) -> bool:
        return not any(at >= since or how in UNSEEN for at, how in self._any_place(remote).broken)

    def was_stale(self, remote: str) -> bool:
        return self._any_place(remote).was_stale

    def stored_twice(self, remote: str) -> tuple[str, ...]:
        place = self._any_place(remote)
        if place.broken or place.pruned or place.was_stale:
            return ()

        times = Counter[bytes]()
        for name, data in place.objects.items():
            if name.startswith(PACKS):
                times.update(chunks_in(name, data, self._known.keys.ring))
        return tuple(chunk.hex() for chunk, number in times.items() if number > 1)

    # --- how it is done ---------------------------------------------------------------------------------------------

    def _job(self, remote: str, number: int, reserve: Callable[[int], None]) -> BackupJob:
        known = self._known
        return BackupJob(
            remote,
            known.keys.ring,
            known.keys.sealed,
            known.keys.writer,
            self._host,
            known.remotes.remotes[remote].known,
            number,
            round(self._context.wall_clock(self._host) * 1000),
            self._entropy,
            reserve,
            remote in self._taken_over,
            boot=f"{self.power_cuts}",
        )

    def _remember(self, remote: str, number: int, truth: Truth) -> None:
        self._truths[remote, number] = truth
        self._known.remotes.number = max(self._known.remotes.number, number)

    def _complete(self, remote: str, link: HeadLink, time: int | None) -> None:
        known = self._known.remotes
        state = known.remotes[remote]
        state.known, state.failure = link, None
        state.time = state.time if time is None else time
        known.number = max(known.number, link.number)
        self._taken_over.discard(remote)
        self._record(remote, f"has copy {link.number}")

    def _heads(self, remote: str) -> list[int]:
        ring = self._known.keys.ring
        names = [name for name in self._any_place(remote).objects if name.startswith(HEADS)]
        return [number for name in names if (number := head_number(ring, name)) is not None]

    def _begin(
        self,
        task: BegunTask[Result],
        steps: Steps[Result],
        complete: Callable[[Result], None],
        fail: Callable[[Exception], None] | None = None,
        place: FaultyRemote | KeeperPlace | None = None,
        introduces: bytes | None = None,
    ) -> None:
        """Let the engine work. If it `introduces` the public key of a phrase to a keeper, it does so in the end: after
        the ring, so that a phrase never opens nothing."""
        place = place or self._any_place(task.remote)
        before = place.disturbances
        task.undisturbed = task.undisturbed and place.well

        def begin(operation: Operation, ended: Ended) -> Callable[[], None]:
            def done(result: object, failure: Exception | None) -> None:
                self._record_operation(task.remote, operation, failure)
                ended(result, failure)

            return place.begin(operation, done)

        def ended(result: Result | None, failure: Exception | None) -> None:
            if failure is None and introduces is not None:
                assert isinstance(place, KeeperRemote)
                place.introduce(introduces, lambda _, failure: over(result, failure))
            else:
                over(result, failure)

        def over(result: Result | None, failure: Exception | None) -> None:
            if task.done:
                return  # it is broken off
            task.undisturbed = task.undisturbed and place.disturbances == before
            if failure is None:
                complete(result)  # type: ignore[arg-type]  # without a failure there is a result
                task.result = result
            elif not isinstance(failure, NodeError):
                raise failure
            else:
                self._record(task.remote, f"fails: {failure}")
                (fail or (lambda error: setattr(task, "error", error)))(failure)

        task.under_way = Conductor(steps, begin, ended)
        task.under_way.start()

    def _record_operation(self, remote: str, operation: Operation, failure: Exception | None) -> None:
        ends = "" if failure is None else f": {failure or type(failure).__name__}"
        match operation:
            case PutObject(name) | GetObject(name) | DeleteObject(name) | ListObjects(name):
                self._record(remote, f"{type(operation).__name__} {name}{ends}")

    def _record(self, remote: str, what: str) -> None:
        self._context.record(self._host, f"backup {remote} {what}")


def _url(remote: str) -> str:
    return remote if remote.startswith(SCHEME) else f"memory://{remote}"


def chunks_in(name: str, data: bytes, ring: Ring) -> list[bytes]:
    """Return the ids of all chunks in a pack, as its own directory has them; none if it is of no epoch of the ring."""
    for _, epoch in ring.newest_first():
        length = directory_length_untrusted(name, data[:LENGTH_PART_BYTES], epoch.data)
        if length is not None:
            part = data[LENGTH_PART_BYTES : LENGTH_PART_BYTES + length + TAG_BYTES]
            directory = directory_untrusted(name, part, epoch.data) or b""
            return [place.chunk for place in places(directory, len(data)) or ()]
    return []
