"""The interfaces of wasi:filesystem, over the same open files as WASI preview 1 in a replayable run (`kernel.files`): a
guest's drive is a tree of files, be it a host's folder (`host_drive`) or none, and no path leads out of it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from functools import wraps
from typing import Any

from kernel.contract.drive import DriveError, Errno, FileKind
from kernel.files import changes
from kernel.files.open_files import CREATE, FD_READ, FD_WRITE, TRUNCATE, OpenFolder
from kernel.files.paths import existing
from kernel.wasm.wasi.state import (
    NANOSECONDS,
    Descriptor,
    DirectoryEntries,
    InputStream,
    IoError,
    OutputStream,
    WasiState,
)

MAX_READ = 1 << 20
"""Bytes that one call reads of a file."""
_FOLLOW = 1
_READ, _WRITE, _SYNC, _CHANGES_FOLDER = 1, 2, 4 | 8 | 16, 32
"""Bits of descriptor-flags."""
_NO_CHANGE, _NOW = 0, 1
"""Cases of new-timestamp."""

_TYPES = {FileKind.FOLDER: 3, FileKind.LINK: 5, FileKind.FILE: 6}
"""Cases of descriptor-type."""
_CODES = {
    Errno.BADF: 3,
    Errno.BUSY: 4,
    Errno.EXIST: 7,
    Errno.FBIG: 8,
    Errno.ILSEQ: 9,
    Errno.INVAL: 12,
    Errno.IO: 13,
    Errno.ISDIR: 14,
    Errno.LOOP: 15,
    Errno.NAMETOOLONG: 18,
    Errno.NOENT: 20,
    Errno.NOMEM: 22,
    Errno.NOSPC: 23,
    Errno.NOTDIR: 24,
    Errno.NOTEMPTY: 25,
    Errno.NOTSUP: 27,
    Errno.OVERFLOW: 30,
    Errno.PERM: 31,
    Errno.SPIPE: 34,
}
"""Cases of error-code."""


def _fallible(act: Callable[..., Any]) -> Callable[..., tuple[int, Any]]:
    """Make an error that the guest gets of what the drive refuses."""

    @wraps(act)
    def acting(state: WasiState, *params: Any) -> tuple[int, Any]:
        try:
            return 0, act(state, *params)
        except DriveError as refusal:
            return 1, _CODES[refusal.errno]

    return acting


def _directories(state: WasiState) -> tuple[tuple[int, str], ...]:
    if not state.has_drive:
        return ()
    number = state.files.open_drive()
    return ((state.add(Descriptor(number, _READ | _CHANGES_FOLDER)), "/"),)


def _error_code(_: WasiState, error: IoError) -> int:
    return _CODES[error.errno]


# --- opening, streams -------------------------------------------------------------------------------------------------


def _open_at(state: WasiState, start: Descriptor, follow: int, path: str, oflags: int, flags: int) -> int:
    if flags & _SYNC:
        raise DriveError(Errno.NOTSUP)
    state.check_room()
    rights = (FD_READ if flags & _READ else 0) | (FD_WRITE if flags & _WRITE else 0)
    if oflags & (CREATE | TRUNCATE) and not start.flags & _CHANGES_FOLDER:
        raise DriveError(Errno.PERM)
    number = state.files.open(start.number, bool(follow & _FOLLOW), path, oflags, rights, 0)
    is_folder = type(state.files.get(number)) is OpenFolder
    kept = flags | (start.flags & _CHANGES_FOLDER) if is_folder else flags & ~_CHANGES_FOLDER
    try:
        return state.add(Descriptor(number, kept))
    except BaseException:
        state.files.close(number)
        raise


def _read_via_stream(state: WasiState, file: Descriptor, offset: int) -> int:
    return state.add(InputStream(state.files.file(file.number), offset))


def _write_via_stream(state: WasiState, file: Descriptor, offset: int) -> int:
    return state.add(OutputStream(0, state.files.file(file.number), offset))


def _append_via_stream(state: WasiState, file: Descriptor) -> int:
    return state.add(OutputStream(0, state.files.file(file.number), None))


def _read(state: WasiState, file: Descriptor, length: int, offset: int) -> tuple[bytes, bool]:
    wanted = min(length, MAX_READ)
    data = state.files.read_at(state.files.file(file.number), offset, wanted)
    return data, len(data) < wanted


def _write(state: WasiState, file: Descriptor, data: bytes, offset: int) -> int:
    return state.files.write_at(state.files.file(file.number), offset, memoryview(data))


def _read_directory(state: WasiState, folder: Descriptor) -> int:
    entries = state.files.tree.entries(state.files.folder(folder.number))
    state.check_listing(len(entries))
    return state.add(DirectoryEntries([(_TYPES[node.kind], name) for name, node in reversed(entries)]))


def _next_entry(_: WasiState, entries: DirectoryEntries) -> tuple[int, str] | None:
    return entries.rest.pop() if entries.rest else None


# --- what is known of a file ------------------------------------------------------------------------------------------


def _found(state: WasiState, folder: Descriptor, follow: int, path: str) -> Any:
    start = state.files.folder(folder.number)
    return existing(state.files.tree, start, path, follow=bool(follow & _FOLLOW))


def _get_flags(_: WasiState, file: Descriptor) -> int:
    return file.flags


def _get_type(state: WasiState, file: Descriptor) -> int:
    return _TYPES[state.files.node(file.number).kind]


def _status(state: WasiState, node: Any) -> tuple[Any, ...]:
    _, links, size, *times = state.files.tree.facts(node)
    return _TYPES[node.kind], links, size, *(divmod(time, NANOSECONDS) for time in times)


def _stat(state: WasiState, file: Descriptor) -> tuple[Any, ...]:
    return _status(state, state.files.node(file.number))


def _stat_at(state: WasiState, folder: Descriptor, follow: int, path: str) -> tuple[Any, ...]:
    return _status(state, _found(state, folder, follow, path))


def _hash(state: WasiState, node: Any) -> tuple[int, ...]:
    number = state.files.tree.number(node).to_bytes(16, "little")
    return struct.unpack("<QQ", hashlib.blake2b(number, digest_size=16).digest())


def _metadata_hash(state: WasiState, file: Descriptor) -> tuple[int, ...]:
    return _hash(state, state.files.node(file.number))


def _metadata_hash_at(state: WasiState, folder: Descriptor, follow: int, path: str) -> tuple[int, ...]:
    return _hash(state, _found(state, folder, follow, path))


def _is_same_object(state: WasiState, one: Descriptor, other: Descriptor) -> bool:
    drive = state.files.tree
    return drive.number(state.files.node(one.number)) == drive.number(state.files.node(other.number))


# --- changes ----------------------------------------------------------------------------------------------------------


def _changed(state: WasiState, folder: Descriptor) -> Any:
    """Return the node of a folder in which something is to change."""
    node = state.files.folder(folder.number)
    if not folder.flags & _CHANGES_FOLDER:
        raise DriveError(Errno.PERM)
    return node


def _advise(state: WasiState, file: Descriptor, _offset: int, _length: int, _advice: int) -> None:
    state.files.file(file.number)


def _sync(state: WasiState, file: Descriptor) -> None:
    node = state.files.node(file.number)
    if node.kind is FileKind.FILE:
        state.files.tree.sync(node)


def _set_size(state: WasiState, file: Descriptor, size: int) -> None:
    state.files.set_length(state.files.file(file.number), size)


def _times(state: WasiState, *given: tuple[int, Any]) -> list[int | None]:
    times = list[int | None]()
    for case, time in given:
        if case == _NO_CHANGE:
            times.append(None)
        elif case == _NOW:
            times.append(state.clock())
        else:
            seconds, nanoseconds = time
            if nanoseconds >= NANOSECONDS or seconds >= 1 << 33:
                raise DriveError(Errno.INVAL)
            times.append(seconds * NANOSECONDS + nanoseconds)
    return times


def _set_times(state: WasiState, file: Descriptor, accessed: Any, modified: Any) -> None:
    state.files.tree.set_times(state.files.node(file.number), *_times(state, accessed, modified))


def _set_times_at(state: WasiState, folder: Descriptor, follow: int, path: str, accessed: Any, modified: Any) -> None:
    node = _found(state, folder, follow, path)
    state.files.tree.set_times(node, *_times(state, accessed, modified))


def _create_directory_at(state: WasiState, folder: Descriptor, path: str) -> None:
    changes.make_folder(state.files.tree, _changed(state, folder), path)


def _remove_directory_at(state: WasiState, folder: Descriptor, path: str) -> None:
    changes.remove_folder(state.files.tree, _changed(state, folder), path)


def _unlink_file_at(state: WasiState, folder: Descriptor, path: str) -> None:
    changes.remove_file(state.files.tree, _changed(state, folder), path)


def _rename_at(state: WasiState, folder: Descriptor, path: str, new_folder: Descriptor, new_path: str) -> None:
    changes.rename(state.files.tree, _changed(state, folder), path, _changed(state, new_folder), new_path)


def _link_at(
    state: WasiState, folder: Descriptor, follow: int, path: str, new_folder: Descriptor, new_path: str
) -> None:
    if follow & _FOLLOW:
        raise DriveError(Errno.INVAL)
    changes.link(state.files.tree, _changed(state, folder), path, _changed(state, new_folder), new_path)


def _symlink_at(state: WasiState, folder: Descriptor, target: str, path: str) -> None:
    changes.make_link(state.files.tree, target, _changed(state, folder), path)


def _readlink_at(state: WasiState, folder: Descriptor, path: str) -> str:
    return state.files.link_target(folder.number, path).decode()


_OF_DESCRIPTORS: dict[str, Callable[..., Any]] = {
    "read-via-stream": _read_via_stream,
    "write-via-stream": _write_via_stream,
    "append-via-stream": _append_via_stream,
    "advise": _advise,
    "sync-data": _sync,
    "sync": _sync,
    "get-flags": _get_flags,
    "get-type": _get_type,
    "set-size": _set_size,
    "set-times": _set_times,
    "set-times-at": _set_times_at,
    "read": _read,
    "write": _write,
    "read-directory": _read_directory,
    "create-directory-at": _create_directory_at,
    "stat": _stat,
    "stat-at": _stat_at,
    "link-at": _link_at,
    "open-at": _open_at,
    "readlink-at": _readlink_at,
    "remove-directory-at": _remove_directory_at,
    "rename-at": _rename_at,
    "symlink-at": _symlink_at,
    "unlink-file-at": _unlink_file_at,
    "metadata-hash": _metadata_hash,
    "metadata-hash-at": _metadata_hash_at,
}
ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:filesystem/preopens": {"get-directories": _directories},
    "wasi:filesystem/types": {
        **{f"[method]descriptor.{name}": _fallible(act) for name, act in _OF_DESCRIPTORS.items()},
        "[method]descriptor.is-same-object": _is_same_object,
        "[method]directory-entry-stream.read-directory-entry": _fallible(_next_entry),
        "filesystem-error-code": _error_code,
    },
}
"""As in `io`."""
WRITING = tuple(f"[method]descriptor.{name}" for name in ("open-at", "create-directory-at", "symlink-at", "link-at"))
"""The functions by which a guest makes, names or opens files."""
