"""What a simulated disk does with single files."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.base.running_hashes import RunningHash
from nectar_node.storage import operations as ops
from nectar_node.storage.steps import Work
from testnet.sim.disk.durable_tree import DurableTree, path_of
from testnet.sim.disk.file_content import File, new_file
from testnet.sim.disk.refusals import A_FOLDER, CHANGED, FULL, SHORTER, RefusedError
from testnet.sim.disk.space import Space


class FileOperations:
    """Reads, writes, hashes and copies files, and syncs them where the real disk does."""

    def __init__(self, tree: DurableTree, space: Space, time: Callable[[], int]) -> None:
        """`time` gives the virtual time in nanoseconds since 1970."""
        self._tree = tree
        self._space = space
        self._time = time
        self._versions = count(1)
        self.performers: dict[type, Callable[[Any], ops.Outcome]] = {
            ops.ReadAt: self._read_at,
            ops.WriteAt: self.write_at,
            ops.Create: self.create,
            ops.RemoveFile: self._remove_file,
            ops.SetLength: self.set_length,
            ops.Sync: self._sync,
            ops.Replace: lambda operation: self._replace(operation.location, new_file(operation.data, 0)),
            ops.Extend: self._extend,
            ops.Append: self.append,
        }
        """Operations of one step."""
        self.in_steps: dict[type, Callable[[Any], Work]] = {ops.Hash: self._hash, ops.Copy: self._copy}
        """Operations of several steps."""

    def version(self, file: File) -> str:
        """Return what differs from the version of each other content."""
        file.version = file.version or next(self._versions)
        return str(file.version)

    def _read_at(self, operation: ops.ReadAt) -> bytes:
        file = self._tree.file(operation.location)
        if operation.version is not None and operation.version != self.version(file):
            raise RefusedError(CHANGED)
        data = file.read(operation.offset, operation.length)
        if operation.hashed and (running := self._running_hash(file, operation)) is not None:
            running.add(operation.offset, data)
            self._space.ledger.hashes.put(operation.location, running)
        return data

    def _running_hash(self, file: File, operation: ops.ReadAt | ops.WriteAt) -> RunningHash | None:
        return self._space.ledger.hashes.take(operation.location, operation.offset, self.version(file))

    def write_at(self, operation: ops.WriteAt) -> None:
        """Write into a file."""
        file = self._tree.file(operation.location)
        running = self._running_hash(file, operation) if operation.hashed else None
        self._write(operation.location, operation.offset, operation.data)
        if running is not None and running.length == operation.offset:
            running.add(operation.offset, operation.data)
            running.version = self.version(file)
            self._space.ledger.hashes.put(operation.location, running)

    def _write(self, location: ops.Location, offset: int, data: Buffer) -> None:
        file, size = self._tree.file(location), len(data)
        if size:
            account = self._space.ledger.account_of(location)
            self._space.reserve(account, max(0, offset + size - len(file)), size)
        file.write(offset, data)
        file.modified = self._time()

    def append(self, operation: ops.Append) -> int:
        """Write to the end of a file; return where the end is then."""
        end = len(self._tree.file(operation.location))
        self._write(operation.location, end, operation.data)
        return end + len(operation.data)

    def _extend(self, operation: ops.Extend) -> None:
        file = self._tree.file(operation.location)
        if len(file) < operation.length:
            raise RefusedError(SHORTER)
        file.set_length(operation.length)
        self._write(operation.location, operation.length, operation.data)
        file.sync()

    def create(self, operation: ops.Create) -> None:
        """Make an empty file unless there is one, or empty it."""
        path, live = path_of(operation.location), self._tree.live
        self._tree.check_folder(path[:-1])
        if path in live.folders:
            raise RefusedError(A_FOLDER)
        account = self._space.account(path)
        if path not in live.files:
            account.claim(0, 1)
            live.files[path] = File(modified=self._time())
        file = self._tree.file(operation.location)
        if operation.cut_off:
            account.settle(-len(file))
            file.set_length(0)
            file.modified = self._time()

    def write_new(self, location: ops.Location, data: Buffer) -> None:
        """Write a file whose content starts anew."""
        self.create(ops.Create(location, cut_off=True))
        self._write(location, 0, data)

    def _remove_file(self, operation: ops.RemoveFile) -> None:
        path = path_of(operation.location)
        self._space.account(path).settle(-len(self._tree.entry(operation.location)), -1)
        del self._tree.live.files[path]
        if operation.synced:
            self._tree.sync_folder(path[:-1])

    def set_length(self, operation: ops.SetLength) -> None:
        """Cut a file off, or fill it up with zeros."""
        file, length = self._tree.file(operation.location), operation.length
        account, more = self._space.ledger.account_of(operation.location), length - len(file)
        self._space.reserve(account, max(0, more), max(0, more))
        account.settle(min(0, more))
        file.set_length(length)
        file.modified = self._time()

    def _sync(self, operation: ops.Sync) -> None:
        self._tree.file(operation.location).sync()
        self._tree.sync_folder(path_of(operation.location)[:-1])

    def _hash(self, operation: ops.Hash) -> Work:
        file = self._tree.file(operation.location)
        whole = self._space.ledger.hashes.whole(operation.location, len(file), self.version(file))
        if whole is not None:
            return whole
        hasher = blake3()
        for block in file.blocks():
            hasher.update(block)
            yield
        return hasher.digest()

    def _copy(self, operation: ops.Copy) -> Work:
        source = self._tree.file(operation.location)
        copied = bytearray()
        for block in source.blocks():
            if len(copied) < len(source.data):
                copied += block
            yield
        file = new_file(copied, 0)
        file.set_length(len(source))
        file.sync()
        self._replace(operation.target, file)
        return None

    def _replace(self, location: ops.Location, file: File) -> None:
        path, space = path_of(location), self._space
        self._tree.check_folder(path[:-1])
        if path in self._tree.live.folders:
            raise RefusedError(A_FOLDER)
        space.forget_unfinished((*path[:-1], ops.new_file_name(path[-1])))
        before = self._tree.live.files.get(path)
        more = len(file) - (0 if before is None else len(before))
        if len(file) > 0 and (space.full or space.used + len(file) > space.capacity):
            raise RefusedError(FULL)
        space.reserve(space.account(path), more, len(file), before is None)
        file.modified = self._time()
        self._tree.live.files[path] = file
        self._tree.sync_folder(path[:-1])

    def leave_unfinished(self, location: ops.Location, data: bytes) -> None:
        """Keep new content that never replaces the old one."""
        unfinished = ops.Location(location.root, (*location.parts[:-1], ops.new_file_name(location.parts[-1])))
        self.create(ops.Create(unfinished, cut_off=True))
        self._space.leave_unfinished(path_of(unfinished))
        self.append(ops.Append(unfinished, data))
