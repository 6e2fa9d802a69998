"""vfs:distro:sys: the drives of packages as files on the node's disk.

Body: {"path": "/package:publisher/drive/rest", "action": …}; bulk data rides in blobs, by reference. The shapes are
those of the existing node's packages; ReadAt and WriteAt, which name their offset instead of moving a cursor that all
callers of a path share, are ours. A package reaches its own drives; others need {"kind": "read" or "write",
"drive": …} from this process. One table maps an action to the right it needs, its disk operation, and the answer.

Operations on one path are done in the order in which they were asked for, hashes aside: those only read, take seconds,
and would hold up everybody else.

A mount puts a host file or folder at a path, read-only: that is how a user lets a process read one file of theirs, and
how a package's own folder becomes its drive `pkg`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from kernel import limits
from kernel.address import Address, PackageId, ProcessId
from kernel.capability import Capability, canonical
from kernel.errors import BadAddress
from kernel.events import Reply
from kernel.message import Buffer, Envelope, LazyLoadBlob
from nectar_node.storage.operations import (
    Create,
    DiskError,
    DiskFault,
    FileStat,
    Hash,
    Job,
    ListFolder,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    ReadAt,
    RemoveFile,
    RemoveFolder,
    Rename,
    Replace,
    SetLength,
    Stat,
    Sync,
    WriteAt,
    is_part,
)
from nectar_node.system.process import reply

VFS = ProcessId("vfs", "distro", "sys")
MAX_PATH_BYTES = 4096
"""A path in a request."""
MAX_MOUNTS = 10_000
"""Host files and folders that are mounted at once."""


class Refused(Exception):
    """A request that gets {"Err": …}; carries that value."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


class _Call(NamedTuple):
    """What an action has to work with."""

    location: Location
    argument: Any
    data: Buffer | None
    """The request's blob."""
    resolve: Callable[[object], Location]
    """A second path in the argument, checked for the same caller."""


class _Action(NamedTuple):
    right: str
    plan: Callable[[_Call], Operation]
    answer: Callable[[Any, str], tuple[object, Buffer | None]]
    """Of the outcome and the path: the JSON value and the blob."""


class _Owner(NamedTuple):
    envelope: Envelope
    path: str
    action: _Action


class Vfs:
    """The drives of one node."""

    id = VFS
    public = False

    def __init__(self, our: str, root: str, holds: Callable[[ProcessId, Capability], bool]) -> None:
        """`root`: the folder of all drives; `holds`: whether a process holds a capability."""
        self._address = Address(our, VFS)
        self._root = root
        self._holds = holds
        self._mounts: dict[str, Location] = {}
        self._actions: deque[Reply | Job] = deque()

    # --- mounts -----------------------------------------------------------------------------------------------------

    def mount(self, path: str, location: Location) -> None:
        """Put a host file or folder at `path`, read-only, in place of what was mounted there."""
        assert len(self._mounts) < MAX_MOUNTS or path in self._mounts
        self._mounts[path] = location

    @property
    def mounts(self) -> int:
        """How many there are."""
        return len(self._mounts)

    def unmount(self, path: str) -> bool:
        """Take it away again; False: nothing was mounted there."""
        return self._mounts.pop(path, None) is not None

    def locate(self, package: PackageId, path: str) -> Location:
        """Where a file of a package's drive `pkg` lies; `path` is `/x.wasm` or a full vfs path. Raises Refused."""
        full = path if path.startswith(f"/{package}/") else f"/{package}/pkg/{path.lstrip('/')}"
        return self._resolve(full)[0]

    # --- the verbs --------------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Plan what a request asks for, or refuse it."""
        try:
            self._plan_untrusted(envelope)
        except Refused as refusal:
            self._reply(envelope, {"Err": refusal.value}, None)

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Answer a request whose operation is done."""
        owner = job.owner
        assert isinstance(owner, _Owner)
        if isinstance(outcome, DiskError):
            self._reply(owner.envelope, {"Err": _refusal(outcome, owner.path)}, None)
            return
        value, blob = owner.action.answer(outcome, owner.path)
        self._reply(owner.envelope, value, blob)

    def next_deadline(self) -> float | None:
        """It has no timers."""
        return None

    def on_timer(self, now: float) -> None:
        """It has no timers."""

    def next_action(self) -> Reply | Job | None:
        """The next answer or disk job."""
        return self._actions.popleft() if self._actions else None

    # --- requests ---------------------------------------------------------------------------------------------------

    def _plan_untrusted(self, envelope: Envelope) -> None:
        path, name, argument = _parse_untrusted(envelope.message.body)
        action = _ACTIONS.get(name)
        if action is None:
            raise Refused("BadRequest")
        caller = envelope.source.process
        location = self._permitted(caller, path, action.right)
        data = envelope.blob.bytes if envelope.blob is not None else None
        call = _Call(location, argument, data, lambda second: self._permitted(caller, _path(second), "write"))
        # By the place on the disk: one place has many spellings.
        lane = f"hash {location}" if name == "Hash" else str(location)
        self._actions.append(Job(action.plan(call), lane, _Owner(envelope, path, action)))

    def _permitted(self, caller: ProcessId, path: str, right: str) -> Location:
        location, package, drive, mounted = self._resolve(path)
        if mounted and right == "write":
            raise Refused({"IOError": {"error": "read-only", "path": path}})
        if package == caller.package_id:
            return location
        params = json.dumps({"kind": right, "drive": f"/{package}/{drive}"})
        if self._holds(caller, canonical(Capability(self._address, params))):
            return location
        raise Refused({"NoCap": {"action": right, "path": path}})

    def _resolve(self, path: str) -> tuple[Location, PackageId, str, bool]:
        """Location, package, drive, and whether it is mounted; raises Refused."""
        if not path.startswith("/") or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
            raise Refused({"ParseError": {"error": "a path is /package:publisher/drive/rest", "path": path[:256]}})
        parts = tuple(part for part in path.split("/") if part)
        if len(parts) < 2 or not all(is_part(part) for part in parts):
            raise Refused({"ParseError": {"error": "a path is /package:publisher/drive/rest", "path": path[:256]}})
        try:
            package = PackageId.parse(parts[0])
        except BadAddress as error:
            raise Refused({"ParseError": {"error": str(error), "path": path[:256]}}) from error
        for length in range(len(parts), 1, -1):
            mount = self._mounts.get("/" + "/".join(parts[:length]))
            if mount is not None:
                return Location(mount.root, mount.parts + parts[length:]), package, parts[1], True
        return Location(self._root, parts), package, parts[1], False

    def _reply(self, envelope: Envelope, value: object, blob: Buffer | None) -> None:
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        answer = reply(VFS, envelope, body, carried)
        if answer is not None:
            self._actions.append(answer)


def _parse_untrusted(body: bytes) -> tuple[str, str, Any]:
    """Path, action and its argument (None for an action that is a plain string); raises Refused."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("BadJson") from None
    if not isinstance(value, dict):
        raise Refused("BadRequest")
    action = value.get("action")
    if isinstance(action, str):
        return _path(value.get("path")), action, None
    if isinstance(action, dict) and len(action) == 1:
        ((name, argument),) = action.items()
        return _path(value.get("path")), name, argument
    raise Refused("BadRequest")


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise Refused("BadRequest")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused("BadRequest") from None
    return value


def _number(argument: object, key: str | None, most: int = (1 << 63) - 1) -> int:
    value = argument.get(key) if key is not None and isinstance(argument, dict) else argument
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Refused("BadRequest")
    return value


def _blob(call: _Call) -> Buffer:
    if call.data is None:
        raise Refused("BadRequest")
    return call.data


def _refusal(error: DiskError, path: str) -> object:
    if error.fault is DiskFault.NOT_FOUND:
        return {"NotFound": {"path": path}}
    return {"IOError": {"error": error.text, "path": path}}


def _plan_open(call: _Call) -> Operation:
    create = isinstance(call.argument, dict) and call.argument.get("create") is True
    return Create(call.location) if create else Stat(call.location)


def _plan_read_at(call: _Call) -> Operation:
    argument = call.argument
    return ReadAt(call.location, _number(argument, "offset"), _number(argument, "length", limits.MAX_BLOB_BYTES))


def _plan_write_at(call: _Call) -> Operation:
    return WriteAt(call.location, _number(call.argument, "offset"), _blob(call))


def _plan_rename(call: _Call) -> Operation:
    second = call.argument.get("new_path") if isinstance(call.argument, dict) else None
    return Rename(call.location, call.resolve(second))


def _answer_ok(outcome: object, path: str) -> tuple[object, Buffer | None]:
    return "Ok", None


def _answer_read(outcome: bytes, path: str) -> tuple[object, Buffer | None]:
    return "Read", outcome


def _answer_metadata(outcome: FileStat, path: str) -> tuple[object, Buffer | None]:
    metadata = {"file_type": outcome.type.value, "len": outcome.length, "modified": outcome.modified}
    return {"Metadata": metadata}, None


def _answer_len(outcome: FileStat, path: str) -> tuple[object, Buffer | None]:
    return {"Len": outcome.length}, None


def _answer_list(outcome: list[Any], path: str) -> tuple[object, Buffer | None]:
    base = path.rstrip("/")
    return {
        "ReadDir": [{"path": f"{base}/{name}", "file_type": kind.value} for name, kind in outcome if is_part(name)]
    }, None


def _answer_hash(outcome: bytes, path: str) -> tuple[object, Buffer | None]:
    return {"Hash": list(outcome)}, None


_MAKE_FOLDER = _Action("write", lambda call: MakeFolder(call.location), _answer_ok)

_ACTIONS: dict[str, _Action] = {
    "CreateDrive": _MAKE_FOLDER,
    "CreateDir": _MAKE_FOLDER,
    "CreateDirAll": _MAKE_FOLDER,
    "CreateFile": _Action("write", lambda call: Create(call.location), _answer_ok),
    "OpenFile": _Action("write", _plan_open, _answer_ok),
    "CloseFile": _Action("read", lambda call: Stat(call.location), _answer_ok),
    "ReadAt": _Action("read", _plan_read_at, _answer_read),
    "WriteAt": _Action("write", _plan_write_at, _answer_ok),
    "Read": _Action("read", lambda call: ReadAt(call.location, 0, limits.MAX_BLOB_BYTES), _answer_read),
    "Write": _Action("write", lambda call: Replace(call.location, _blob(call)), _answer_ok),
    "SyncAll": _Action("write", lambda call: Sync(call.location), _answer_ok),
    "ReadDir": _Action("read", lambda call: ListFolder(call.location), _answer_list),
    "RemoveFile": _Action("write", lambda call: RemoveFile(call.location), _answer_ok),
    "RemoveDir": _Action("write", lambda call: RemoveFolder(call.location, recursive=False), _answer_ok),
    "RemoveDirAll": _Action("write", lambda call: RemoveFolder(call.location, recursive=True), _answer_ok),
    "Rename": _Action("write", _plan_rename, _answer_ok),
    "Metadata": _Action("read", lambda call: Stat(call.location), _answer_metadata),
    "Len": _Action("read", lambda call: Stat(call.location), _answer_len),
    "SetLen": _Action("write", lambda call: SetLength(call.location, _number(call.argument, None)), _answer_ok),
    "Hash": _Action("read", lambda call: Hash(call.location), _answer_hash),
}
