"""A disk in memory: carries out the same operations as the real one, can be full, and its clock is virtual.

It knows what would be there after the machine has lost power, and is strict: of a file its content when it was last
synced, of a folder its entries when it was. Where the real disk syncs, so does this; only a rename takes effect on both
folders at once, as in every file system with a journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from blake3 import blake3

from kernel.message import Buffer
from nectar_node.storage.archive import BadArchive, Entry, read_archive_untrusted, unpack_untrusted
from nectar_node.storage.operations import (
    MAX_LISTED,
    MAX_NAME_BYTES,
    Append,
    Copy,
    Create,
    CreateFolder,
    DiskError,
    DiskFault,
    Extend,
    FileStat,
    FileType,
    FreeSpace,
    Hash,
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
    Unpack,
    WriteAt,
    growth,
    new_file_name,
)

_NOT_FOUND = DiskError(DiskFault.NOT_FOUND, "No such file or directory")
_FULL = DiskError(DiskFault.FULL, "No space left on device")
_NO_FOLDER = DiskError(DiskFault.NOT_FOUND, "Not a directory")
_A_FOLDER = DiskError(DiskFault.OTHER, "Is a directory")
_EXISTS = DiskError(DiskFault.EXISTS, "File exists")
_NOT_EMPTY = DiskError(DiskFault.OTHER, "Directory not empty")
_SHORTER = DiskError(DiskFault.NOT_FOUND, "the file is shorter than it was")
_TOO_LONG = DiskError(DiskFault.OTHER, "File name too long")
_TOO_MANY = DiskError(DiskFault.OTHER, f"the folder has more than {MAX_LISTED} entries")
_INVALID = DiskError(DiskFault.OTHER, "Invalid argument")

Path = tuple[str, ...]


class _RefusedError(Exception):
    def __init__(self, error: DiskError) -> None:
        super().__init__(error.text)
        self.error = error


@dataclass(slots=True)
class _File:
    data: bytearray = field(default_factory=bytearray)
    modified: int = 0
    synced: bytearray = field(default_factory=bytearray)
    """Its content when it was last synced."""
    clean: int = 0
    """So many bytes of its beginning have not changed since then."""

    def changes(self, start: int) -> None:
        """From there on it is not as it was synced."""
        self.clean = min(self.clean, start)

    def sync(self) -> None:
        """Its content is on the disk itself."""
        self.synced[self.clean :] = self.data[self.clean :]
        self.clean = len(self.data)

    def lose_unsynced(self) -> None:
        """Its content is what was synced."""
        self.data[self.clean :] = self.synced[self.clean :]
        self.clean = len(self.data)


@dataclass(slots=True)
class _Tree:
    """What is where."""

    files: dict[Path, _File] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)

    def move(self, old: Path, new: Path) -> None:
        """All that is at `old` and below."""
        self.files = {_moved(each, old, new): file for each, file in self.files.items()}
        self.folders = {_moved(each, old, new) for each in self.folders}

    def remove(self, path: Path) -> None:
        """All that is at `path` and below."""
        self.files = {each: file for each, file in self.files.items() if each[: len(path)] != path}
        self.folders = {each for each in self.folders if each[: len(path)] != path}


def _new_file(data: Buffer, modified: int) -> _File:
    """One whose content is synced."""
    file = _File(bytearray(data), modified)
    file.sync()
    return file


class SimDisk:
    """One node's files."""

    def __init__(self, clock: Callable[[], float], capacity: int = 1 << 40) -> None:
        """`clock` gives the virtual time in seconds; `capacity` is in bytes, for all files together."""
        self.capacity = capacity
        self.full = False
        """It takes no more bytes, whatever its capacity."""
        self._clock = clock
        self._live = _Tree()
        self._kept = _Tree()
        """Entries of folders when those were last synced; what is below one that is not there cannot be reached."""
        self._removed: set[Path] = set()
        """Folders that were removed since then: one that is there again is another one."""
        self._unfinished: set[Path] = set()
        """Files with new content that was never finished: the next one for the same file takes their place."""
        self._performers: dict[type, Callable[[Any], Outcome]] = {
            ReadAt: self._read_at,
            WriteAt: self._write_at,
            Create: self._create,
            MakeFolder: self._make_folder,
            Stat: self._stat,
            ListFolder: self._list_folder,
            RemoveFile: self._remove_file,
            RemoveFolder: self._remove_folder,
            Rename: self._rename,
            SetLength: self._set_length,
            Sync: self._sync,
            FreeSpace: self._free_space,
            Hash: lambda operation: blake3(bytes(self._file(operation.location).data)).digest(),
            Replace: lambda operation: self._replace(operation.location, operation.data),
            Extend: self._extend,
            Append: self._append,
            CreateFolder: self._create_folder,
            Copy: self._copy,
            Unpack: self._unpack,
        }

    def perform(self, operation: Operation) -> Outcome:
        """Carry out `operation`."""
        try:
            return self._performers[type(operation)](operation)
        except _RefusedError as refusal:
            return refusal.error
        except BadArchive as error:
            return DiskError(DiskFault.BAD_ARCHIVE, f"the archive {error}")

    def break_off(self, operation: Operation, chance: Random) -> None:
        """Whoever carries out `operation` is killed meanwhile: all of it is done, or nothing, or a part."""
        done = chance.choice((0.0, chance.random(), 1.0))
        if done == 1.0:
            self.perform(operation)
        elif done > 0.0:
            with suppress(_RefusedError, BadArchive):
                self._perform_in_part(operation, done)

    def _perform_in_part(self, operation: Operation, share: float) -> None:
        """What takes one step is not done at all."""
        match operation:
            case WriteAt(location, offset, data):
                self._write_at(WriteAt(location, offset, _beginning(data, share)))
            case Append(location, data):
                self._append(Append(location, _beginning(data, share)))
            case Extend(location, length, data):
                self._set_length(SetLength(location, min(length, len(self._file(location).data))))
                self._append(Append(location, _beginning(data, share)))
            case Replace(location, data):
                self._leave_unfinished(location, _beginning(data, share))
            case Copy(location, target):
                self._leave_unfinished(target, _beginning(self._file(location).data, share))
            case Unpack(location, data):
                entries = read_archive_untrusted(data)
                self._unpack_entries(location, data, entries[: int(len(entries) * share)])

    def _leave_unfinished(self, location: Location, data: bytes) -> None:
        """New content that does not take the place of the old one."""
        unfinished = Location(location.root, (*location.parts[:-1], new_file_name(location.parts[-1])))
        self._create(Create(unfinished, cut_off=True))
        self._unfinished.add(_path(unfinished))
        self._append(Append(unfinished, data))

    def put(self, location: Location, data: bytes) -> None:
        """Lay down a file, as the world outside would."""
        path = _path(location)
        file = _new_file(data, self._time())
        for tree in (self._live, self._kept):
            tree.folders.update(_above(path))
            tree.files[path] = file

    def paths(self) -> set[Path]:
        """Of all files: the root, and the names below it."""
        return set(self._live.files)

    def lose_unsynced(self) -> None:
        """The machine has lost power: what is there is what was synced."""
        folders: set[Path] = set()
        for path in sorted(self._kept.folders, key=len):
            if len(path) == 2 or path[:-1] in folders:
                folders.add(path)
        files = {path: file for path, file in self._kept.files.items() if len(path) == 2 or path[:-1] in folders}
        for file in files.values():
            file.lose_unsynced()
        self._live, self._kept = _Tree(dict(files), set(folders)), _Tree(files, folders)
        self._removed.clear()

    def get(self, location: Location) -> bytes | None:
        """A file's content; None: there is no such file."""
        file = self._live.files.get(_path(location))
        return bytes(file.data) if file is not None else None

    def _time(self) -> int:
        return round(self._clock() * 1e9)

    def _file(self, location: Location) -> _File:
        path = _path(location)
        if path in self._live.folders or len(location.parts) == 0:
            raise _RefusedError(_A_FOLDER)
        if path not in self._live.files:
            raise _RefusedError(_NOT_FOUND)
        return self._live.files[path]

    def _folder(self, path: Path) -> None:
        if path in self._live.files:
            raise _RefusedError(_NO_FOLDER)
        if len(path) > 1 and path not in self._live.folders:
            raise _RefusedError(_NOT_FOUND)

    def _reserve(self, more: int) -> None:
        if more > 0 and (self.full or self._used() + more > self.capacity):
            raise _RefusedError(_FULL)

    def _free_space(self, operation: FreeSpace) -> int:
        return growth(0 if self.full else max(0, self.capacity - self._used()), self.capacity)

    def _used(self) -> int:
        return sum(len(file.data) for file in self._live.files.values())

    def _sync_folder(self, folder: Path) -> None:
        """Its entries are on the disk itself."""
        live, kept = self._live, self._kept
        for path in [path for path in (*kept.files, *kept.folders) if path[:-1] == folder]:
            if path not in live.folders or path in kept.files or path in self._removed:
                kept.remove(path)
                self._removed.discard(path)
        kept.folders.update(path for path in live.folders if path[:-1] == folder and path != folder)
        kept.files.update((path, file) for path, file in live.files.items() if path[:-1] == folder)

    def _read_at(self, operation: ReadAt) -> bytes:
        data = self._file(operation.location).data
        return bytes(data[operation.offset : operation.offset + operation.length])

    def _write_at(self, operation: WriteAt) -> None:
        file = self._file(operation.location)
        end = operation.offset + len(operation.data)
        file.changes(min(operation.offset, len(file.data)))
        self._reserve(end - len(file.data))
        if len(file.data) < end:
            file.data.extend(bytes(end - len(file.data)))
        file.data[operation.offset : end] = operation.data
        file.modified = self._time()

    def _append(self, operation: Append) -> int:
        end = len(self._file(operation.location).data)
        self._write_at(WriteAt(operation.location, end, operation.data))
        return end + len(operation.data)

    def _extend(self, operation: Extend) -> None:
        file = self._file(operation.location)
        if len(file.data) < operation.length:
            raise _RefusedError(_SHORTER)
        del file.data[operation.length :]
        file.changes(operation.length)
        self._write_at(WriteAt(operation.location, operation.length, operation.data))
        file.sync()

    def _create(self, operation: Create) -> None:
        path = _path(operation.location)
        self._folder(path[:-1])
        if path in self._live.folders:
            raise _RefusedError(_A_FOLDER)
        file = self._live.files.setdefault(path, _File(modified=self._time()))
        if operation.cut_off:
            file.data.clear()
            file.changes(0)
            file.modified = self._time()

    def _make_folder(self, operation: MakeFolder) -> None:
        path = _path(operation.location)
        new = [folder for folder in (*_above(path), path) if folder not in self._live.folders]
        self._make_folders(path)
        for folder in new:
            self._sync_folder(folder[:-1])

    def _make_folders(self, path: Path) -> None:
        if any(each in self._live.files for each in (*_above(path), path)):
            raise _RefusedError(_NO_FOLDER)
        self._live.folders.update([*_above(path), path])

    def _create_folder(self, operation: CreateFolder) -> None:
        path = _path(operation.location)
        self._folder(path[:-1])
        if path in self._live.folders or path in self._live.files:
            raise _RefusedError(_EXISTS)
        self._live.folders.add(path)
        self._sync_folder(path[:-1])

    def _stat(self, operation: Stat) -> FileStat:
        if _path(operation.location) in self._live.folders:
            return FileStat(FileType.DIRECTORY, 0, 0)
        file = self._file(operation.location)
        return FileStat(FileType.FILE, len(file.data), file.modified)

    def _list_folder(self, operation: ListFolder) -> list[tuple[str, FileType]]:
        path = _path(operation.location)
        self._folder(path)
        inside = [(p, FileType.FILE) for p in self._live.files] + [(p, FileType.DIRECTORY) for p in self._live.folders]
        listed = sorted((p[-1], kind) for p, kind in inside if p[:-1] == path and p != path)
        if len(listed) > MAX_LISTED:
            raise _RefusedError(_TOO_MANY)
        return listed

    def _remove_file(self, operation: RemoveFile) -> None:
        self._file(operation.location)
        del self._live.files[_path(operation.location)]

    def _remove_folder(self, operation: RemoveFolder) -> None:
        path = _path(operation.location)
        self._folder(path)
        below = [p for p in (*self._live.files, *self._live.folders) if p[: len(path)] == path and p != path]
        if below and not operation.recursive:
            raise _RefusedError(_NOT_EMPTY)
        self._live.remove(path)
        self._removed.add(path)

    def _rename(self, operation: Rename) -> None:
        path, target = _path(operation.location), _path(operation.target)
        if path in self._live.folders:
            self._rename_folder(path, target)
            return
        file = self._file(operation.location)
        self._folder(target[:-1])
        if target in self._live.folders:
            raise _RefusedError(_A_FOLDER)
        del self._live.files[path]
        self._live.files[target] = file
        self._kept.remove(path)
        self._sync_folder(target[:-1])

    def _rename_folder(self, path: Path, target: Path) -> None:
        self._folder(target[:-1])
        if target in self._live.files:
            raise _RefusedError(_NO_FOLDER)
        if target == path:
            return
        if target[: len(path)] == path:
            raise _RefusedError(_INVALID)
        if any(each[:-1] == target for each in (*self._live.files, *self._live.folders)):
            raise _RefusedError(_NOT_EMPTY)
        self._live.move(path, target)
        self._kept.remove(target)
        self._kept.move(path, target)
        self._sync_folder(target[:-1])

    def _copy(self, operation: Copy) -> None:
        self._replace(operation.target, bytes(self._file(operation.location).data))

    def _unpack(self, operation: Unpack) -> None:
        self._unpack_entries(operation.location, operation.data, read_archive_untrusted(operation.data))

    def _unpack_entries(self, into: Location, data: Buffer, entries: Iterable[Entry]) -> None:
        for entry in entries:
            folder = entry.parts if entry.is_folder else entry.parts[:-1]
            self._make_folders(_path(Location(into.root, into.parts + folder)))
            if not entry.is_folder:
                content = b"".join(unpack_untrusted(data, entry))
                location = Location(into.root, into.parts + entry.parts)
                self._create(Create(location, cut_off=True))
                self._write_at(WriteAt(location, 0, content))

    def _set_length(self, operation: SetLength) -> None:
        file = self._file(operation.location)
        self._reserve(operation.length - len(file.data))
        file.changes(min(operation.length, len(file.data)))
        if operation.length < len(file.data):
            del file.data[operation.length :]
        else:
            file.data.extend(bytes(operation.length - len(file.data)))
        file.modified = self._time()

    def _sync(self, operation: Sync) -> None:
        self._file(operation.location).sync()
        self._sync_folder(_path(operation.location)[:-1])

    def _replace(self, location: Location, data: Buffer) -> None:
        path = _path(location)
        self._folder(path[:-1])
        if path in self._live.folders:
            raise _RefusedError(_A_FOLDER)
        if self._unfinished:
            self._forget_unfinished(path)
        self._reserve(len(data))
        self._live.files[path] = _new_file(data, self._time())
        self._sync_folder(path[:-1])

    def _forget_unfinished(self, path: Path) -> None:
        unfinished = (*path[:-1], new_file_name(path[-1]))
        if unfinished in self._unfinished:
            self._unfinished.discard(unfinished)
            self._live.files.pop(unfinished, None)


def _beginning(data: Buffer, share: float) -> bytes:
    return bytes(data[: int(len(data) * share)])


def _path(location: Location) -> Path:
    if any(len(part.encode(errors="surrogateescape")) > MAX_NAME_BYTES for part in location.parts):
        raise _RefusedError(_TOO_LONG)
    return (location.root, *location.parts)


def _moved(path: Path, old: Path, new: Path) -> Path:
    return new + path[len(old) :] if path[: len(old)] == old else path


def _above(path: Path) -> list[Path]:
    return [path[:length] for length in range(2, len(path))]
