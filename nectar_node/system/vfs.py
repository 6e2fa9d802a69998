"""vfs:distro:sys: the drives of packages as files on the node's disk.

Body: {"path": "/package:publisher/drive/rest", "action": …} (`vfs_actions`), with or without the leading slash, as
packages send both; bulk data travels in blobs, by reference. A package reaches its own drives; others need {"kind":
"read" or "write", "drive": "/package:publisher/drive"} from this process, or {"root": true}, which covers all drives.
"CreateDrive" gives the caller both capabilities for the new drive, to pass them on, also for a drive of another
package, which only a holder of {"root": true} makes. Paths are checked here, and cursors kept: one for each file that a
process reads or writes without naming an offset, until the process closes the file or ends.

Operations on one path are done in the order of their requests (`vfs_queue`), hashes aside: those only read, take
seconds, and would hold up everybody else. Packages take turns (`storage.turns`). A long operation is given up, without
an answer, when its requester has got Timeout for it, or has ended (`vfs_waits`).

A mount puts a host file or folder at a path, read-only. That is how a user lets a process read one file, and how a
package's own folder becomes its drive `pkg`. That name is reserved for mounts: where none is, only a holder of the
drive's "write" capability or {"root": true} writes to it, as an app store that unpacks packages does; belonging to the
package is not enough.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability, canonical
from kernel.contract.errors import BadAddress
from kernel.contract.events import GrantCapabilities, Inject
from kernel.contract.guest import Arrival, Failure, Generation
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, Request
from nectar_node.base.system_processes import TERMINAL, VFS
from nectar_node.contract.actions import LogLine
from nectar_node.contract.generations import GenerationOf, error_answer
from nectar_node.contract.json_shapes import RequestRefused, dump, field_untrusted, load_untrusted, text_untrusted
from nectar_node.storage.names import why_refused
from nectar_node.storage.operations import (
    BODIES,
    DATABASES,
    MAX_DEPTH,
    DiskError,
    DiskFault,
    Job,
    Location,
    Outcome,
    StopJob,
    is_part,
)
from nectar_node.system.process import (
    SORRY,
    Cause,
    SystemAction,
    SystemProcess,
    SystemToken,
    bare,
    metadata_bytes,
    reply,
)
from nectar_node.system.vfs_actions import ACTIONS, Action, Call, parse_untrusted, refusal
from nectar_node.system.vfs_queue import Pending, VfsQueue
from nectar_node.system.vfs_waits import AwaitedUntil, Waits
from nectar_node.system.vfs_watches import MAX_MISSED, DriveWatch, Watches

PACKAGE_DRIVE = "pkg"
"""The name of the drive that is a package's own folder."""
MAX_BODY_BYTES = 64 << 10
"""Bytes of a request's body; bulk data travels in blobs."""
MAX_PATH_BYTES = 4096
"""Bytes of a path in a request."""
MAX_MOUNTS = 10_000
"""Host files and folders that are mounted at the same time."""
MAX_CURSORS = 16_384
"""Files of one process whose cursor is not at their beginning."""

_WATCHING = (ACTIONS["Watch"], ACTIONS["Unwatch"])
_PARSED = 40
"""Bytes of memory that one byte of JSON becomes at most, such as `[{"":0},{"":0}]`."""


class _Place(NamedTuple):
    """Where a path leads."""

    location: Location
    package: PackageId
    drive: str
    mounted: bool


class _Task(NamedTuple):
    """A request whose form and rights have been checked."""

    envelope: Envelope
    """The bare request."""
    action: Action
    call: Call
    cursors: dict[str, int]
    """The caller's cursors, by place; once the caller has ended, no process's."""


class Vfs(SystemProcess):
    """The drives of one node."""

    id = VFS

    def __init__(
        self,
        our: str,
        root: str,
        holds: Callable[[ProcessId, Capability], bool],
        awaited_until: AwaitedUntil = lambda _: None,
        memory: Memory = UNMETERED,
        generation: GenerationOf = lambda _: Generation.EARLY,
    ) -> None:
        """`root` is the folder of all drives; `holds` tells whether a process holds a capability; `awaited_until`
        returns when the requester of a request of this node gets Timeout, if that is known; `memory` pays for what
        waits; `generation` returns which shapes a process knows.
        """
        super().__init__()
        self._address = Address(our, VFS)
        self._root = root
        self._holds = holds
        self._generation = generation
        self._everything = canonical(Capability(self._address, '{"root":true}'))
        self._mounts: dict[str, Location] = {}
        self._cursors: dict[ProcessId, dict[str, int]] = {}
        self._queue: VfsQueue[_Task] = VfsQueue(memory)
        self._waits = Waits[_Task](awaited_until)
        self._watches = Watches(memory)
        self._planned: Pending[_Task] | None = None
        self._given: deque[tuple[GrantCapabilities, Envelope, object]] = deque()
        """Grants to makers of drives that are to come, with whom to answer what then."""
        self._granted: tuple[GrantCapabilities, Envelope, object] | None = None
        """The one that has just been made."""
        """The operation that `_go_on` is handling."""

    # --- mounts -----------------------------------------------------------------------------------------------------

    def mount(self, path: str, location: Location) -> None:
        """Put a host file or folder at `path`, read-only, in place of what was mounted there."""
        assert len(self._mounts) < MAX_MOUNTS or path in self._mounts
        self._mounts[path] = location

    @property
    def mounts(self) -> int:
        """Return how many mounts there are."""
        return len(self._mounts)

    def unmount(self, path: str) -> bool:
        """Remove a mount; False: nothing was mounted there."""
        return self._mounts.pop(path, None) is not None

    def locate(self, package: PackageId, path: str) -> Location:
        """Return where a file of a package's drive `pkg` lies; `path` is `/x.wasm` or a full vfs path, each with or
        without its first slash. Raises RequestRefused.
        """
        rest = path.lstrip("/")
        full = rest if rest.startswith(f"{package}/") else f"{package}/{PACKAGE_DRIVE}/{rest}"
        return self._resolve(full).location

    def readable(self, process: ProcessId, path: str) -> Location:
        """Return where a file or folder lies that a process may read; raises RequestRefused."""
        return self._permitted(process, path, "read")

    def receiving(self, process: ProcessId, path: str) -> Location:
        """Return where a folder of a drive of a process's own package lies that it may make files in; raises
        RequestRefused.
        """
        location = self._permitted(process, path, "write")
        if location.parts[0] != str(process.package_id):
            raise RequestRefused({"IOError": {"error": "it is not in a drive of the process's package", "path": path}})
        _check_names(path, location)
        return location

    # --- the five verbs ---------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Queue a request, or refuse it."""
        try:
            self._take_untrusted(envelope, now)
        except RequestRefused as refused:
            self._refuse(envelope, refused)
        self._go_on()

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Answer a request whose operation is done."""
        pending = job.owner
        assert isinstance(pending, Pending)
        self._waits.over(pending)
        self._note_changes(pending.task, outcome, now)
        if pending not in self._queue:
            return  # it has failed here, and has been answered
        if not pending.stopped:
            self._finish(pending.task, outcome)
        self._queue.finished(pending)
        self._go_on()

    def ended(self, process: ProcessId, now: float) -> None:
        """Forget a process's cursors, and give up its operations that take long."""
        self._cursors.pop(process, None)
        self._watches.ended(process)
        self._stop(self._waits.ended(process))

    def next_deadline(self) -> float | None:
        """Return when `on_timer` is due: a requester gets Timeout for an operation that is not done, or a process is
        told of changes.
        """
        deadlines = (self._waits.next_deadline(), self._watches.next_deadline())
        return min((each for each in deadlines if each is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Give up operations that nobody waits for any more, and tell of changes."""
        self._stop(self._waits.expired(now))
        self._tell_watchers(now)

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """Go on telling a process of changes that has answered, or does not."""
        assert isinstance(token, int)
        watch = self._watches.answered(token, now, missed=isinstance(answer, Failure))
        if watch is not None:
            error = f"{MAX_MISSED} messages were not answered"
            self._end_watch(watch, {"IOError": {"error": error, "path": watch.path}})
        self._tell_watchers(now)

    def _stop(self, given_up: Iterable[Pending[_Task]]) -> None:
        for pending in given_up:
            pending.stopped = True
            self._out.append(StopJob(pending.ticket))

    def recover(self, cause: Cause, now: float) -> None:
        """Answer a request whose handling has failed."""
        failed: object = cause.owner if isinstance(cause, Job) else cause
        if self._planned is not None:
            failed, self._planned = self._planned, None
        if isinstance(failed, Pending):
            failed = failed.task.envelope
        number = failed.id if isinstance(failed, Envelope) else None
        for pending in self._queue.mend(lambda task: task.envelope.id == number):
            self._waits.over(pending)
        if isinstance(failed, Envelope):
            self._refuse(failed, RequestRefused({"IOError": {"error": SORRY, "path": ""}}))
        self._go_on()

    # --- requests ---------------------------------------------------------------------------------------------------

    def _take_untrusted(self, envelope: Envelope, now: float) -> None:
        caller = envelope.source.process
        path, action, argument = parse_untrusted(load_untrusted(envelope.message.body, MAX_BODY_BYTES))
        location = self._permitted(caller, path, action.right)
        if action in _WATCHING:
            self._watch(envelope, action, path, location)
            return
        if action.makes:
            _check_names(path, location)
        target = None
        if action.second:
            new_path = text_untrusted(field_untrusted(argument, "new_path"))
            target = self._permitted(caller, new_path, "write")
            _check_names(new_path, target)
        if action is ACTIONS["CreateDrive"]:
            location = Location(location.root, location.parts[:2])
        weight = _PARSED * len(envelope.message.body) + metadata_bytes(envelope)
        weight += len(envelope.blob.bytes) if envelope.blob is not None else 0
        if not self._queue.has_room(caller, weight):
            self._refuse_to_queue(caller, path)
        cursors = self._cursors.setdefault(caller, {}) if action.moves is not None else {}
        task = _Task(bare(envelope), action, Call(path, location, argument, envelope.blob, target, 0), cursors)
        # By the place on the disk, because one place has many spellings.
        place = f"hash {caller.package_id} {location}" if action is ACTIONS["Hash"] else str(location)
        places = (place,) if target is None or target == location else (place, str(target))
        # An operation that can be given up also goes alone: what waits for it here costs nothing to give up.
        alone = action.moves is not None or len(places) > 1 or action.stops
        pending = Pending(task, places, alone, caller, weight)
        if action.stops:
            self._waits.add(pending, envelope, now, sent_is_done=action is ACTIONS["Write"])
        self._queue.put(pending)

    def _refuse_to_queue(self, caller: ProcessId, path: str) -> None:
        if self._queue.first_refusal(caller):
            self._out.append(LogLine(str(caller), 0, "asks for more of the disk than it can do; some is refused"))
        raise RequestRefused({"IOError": {"error": "too much waits for the disk already", "path": path}})

    def _go_on(self) -> None:
        """Submit the operations that may be done now."""
        while (pending := self._queue.next()) is not None:
            if pending.stopped:
                self._queue.finished(pending)
                continue
            self._planned = pending
            task = pending.task
            call = task.call._replace(cursor=task.cursors.get(pending.places[0], 0))
            pending.task = task._replace(call=call)
            try:
                operation = task.action.plan(call)
            except RequestRefused as refused:
                self._waits.over(pending)
                self._refuse(task.envelope, refused)
                self._queue.finished(pending)
            else:
                party = str(pending.caller.package_id)
                self._out.append(Job(operation, pending.places[0], pending, party, pending.ticket))
            self._planned = None

    def _finish(self, task: _Task, outcome: Outcome) -> None:
        envelope, action, call, cursors = task
        if isinstance(outcome, DiskError) and action is not ACTIONS["CloseFile"]:
            self._refuse(envelope, RequestRefused(refusal(outcome, call.path, action)))
            return
        try:
            value, blob = action.answer(call, outcome)
            if action.moves is not None:
                _set_cursor(cursors, call, action.moves(call, outcome))
        except RequestRefused as refused:
            self._refuse(envelope, refused)
            return
        grant = self._due(envelope.source.process, call.location) if action is ACTIONS["CreateDrive"] else None
        if grant is not None:
            self._out.append(grant)
            self._given.append((grant, envelope, value))
            return
        self._answer(envelope, value, blob)

    def next_action(self) -> SystemAction | None:
        """Return the next action; after a grant, the answer to who gets it comes first."""
        if self._granted is not None:
            (grant, envelope, value), self._granted = self._granted, None
            maker = envelope.source.process
            if not all(self._holds(maker, right) for right in grant.capabilities):
                # Only now it shows whether there is room for them.
                facts = {"error": "the process holds too many capabilities to be given those of the drive"}
                value = error_answer(VFS, self._generation(maker), "NotGiven", facts)
            answer = reply(VFS, envelope, dump(value))
            if answer is not None:
                return answer
        action = super().next_action()
        if self._given and self._given[0][0] is action:
            self._granted = self._given.popleft()
        return action

    # --- watches ----------------------------------------------------------------------------------------------------

    def _watch(self, envelope: Envelope, action: Action, path: str, location: Location) -> None:
        watcher = envelope.source.process
        if watcher == TERMINAL:
            raise RequestRefused({"IOError": {"error": "only a process that runs is told of changes", "path": path}})
        if action is ACTIONS["Unwatch"]:
            if not self._watches.remove(watcher, location):
                raise RequestRefused({"NotFound": {"path": path}})
        elif (why := self._watches.add(watcher, path, location)) is not None:
            raise RequestRefused({"IOError": {"error": why, "path": path}})
        self._answer(envelope, "Ok", None)

    def _note_changes(self, task: _Task, outcome: Outcome, now: float) -> None:
        """Note what an operation has changed; one that failed may have done so in part."""
        if isinstance(outcome, DiskError) and outcome.fault in (DiskFault.NOT_FOUND, DiskFault.EXISTS):
            return
        by = task.envelope.source.process
        if task.action.changes:
            self._watches.changed(task.call.location, by, now)
        if task.call.target is not None:
            self._watches.changed(task.call.target, by, now)
        self._tell_watchers(now)

    def _tell_watchers(self, now: float) -> None:
        while (watch := self._watches.take(now)) is not None:
            watcher = Address(self._address.node, watch.watcher)
            try:
                self._permitted(watch.watcher, watch.path, "read")
            except RequestRefused as refused:
                self._end_watch(watch, refused.value)
            else:
                body = dump({"Changed": self._watches.tell(watch, now)})
                request = Request(False, self._watches.patience(watch), body)
                self._out.append(Inject(VFS, watcher, request, None, SystemToken(VFS, watch.number)))

    def _end_watch(self, watch: DriveWatch, reason: object) -> None:
        self._watches.remove(watch.watcher, watch.location)
        request = Request(False, None, dump({"Unwatched": {"path": watch.path, "reason": reason}}))
        self._out.append(Inject(VFS, Address(self._address.node, watch.watcher), request, None, None))

    # --- rights -----------------------------------------------------------------------------------------------------

    def _permitted(self, caller: ProcessId, path: str, right: str) -> Location:
        place = self._resolve(path)
        if place.mounted and right == "write":
            raise RequestRefused({"IOError": {"error": "read-only", "path": path}})
        reserved = place.drive == PACKAGE_DRIVE and right == "write"
        if (place.package == caller.package_id and not reserved) or self._holds(caller, self._everything):
            return place.location
        if self._holds(caller, self._right_to(f"/{place.package}/{place.drive}", right)):
            return place.location
        raise RequestRefused({"NoCap": {"action": right, "path": path}})

    def _right_to(self, drive: str, kind: str) -> Capability:
        return canonical(Capability(self._address, json.dumps({"kind": kind, "drive": drive})))

    def _due(self, caller: ProcessId, location: Location) -> GrantCapabilities | None:
        """Return the grant of a drive's capabilities to its maker (G20), to pass them on; None: it has them, or may
        not. Who may write another package's drive and no more does not get to read it by making it.
        """
        package, drive = location.parts
        rights = tuple(self._right_to(f"/{package}/{drive}", kind) for kind in ("read", "write"))
        may = package == str(caller.package_id) or self._holds(caller, self._everything)
        has_all = all(self._holds(caller, right) for right in rights)
        return GrantCapabilities(caller, rights) if may and not has_all else None

    def _resolve(self, path: str) -> _Place:
        """Return where a path leads; raises RequestRefused."""
        parts = tuple(part for part in path.split("/") if part)
        shape = "a path is /package:publisher/drive/rest"
        if len(path.encode(errors="replace")) > MAX_PATH_BYTES or len(parts) < 2:
            raise RequestRefused({"ParseError": {"error": shape, "path": path[:256]}})
        if len(parts) > MAX_DEPTH:
            raise RequestRefused({"ParseError": {"error": f"{shape}, of {MAX_DEPTH} names", "path": path[:256]}})
        why = next((why_refused(part) for part in parts if not is_part(part)), None)
        if why is not None:
            raise RequestRefused({"ParseError": {"error": f"{shape}: a name in it {why}", "path": path[:256]}})
        if parts[1] == DATABASES:
            raise RequestRefused({"ParseError": {"error": "databases are reached by messages", "path": path[:256]}})
        if parts[1] == BODIES:
            raise RequestRefused({"ParseError": {"error": "what is being sent is not there yet", "path": path[:256]}})
        try:
            package = PackageId.parse(parts[0])
        except BadAddress as error:
            raise RequestRefused({"ParseError": {"error": str(error), "path": path[:256]}}) from error
        for length in range(len(parts), 1, -1):
            mount = self._mounts.get("/" + "/".join(parts[:length]))
            if mount is not None:
                return _Place(Location(mount.root, mount.parts + parts[length:]), package, parts[1], mounted=True)
        return _Place(Location(self._root, parts), package, parts[1], mounted=False)

    def _refuse(self, envelope: Envelope, refused: RequestRefused) -> None:
        kind, facts = refused.parts()
        self._answer(envelope, error_answer(VFS, self._generation(envelope.source.process), kind, facts), None)

    def _answer(self, envelope: Envelope, value: object, blob: Buffer | None) -> None:
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        answer = reply(VFS, envelope, dump(value), carried)
        if answer is not None:
            self._out.append(answer)


def _check_names(path: str, location: Location) -> None:
    """Check that a file or folder may be made there; raises RequestRefused."""
    for name in location.parts[1:]:  # the first is the package's
        why = why_refused(name)
        if why is not None:
            raise RequestRefused({"IOError": {"error": f"no file or folder is made whose name {why}", "path": path}})


def _set_cursor(cursors: dict[str, int], call: Call, position: int) -> None:
    """Move a cursor; raises RequestRefused if too many files have one."""
    place = str(call.location)
    if not position:
        cursors.pop(place, None)  # where every cursor begins
    elif place in cursors or len(cursors) < MAX_CURSORS:
        cursors[place] = position
    else:
        error = f"{MAX_CURSORS} files are open already: close some"
        raise RequestRefused({"IOError": {"error": error, "path": call.path}})
