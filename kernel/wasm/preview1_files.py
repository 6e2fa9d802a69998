"""The file functions of WASI preview 1 in replayable runs: between a guest's memory and `kernel.files`.

Wasmtime's own work on folders of the host; here the drive is an object (`kernel.contract.drive`). They mean the same,
to the trap: a pointer outside the memory, a misaligned one, an unknown flag or case ends the guest, as with Wasmtime,
and all else is an error number. The sequence of the checks is Wasmtime's, too. What a guest names is bounded before it
is looked at: the bytes of a path, and those of a list of buffers.

Standard output and error do not come here (`adapter`), except under another number.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from kernel.contract.drive import Drive, DriveError, Errno, FileFacts, FileKind
from kernel.contract.errors import GuestTrap
from kernel.files import changes
from kernel.files.open_files import (
    ALL_RIGHTS,
    DRIVE_NAME,
    MAX_POSITIONED_READ,
    OpenFiles,
    OpenFolder,
    StandardStream,
)
from kernel.files.paths import check_text, existing, parent
from kernel.wasm.fiber import Fiber

_VECTORS_AT_ONCE = 8192
"""Buffers that are looked at together."""
_HOSTCALL_BYTES = 128 << 20
"""Bytes that one call may name, by Wasmtime's rule (its hostcall fuel), whether they lie in the memory or not."""
_MAX_DECODED = 1 << 20
"""Bytes of a path that are decoded, far more than one can have: so a text that is no UTF-8 is told from one that is too
long."""
_SUCCESS = 0
_OFLAGS, _FDFLAGS, _LOOKUPFLAGS, _FSTFLAGS = 15, 31, 1, 15
"""All bits of WASI's flags."""
_FOLLOW = 1
_SET_ACCESSED, _ACCESSED_NOW, _SET_MODIFIED, _MODIFIED_NOW = 1, 2, 4, 8
_CASES = {"whence": 3, "advice": 6}
_DEVICE = 1
"""The device of all files."""
_U32, _U64 = Struct("<I"), Struct("<Q")
_VECTOR = Struct("<II")
_PRESTAT = Struct("<B3xI")
_STATUS = Struct("<BxH4xQQ")
_FACTS = Struct("<QQB7xQQQQQ")
_ENTRY = Struct("<QQIB3x")
_I, _L = "i32", "i64"


# --- the guest's memory -----------------------------------------------------------------------------------------------


def span_untrusted(guest: Fiber, pointer: int, length: int) -> memoryview:
    """Return a part of the guest's memory. Raises GuestTrap if it lies outside of it."""
    if pointer + length > len(guest.memory):
        guest.memory_grew()
    if pointer + length > len(guest.memory):
        raise GuestTrap("the buffer lies outside the memory")
    return guest.memory[pointer : pointer + length]


def _aligned(pointer: int, alignment: int) -> int:
    if pointer % alignment:
        raise GuestTrap("the pointer is not aligned")
    return pointer


def _give(guest: Fiber, pointer: int, alignment: int, result: bytes) -> int:
    """Write a call's result, and return that it succeeded."""
    span_untrusted(guest, _aligned(pointer, alignment), len(result))[:] = result
    return _SUCCESS


def _check_hostcall(bytes_left: int) -> None:
    if bytes_left < 0:
        raise DriveError(Errno.NOMEM)


def _path_untrusted(guest: Fiber, pointer: int, length: int) -> str:
    _check_hostcall(_HOSTCALL_BYTES - length)
    return _text_untrusted(guest, pointer, length)


def _text_untrusted(guest: Fiber, pointer: int, length: int) -> str:
    data = span_untrusted(guest, pointer, length)
    if length > _MAX_DECODED:
        raise DriveError(Errno.NAMETOOLONG)
    try:
        return data.tobytes().decode()
    except UnicodeDecodeError:
        raise DriveError(Errno.ILSEQ) from None


def _first_vector_untrusted(guest: Fiber, vectors: int, count: int) -> tuple[int, int]:
    """Return pointer and length of the first buffer that is not empty: Wasmtime's calls work on that one alone."""
    done, left = 0, _HOSTCALL_BYTES - count * _VECTOR.size
    _check_hostcall(left)
    while done < count:
        place = vectors + done * _VECTOR.size
        pointer, length = _VECTOR.unpack(span_untrusted(guest, _aligned(place, 4), _VECTOR.size))
        if length:
            _check_hostcall(left - length)
            return pointer, length
        some = min(count - done, _VECTORS_AT_ONCE, (len(guest.memory) - place) // _VECTOR.size)
        done += _empty_vectors(guest.memory[place : place + some * _VECTOR.size].tobytes())
    return 0, 0


def _empty_vectors(vectors: bytes) -> int:
    """Return how many buffers at the front are empty, without a look at each: a guest may name millions."""
    bytes_of_lengths = (vectors[index :: _VECTOR.size] for index in range(_VECTOR.size // 2, _VECTOR.size))
    return min(len(each) - len(each.lstrip(b"\0")) for each in bytes_of_lengths)


def _flags(value: int, known: int) -> int:
    if value & ~known:
        raise GuestTrap(f"there is no such flag: {value:#x}")
    return value


def _case(value: int, name: str) -> int:
    if value >= _CASES[name]:
        raise GuestTrap(f"there is no such {name}: {value}")
    return value


def _signed(value: int) -> int:
    return value - (value >> 63 << 64)


def _open(guest: Fiber) -> OpenFiles:
    """Return what the guest has open."""
    if guest.files is None:
        drive = guest.config.drive
        guest.files = OpenFiles(None if isinstance(drive, str) else drive)
    return guest.files


def _drive(guest: Fiber) -> Drive:
    return _open(guest).tree


# --- functions of descriptors -----------------------------------------------------------------------------------------


def _fd_advise(guest: Fiber, fd: int, _offset: int, length: int, advice: int) -> int:
    _case(advice, "advice")
    _open(guest).file(fd)
    return Errno.INVAL if length >> 63 else _SUCCESS


def _fd_allocate(guest: Fiber, fd: int, _offset: int, _length: int) -> int:
    _open(guest).file(fd)
    return Errno.NOTSUP


def _fd_close(guest: Fiber, fd: int) -> int:
    _open(guest).close(fd)
    return _SUCCESS


def _fd_sync(guest: Fiber, fd: int) -> int:
    file = _open(guest).file(fd)
    _drive(guest).sync(file.node)
    return _SUCCESS


def _fd_fdstat_get(guest: Fiber, fd: int, result: int) -> int:
    return _give(guest, result, 8, _STATUS.pack(*_open(guest).status(fd)))


def _fd_fdstat_set_flags(guest: Fiber, fd: int, flags: int) -> int:
    _open(guest).set_flags(fd, _flags(flags, _FDFLAGS))
    return _SUCCESS


def _fd_fdstat_set_rights(guest: Fiber, fd: int, rights: int, inheriting: int) -> int:
    _flags(rights, ALL_RIGHTS)
    _flags(inheriting, ALL_RIGHTS)
    _open(guest).node(fd)
    return Errno.NOTSUP


def _filestat(kind: FileKind, facts: FileFacts) -> bytes:
    number, links, size, *times = facts
    return _FACTS.pack(_DEVICE, number, kind, links, size, *times)


def _fd_filestat_get(guest: Fiber, fd: int, result: int) -> int:
    files = _open(guest)
    found = files.get(fd)
    if type(found) is StandardStream:
        return _give(guest, result, 8, bytes(_FACTS.size))
    node = files.node(fd)
    return _give(guest, result, 8, _filestat(node.kind, _drive(guest).facts(node)))


def _fd_filestat_set_size(guest: Fiber, fd: int, size: int) -> int:
    files = _open(guest)
    files.set_length(files.file(fd), size)
    return _SUCCESS


def _times(guest: Fiber, accessed: int, modified: int, flags: int) -> tuple[int | None, int | None]:
    """Return the two times that a call sets; None leaves one as it is."""
    _flags(flags, _FSTFLAGS)
    clock, times = guest.config.clock, list[int | None]()
    assert clock is not None, "a replayable guest is given its clock"
    for time, given, now in (
        (accessed, _SET_ACCESSED, _ACCESSED_NOW),
        (modified, _SET_MODIFIED, _MODIFIED_NOW),
    ):
        if flags & given and flags & now:
            raise DriveError(Errno.INVAL)
        times.append(time if flags & given else clock() if flags & now else None)
    return times[0], times[1]


def _fd_filestat_set_times(guest: Fiber, fd: int, accessed: int, modified: int, flags: int) -> int:
    times = _times(guest, accessed, modified, flags)
    node = _open(guest).node(fd)
    _drive(guest).set_times(node, *times)
    return _SUCCESS


def _fd_read(guest: Fiber, fd: int, vectors: int, count: int, result: int) -> int:
    pointer, length = _first_vector_untrusted(guest, vectors, count)
    files = _open(guest)
    found = files.get(fd)
    if type(found) is StandardStream and found.is_input:
        return _give(guest, result, 4, _U32.pack(0))
    file = files.file(fd)
    target = span_untrusted(guest, pointer, length)
    data = files.read_at(file, file.position, length)
    target[: len(data)] = data
    file.position += len(data)
    return _give(guest, result, 4, _U32.pack(len(data)))


def _fd_pread(guest: Fiber, fd: int, vectors: int, count: int, offset: int, result: int) -> int:
    pointer, length = _first_vector_untrusted(guest, vectors, count)
    files = _open(guest)
    found = files.get(fd)
    if type(found) is StandardStream and found.is_input:
        return Errno.SPIPE
    data = files.read_at(files.file(fd), offset, min(length, MAX_POSITIONED_READ))
    if data:
        span_untrusted(guest, pointer, len(data))[:] = data
    return _give(guest, result, 4, _U32.pack(len(data)))


def _fd_write(guest: Fiber, fd: int, vectors: int, count: int, result: int) -> int:
    return _written(guest, fd, vectors, count, None, result)


def _fd_pwrite(guest: Fiber, fd: int, vectors: int, count: int, offset: int, result: int) -> int:
    return _written(guest, fd, vectors, count, offset, result)


def _written(guest: Fiber, fd: int, vectors: int, count: int, offset: int | None, result: int) -> int:
    pointer, length = _first_vector_untrusted(guest, vectors, count)
    files = _open(guest)
    found = files.get(fd)
    if type(found) is StandardStream and not found.is_input:
        if offset is not None:
            return Errno.SPIPE
        span_untrusted(guest, pointer, length)
        return _give(guest, result, 4, _U32.pack(length))  # under another number it leads nowhere
    file = files.file(fd)
    data = span_untrusted(guest, pointer, length)
    done = files.write(file, data) if offset is None else files.write_at(file, offset, data)
    return _give(guest, result, 4, _U32.pack(done))


def _fd_prestat_get(guest: Fiber, fd: int, result: int) -> int:
    found = _open(guest).get(fd)
    if type(found) is not OpenFolder or not found.is_drive:
        return Errno.BADF
    return _give(guest, result, 4, _PRESTAT.pack(0, len(DRIVE_NAME)))


def _fd_prestat_dir_name(guest: Fiber, fd: int, pointer: int, length: int) -> int:
    found = _open(guest).get(fd)
    if type(found) is not OpenFolder or not found.is_drive:
        return Errno.NOTDIR
    if length < len(DRIVE_NAME):
        return Errno.NAMETOOLONG
    return _give(guest, pointer, 1, DRIVE_NAME)


def _fd_renumber(guest: Fiber, fd: int, to: int) -> int:
    _open(guest).renumber(fd, to)
    return _SUCCESS


def _fd_seek(guest: Fiber, fd: int, offset: int, whence: int, result: int) -> int:
    _case(whence, "whence")
    return _give(guest, result, 8, _U64.pack(_open(guest).seek(fd, _signed(offset), whence)))


def _fd_tell(guest: Fiber, fd: int, result: int) -> int:
    return _give(guest, result, 8, _U64.pack(_open(guest).seekable(fd).position))


def _fd_readdir(guest: Fiber, fd: int, pointer: int, length: int, cookie: int, result: int) -> int:
    folder = _open(guest).folder(fd)
    drive = _drive(guest)
    listed = [(".", folder), ("..", folder), *drive.entries(folder)]
    found, room = list[bytes](), length
    for number, (name, node) in enumerate(listed[cookie:], cookie + 1):
        if room <= 0:
            break
        encoded = name.encode()
        entry = _ENTRY.pack(number, drive.number(node), len(encoded), node.kind) + encoded
        found.append(entry)
        room -= len(entry)
    data = b"".join(found)[:length]
    if data:
        span_untrusted(guest, pointer, len(data))[:] = data
    return _give(guest, result, 4, _U32.pack(len(data)))


# --- functions of paths -----------------------------------------------------------------------------------------------


def _path_open(
    guest: Fiber,
    fd: int,
    lookup: int,
    path: int,
    length: int,
    oflags: int,
    rights: int,
    inheriting: int,
    fdflags: int,
    result: int,
) -> int:
    _flags(lookup, _LOOKUPFLAGS)
    _flags(oflags, _OFLAGS)
    _flags(rights, ALL_RIGHTS)
    _flags(inheriting, ALL_RIGHTS)
    _flags(fdflags, _FDFLAGS)
    name = _path_untrusted(guest, path, length)
    opened = _open(guest).open(fd, bool(lookup & _FOLLOW), name, oflags, rights, fdflags)
    return _give(guest, result, 4, _U32.pack(opened))


def _path_create_directory(guest: Fiber, fd: int, path: int, length: int) -> int:
    folder = _open(guest).folder(fd)
    changes.make_folder(_drive(guest), folder, _path_untrusted(guest, path, length))
    return _SUCCESS


def _path_remove_directory(guest: Fiber, fd: int, path: int, length: int) -> int:
    folder = _open(guest).folder(fd)
    changes.remove_folder(_drive(guest), folder, _path_untrusted(guest, path, length))
    return _SUCCESS


def _path_unlink_file(guest: Fiber, fd: int, path: int, length: int) -> int:
    folder = _open(guest).folder(fd)
    changes.remove_file(_drive(guest), folder, _text_untrusted(guest, path, length))  # Wasmtime counts no bytes here
    return _SUCCESS


def _path_filestat_get(guest: Fiber, fd: int, lookup: int, path: int, length: int, result: int) -> int:
    _flags(lookup, _LOOKUPFLAGS)
    folder = _open(guest).folder(fd)
    drive = _drive(guest)
    node = existing(drive, folder, _path_untrusted(guest, path, length), follow=bool(lookup & _FOLLOW))
    return _give(guest, result, 8, _filestat(node.kind, drive.facts(node)))


def _path_filestat_set_times(
    guest: Fiber, fd: int, lookup: int, path: int, length: int, accessed: int, modified: int, flags: int
) -> int:
    _flags(lookup, _LOOKUPFLAGS)
    times = _times(guest, accessed, modified, flags)
    folder = _open(guest).folder(fd)
    name, drive = _path_untrusted(guest, path, length), _drive(guest)
    if lookup & _FOLLOW:
        node = existing(drive, folder, name, follow=True)
    else:
        above, last = parent(drive, folder, name)
        check_text(last)
        if times == (None, None):
            return _SUCCESS  # Linux does not even look for it
        node = above if last == "." else existing(drive, above, last, follow=False)
    drive.set_times(node, *times)
    return _SUCCESS


def _path_link(
    guest: Fiber, fd: int, lookup: int, path: int, length: int, new_fd: int, new_path: int, new_length: int
) -> int:
    _flags(lookup, _LOOKUPFLAGS)
    files = _open(guest)
    folder, new_folder = files.folder(fd), files.folder(new_fd)
    old, new = _path_untrusted(guest, path, length), _path_untrusted(guest, new_path, new_length)
    if lookup & _FOLLOW:
        return Errno.INVAL
    changes.link(_drive(guest), folder, old, new_folder, new)
    return _SUCCESS


def _path_rename(guest: Fiber, fd: int, path: int, length: int, new_fd: int, new_path: int, new_length: int) -> int:
    files = _open(guest)
    folder, new_folder = files.folder(fd), files.folder(new_fd)
    old, new = _path_untrusted(guest, path, length), _path_untrusted(guest, new_path, new_length)
    changes.rename(_drive(guest), folder, old, new_folder, new)
    return _SUCCESS


def _path_symlink(guest: Fiber, target: int, target_length: int, fd: int, path: int, length: int) -> int:
    folder = _open(guest).folder(fd)
    leads_to = _path_untrusted(guest, target, target_length)
    changes.make_link(_drive(guest), leads_to, folder, _path_untrusted(guest, path, length))
    return _SUCCESS


def _path_readlink(guest: Fiber, fd: int, path: int, length: int, pointer: int, size: int, result: int) -> int:
    files = _open(guest)
    files.folder(fd)
    target = files.link_target(fd, _path_untrusted(guest, path, length))[:size]
    if target:
        span_untrusted(guest, pointer, len(target))[:] = target
    return _give(guest, result, 4, _U32.pack(len(target)))


FILE_CALLS: tuple[tuple[str, tuple[str, ...], Callable[..., int]], ...] = (
    ("fd_advise", (_I, _L, _L, _I), _fd_advise),
    ("fd_allocate", (_I, _L, _L), _fd_allocate),
    ("fd_close", (_I,), _fd_close),
    ("fd_datasync", (_I,), _fd_sync),
    ("fd_fdstat_get", (_I, _I), _fd_fdstat_get),
    ("fd_fdstat_set_flags", (_I, _I), _fd_fdstat_set_flags),
    ("fd_fdstat_set_rights", (_I, _L, _L), _fd_fdstat_set_rights),
    ("fd_filestat_get", (_I, _I), _fd_filestat_get),
    ("fd_filestat_set_size", (_I, _L), _fd_filestat_set_size),
    ("fd_filestat_set_times", (_I, _L, _L, _I), _fd_filestat_set_times),
    ("fd_pread", (_I, _I, _I, _L, _I), _fd_pread),
    ("fd_prestat_get", (_I, _I), _fd_prestat_get),
    ("fd_prestat_dir_name", (_I, _I, _I), _fd_prestat_dir_name),
    ("fd_pwrite", (_I, _I, _I, _L, _I), _fd_pwrite),
    ("fd_read", (_I, _I, _I, _I), _fd_read),
    ("fd_readdir", (_I, _I, _I, _L, _I), _fd_readdir),
    ("fd_renumber", (_I, _I), _fd_renumber),
    ("fd_seek", (_I, _L, _I, _I), _fd_seek),
    ("fd_sync", (_I,), _fd_sync),
    ("fd_tell", (_I, _I), _fd_tell),
    ("fd_write", (_I, _I, _I, _I), _fd_write),
    ("path_create_directory", (_I, _I, _I), _path_create_directory),
    ("path_filestat_get", (_I, _I, _I, _I, _I), _path_filestat_get),
    ("path_filestat_set_times", (_I, _I, _I, _I, _L, _L, _I), _path_filestat_set_times),
    ("path_link", (_I, _I, _I, _I, _I, _I, _I), _path_link),
    ("path_open", (_I, _I, _I, _I, _I, _L, _L, _I, _I), _path_open),
    ("path_readlink", (_I, _I, _I, _I, _I, _I), _path_readlink),
    ("path_remove_directory", (_I, _I, _I), _path_remove_directory),
    ("path_rename", (_I, _I, _I, _I, _I, _I), _path_rename),
    ("path_symlink", (_I, _I, _I, _I, _I), _path_symlink),
    ("path_unlink_file", (_I, _I, _I), _path_unlink_file),
)
"""Name, core params and what it does: (guest, raw arguments, unsigned) to an errno. Raises GuestTrap and DriveError."""
