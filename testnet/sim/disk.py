"""A disk in memory: carries out the same operations as the real one, can be full, and its clock is virtual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

from nectar_node.storage.operations import (
    Create,
    DiskError,
    DiskFault,
    FileStat,
    FileType,
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
    WriteAt,
)

_NOT_FOUND = DiskError(DiskFault.NOT_FOUND, "No such file or directory")
_FULL = DiskError(DiskFault.FULL, "No space left on device")

Path = tuple[str, ...]


class _RefusedError(Exception):
    def __init__(self, error: DiskError) -> None:
        super().__init__(error.text)
        self.error = error


@dataclass(slots=True)
class _File:
    data: bytearray = field(default_factory=bytearray)
    modified: int = 0


class SimDisk:
    """One node's files."""

    def __init__(self, clock: Callable[[], float], capacity: int = 1 << 40) -> None:
        """`clock` gives the virtual time in seconds; `capacity` is in bytes, for all files together."""
        self.capacity = capacity
        self._clock = clock
        self._files: dict[Path, _File] = {}
        self._folders: set[Path] = set()
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
            Hash: lambda operation: blake3(bytes(self._file(operation.location).data)).digest(),
            Replace: self._replace,
        }

    def perform(self, operation: Operation) -> Outcome:
        """Carry out `operation`."""
        try:
            return self._performers[type(operation)](operation)
        except _RefusedError as refusal:
            return refusal.error

    def put(self, location: Location, data: bytes) -> None:
        """Lay down a file, as the world outside would."""
        self._folders.update(_above(_path(location)))
        self._files[_path(location)] = _File(bytearray(data), self._time())

    def get(self, location: Location) -> bytes | None:
        """A file's content; None: there is no such file."""
        file = self._files.get(_path(location))
        return bytes(file.data) if file is not None else None

    def _time(self) -> int:
        return round(self._clock() * 1e9)

    def _file(self, location: Location) -> _File:
        path = _path(location)
        if path in self._folders or len(location.parts) == 0:
            raise _RefusedError(DiskError(DiskFault.OTHER, "Is a directory"))
        if path not in self._files:
            raise _RefusedError(_NOT_FOUND)
        return self._files[path]

    def _folder(self, path: Path) -> None:
        if len(path) > 1 and path not in self._folders:
            raise _RefusedError(_NOT_FOUND)

    def _reserve(self, more: int) -> None:
        if more > 0 and sum(len(file.data) for file in self._files.values()) + more > self.capacity:
            raise _RefusedError(_FULL)

    def _read_at(self, operation: ReadAt) -> bytes:
        data = self._file(operation.location).data
        return bytes(data[operation.offset : operation.offset + operation.length])

    def _write_at(self, operation: WriteAt) -> None:
        file = self._file(operation.location)
        end = operation.offset + len(operation.data)
        self._reserve(end - len(file.data))
        if len(file.data) < end:
            file.data.extend(bytes(end - len(file.data)))
        file.data[operation.offset : end] = operation.data
        file.modified = self._time()

    def _create(self, operation: Create) -> None:
        path = _path(operation.location)
        self._folder(path[:-1])
        if path not in self._files:
            self._files[path] = _File(modified=self._time())

    def _make_folder(self, operation: MakeFolder) -> None:
        path = _path(operation.location)
        self._folders.update([*_above(path), path])

    def _stat(self, operation: Stat) -> FileStat:
        if _path(operation.location) in self._folders:
            return FileStat(FileType.DIRECTORY, 0, 0)
        file = self._file(operation.location)
        return FileStat(FileType.FILE, len(file.data), file.modified)

    def _list_folder(self, operation: ListFolder) -> list[tuple[str, FileType]]:
        path = _path(operation.location)
        self._folder(path)
        inside = [(p, FileType.FILE) for p in self._files] + [(p, FileType.DIRECTORY) for p in self._folders]
        return sorted((p[-1], kind) for p, kind in inside if p[:-1] == path and p != path)

    def _remove_file(self, operation: RemoveFile) -> None:
        self._file(operation.location)
        del self._files[_path(operation.location)]

    def _remove_folder(self, operation: RemoveFolder) -> None:
        path = _path(operation.location)
        self._folder(path)
        below = [p for p in (*self._files, *self._folders) if p[: len(path)] == path and p != path]
        if below and not operation.recursive:
            raise _RefusedError(DiskError(DiskFault.OTHER, "Directory not empty"))
        for each in below:
            self._files.pop(each, None)
        self._folders.difference_update([*below, path])

    def _rename(self, operation: Rename) -> None:
        file = self._file(operation.location)
        target = _path(operation.target)
        self._folder(target[:-1])
        del self._files[_path(operation.location)]
        self._files[target] = file

    def _set_length(self, operation: SetLength) -> None:
        file = self._file(operation.location)
        self._reserve(operation.length - len(file.data))
        if operation.length < len(file.data):
            del file.data[operation.length :]
        else:
            file.data.extend(bytes(operation.length - len(file.data)))
        file.modified = self._time()

    def _sync(self, operation: Sync) -> None:
        self._file(operation.location)

    def _replace(self, operation: Replace) -> None:
        path = _path(operation.location)
        self._folder(path[:-1])
        self._reserve(len(operation.data))
        self._files[path] = _File(bytearray(operation.data), self._time())


def _path(location: Location) -> Path:
    return (location.root, *location.parts)


def _above(path: Path) -> list[Path]:
    return [path[:length] for length in range(2, len(path))]
