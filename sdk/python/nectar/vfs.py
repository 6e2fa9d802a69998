"""Files, by `vfs:distro:sys`, which the manifest asks for: `await vfs.read("/app:sys/drive/notes.txt")`.

A path is `/package:publisher/drive/rest`; `drive` returns one of our own package. Each function returns a question:
await it, or `wait()` for it. Python's own `open` reads and writes the same files, without the capability; what is
written so is told to no watch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nectar import json, node
from nectar.errors import Refused
from nectar.messages import Blob, Request, Response
from nectar.node import Question, question

FileType = Literal["File", "Directory", "Symlink", "Other"]
SERVER = "vfs:distro:sys"
_TARGET = f"our@{SERVER}"
_TIMEOUT = 60


class NotFound(Refused):
    """There is no such file or folder."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a file or folder."""

    file_type: FileType
    len: int
    """Bytes."""
    modified: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the vfs tells whoever watches a path."""

    path: str
    """As it was watched."""
    changes: list[str]
    """Paths at which something may have changed: at the watched one, below it or above it."""
    more: bool
    """Whether something may also have changed elsewhere."""


Changed = Callable[[Change], object]
"""What is told of changes; `async` or not."""
_watchers: dict[str, Changed] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One of a folder."""

    path: str
    """The whole path, without its first slash."""
    file_type: FileType

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def drive(name: str) -> str:
    """Return the path of a drive of our own package, which `create_drive` makes."""
    process = node.our().process
    return f"/{process.package}:{process.publisher}/{name}"


def _ok(response: Response) -> Any:
    try:
        return response.ok()
    except Refused as refused:
        reason = refused.reason
        if (isinstance(reason, dict) and "NotFound" in reason) or "No such file" in str(reason):
            raise NotFound(reason) from None
        raise


def _data(response: Response) -> bytes:
    blob = response.blob()
    _ok(response)
    return b"" if blob is None else blob.bytes


def _done(response: Response) -> None:
    _ok(response)


def _do(path: str, action: object, blob: Blob | bytes | None = None) -> Question[None]:
    return question(_TARGET, {"path": path, "action": action}, _done, timeout=_TIMEOUT, blob=blob)


def create_drive(path: str) -> Question[None]:
    """Make a drive, unless it is there."""
    return _do(path, "CreateDrive")


def create_dir(path: str) -> Question[None]:
    """Make a folder and those above it, unless they are there."""
    return _do(path, "CreateDirAll")


def read(path: str) -> Question[bytes]:
    """Return a whole file, of at most 64 MiB."""
    return question(_TARGET, {"path": path, "action": "Read"}, _data, timeout=_TIMEOUT)


def read_at(path: str, offset: int, length: int) -> Question[bytes]:
    """Return `length` bytes from `offset` on; fewer at the end of the file."""
    action = {"ReadAt": {"offset": offset, "length": length}}
    return question(_TARGET, {"path": path, "action": action}, _data, timeout=_TIMEOUT)


def write(path: str, data: bytes) -> Question[None]:
    """Replace a file, or make it: whoever reads it finds the old or the new one, whole."""
    return _do(path, "Write", data)


def write_at(path: str, offset: int, data: bytes) -> Question[None]:
    """Write into a file that is there, from `offset` on."""
    return _do(path, {"WriteAt": {"offset": offset, "length": len(data)}}, data)


def append(path: str, data: bytes) -> Question[None]:
    """Write at the end of a file that is there."""
    return _do(path, "Append", data)


def create_file(path: str) -> Question[None]:
    """Make an empty file; one that is there loses its content."""
    return _do(path, "CreateFile")


def set_length(path: str, length: int) -> Question[None]:
    """Cut a file off, or fill it up with zeros."""
    return _do(path, {"SetLen": length})


def sync(path: str) -> Question[None]:
    """Make what was written durable."""
    return _do(path, "SyncAll")


def rename(path: str, new_path: str) -> Question[None]:
    """Give a file or folder another path."""
    return _do(path, {"Rename": {"new_path": new_path}})


def copy(path: str, new_path: str) -> Question[None]:
    """Copy a file."""
    return _do(path, {"CopyFile": {"new_path": new_path}})


def remove(path: str) -> Question[None]:
    """Remove a file."""
    return _do(path, "RemoveFile")


def remove_dir(path: str) -> Question[None]:
    """Remove a folder with all that is in it."""
    return _do(path, "RemoveDirAll")


def metadata(path: str) -> Question[Metadata]:
    """Return what is known of a file or folder."""

    def found(response: Response) -> Metadata:
        return Metadata(**_ok(response)["Metadata"])

    return question(_TARGET, {"path": path, "action": "Metadata"}, found, timeout=_TIMEOUT)


def read_dir(path: str, *, after: str = "", limit: int | None = None) -> Question[list[Entry]]:
    """Return what is in a folder, of at most 16,384 entries; with `limit`, the first of those that come behind `after`.

    A folder of any size is read page by page: `after` is the last name of the page before; an empty page is the end.
    """

    def found(response: Response) -> list[Entry]:
        return [Entry(each["path"], each["file_type"]) for each in _ok(response)["ReadDir"]]

    action = "ReadDir" if limit is None else {"ReadDir": {"after": after, "limit": limit}}
    return question(_TARGET, {"path": path, "action": action}, found, timeout=_TIMEOUT)


def hash_of(path: str) -> Question[bytes]:
    """Return the BLAKE3 hash of a file, 32 bytes."""

    def found(response: Response) -> bytes:
        return bytes(_ok(response)["Hash"])

    return question(_TARGET, {"path": path, "action": "Hash"}, found, timeout=_TIMEOUT)


def watch(path: str, changed: Changed) -> Question[None]:
    """Let a function be told when something may have changed at a path: `changed(change)`.

    Nobody is told of what it has changed itself. A process with an `init` of its own gives `handle` what it receives.
    """
    if not _watchers:
        node.on_request_from(SERVER, handle)
    _watchers[path] = changed
    return _do(path, "Watch")


def unwatch(path: str) -> Question[None]:
    """Be told no longer."""
    _watchers.pop(path, None)
    return _do(path, "Unwatch")


def handle(request: Request) -> object:
    """Pass on what a request of the vfs tells; returns the answer, or what is to be awaited for it."""
    match request.json():
        case {"Changed": told}:
            change = json.decode(Change, told)
            return _told(_watchers.get(change.path), change)
        case {"Unwatched": {"path": str(path)}}:
            _watchers.pop(path, None)
    return None


async def _told(changed: Changed | None, change: Change) -> str:
    if changed is not None:
        made = changed(change)
        if inspect.isawaitable(made):
            await made
    return "Ok"


def free_space(path: str) -> Question[int]:
    """Return the bytes that our files may still grow by."""

    def found(response: Response) -> int:
        return int(_ok(response)["FreeSpace"])

    return question(_TARGET, {"path": path, "action": "FreeSpace"}, found, timeout=_TIMEOUT)
