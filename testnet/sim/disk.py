"""A disk in memory: it carries out the same operations as the real one, can be full, and has a virtual clock.

It knows what would be left after a power cut, and is strict: a file has the content of its last sync, a folder the
entries of its last sync. It syncs where the real disk does. Only a rename takes effect on both folders at once, as in
every file system with a journal.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.base.running_hashes import RunningHash
from nectar_node.packages.manifest import Package
from nectar_node.packing import packed_folder as packing
from nectar_node.packing.packed_folder import BadPackedFolder, PackedFolder
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import BadArchive, Entry, entries_untrusted, unpack_untrusted, verify_untrusted
from nectar_node.storage.database import STORE_FILE, STORE_FILES, Contents, Database
from nectar_node.storage.folder_copies import INTO_ITSELF, TOO_DEEP, staging_name
from nectar_node.storage.ledger import DiskAccount, Ledger, OverQuota, fitting
from nectar_node.storage.package_databases import PackageDatabases
from nectar_node.storage.package_files import OfThread
from nectar_node.storage.steps import Steps, Work
from testnet.model.folder_tree import FolderTree
from testnet.sim.database_files import DatabaseFiles, tear
from testnet.sim.file_content import File, new_file
from testnet.sim.tree import (
    Folders,
    FolderStamp,
    Path,
    Tree,
    look_into,
    place_unpacked,
    put_tree,
    read_packed,
    tree_of,
    unpacked_untrusted,
)

_NOT_FOUND = ops.DiskError(ops.DiskFault.NOT_FOUND, "No such file or directory")
_FULL = ops.DiskError(ops.DiskFault.FULL, "No space left on device")
_NO_FOLDER = ops.DiskError(ops.DiskFault.NOT_FOUND, "Not a directory")
_A_FOLDER = ops.DiskError(ops.DiskFault.OTHER, "Is a directory")
_EXISTS = ops.DiskError(ops.DiskFault.EXISTS, "File exists")
_NOT_EMPTY = ops.DiskError(ops.DiskFault.OTHER, "Directory not empty")
_SHORTER = ops.DiskError(ops.DiskFault.NOT_FOUND, "the file is shorter than it was")
_TOO_LONG = ops.DiskError(ops.DiskFault.OTHER, "File name too long")
_TOO_MANY = ops.DiskError(ops.DiskFault.OTHER, ops.TOO_MANY_LISTED)
_INTO_ITSELF = ops.DiskError(ops.DiskFault.OTHER, INTO_ITSELF)
_TOO_DEEP = ops.DiskError(ops.DiskFault.OTHER, TOO_DEEP)
_INVALID = ops.DiskError(ops.DiskFault.OTHER, "Invalid argument")
_CHANGED = ops.DiskError(ops.DiskFault.OTHER, ops.CHANGED)
_A_LINK = ops.DiskError(ops.DiskFault.NOT_PERMITTED, "Too many levels of symbolic links")
READS = (
    ops.ReadAt,
    ops.Stat,
    ops.ListFolder,
    ops.Measure,
    ops.Survey,
    ops.FreeSpace,
    ops.Hash,
    ops.ReadState,
    ops.StatPacked,
    ops.ReadPacked,
    ops.HashPacked,
    ops.GetValues,
)
"""Operations that change nothing."""


class _RefusedError(Exception):
    def __init__(self, error: ops.DiskError) -> None:
        super().__init__(error.text)
        self.error = error


class SimDisk:
    """The files of one node."""

    def __init__(self, clock: Callable[[], float], capacity: int = 1 << 40, ledger: Ledger | None = None) -> None:
        """`clock` gives the virtual time in seconds; `capacity` is in bytes, for all files together."""
        self.capacity = capacity
        self.ledger = ledger or Ledger()
        """The accounts of the node's boot."""
        self.packages: dict[str, Package] = {}
        """The copies of packages on it, by their folders."""
        self.full = False
        """Whether the disk takes no more bytes, whatever its capacity."""
        self.broken = False
        """Whether whatever would change it fails."""
        self._clock = clock
        self.numbers = count(1)
        """Inodes."""
        self._versions = count(1)
        self._live = Tree(seen=Folders(self.numbers))
        self._kept = Tree()
        """Entries of folders when those were last synced; what is below one that is not there cannot be reached."""
        self._removed: set[Path] = set()
        """Folders that were removed since then: one that is there again is another one."""
        self.stamps: dict[Path, FolderStamp] = {}
        """What folders have beside their names; one that is not there any more may still be among them."""
        self._unfinished: set[Path] = set()
        """Files with new content that was never finished: the next one for the same file takes their place."""
        self._database: Database | None = None
        """The store of the node that runs."""
        self._database_files: DatabaseFiles | None = None
        self._store_writes: int | None = None
        self._package_databases: PackageDatabases | None = None
        self._package_files: _PackageFiles | None = None
        self._package_writes: int | None = None
        self._performers: dict[type, Callable[[Any], ops.Outcome]] = {
            ops.ReadAt: self._read_at,
            ops.WriteAt: self._write_at,
            ops.Create: self._create,
            ops.MakeFolder: self._make_folder,
            ops.Stat: self._stat,
            ops.ListFolder: self._list_folder,
            ops.Measure: self._measure,
            ops.Survey: self._survey,
            ops.RemoveFile: self._remove_file,
            ops.RemoveFolder: self._remove_folder,
            ops.Rename: self._rename,
            ops.SetLength: self._set_length,
            ops.Sync: self._sync,
            ops.FreeSpace: self._free_space,
            ops.Replace: lambda operation: self._replace(operation.location, new_file(operation.data, 0)),
            ops.Extend: self._extend,
            ops.Append: self._append,
            ops.CreateFolder: self._create_folder,
            ops.Commit: self._commit,
            ops.ReadState: self._read_state,
            ops.StatPacked: self._stat_packed,
            ops.ReadPacked: self._read_packed,
        }
        self._in_steps: dict[type, Callable[[Any], Work]] = {
            ops.Hash: self._hash,
            ops.Copy: self._copy,
            ops.CopyFolder: self._copy_folder,
            ops.Unpack: self._unpack,
            ops.HashPacked: self._hash_packed,
            ops.UnpackFolder: self._unpack_folder,
        }

    def perform(self, operation: ops.Operation) -> ops.Outcome:
        """Carry out `operation`."""
        return self.begin(operation).finish()

    def begin(self, operation: ops.Operation) -> Steps:
        """Carry out `operation` step by step; nothing is done before the first step."""
        return Steps(self._begin(operation), _refusal)

    def _begin(self, operation: ops.Operation) -> Work:
        if self.broken and not isinstance(operation, READS):
            raise OSError(errno.EIO, "Input/output error")
        in_steps = self._in_steps.get(type(operation))
        if in_steps is not None:
            return (yield from in_steps(operation))
        if self._package_databases is not None and (work := self._package_databases.begin(operation)) is not None:
            return (yield from work)
        return self._performers[type(operation)](operation)

    def break_off(self, operation: ops.Operation, chance: Random) -> None:
        """Kill the operation while it runs: all of it is done, or none, or a part that `chance` draws."""
        done = chance.choice((0.0, chance.random(), 1.0))
        if done == 1.0:
            self.perform(operation)
        elif done > 0.0:
            with suppress(_RefusedError, BadArchive, OverQuota):
                self._perform_in_part(operation, done)

    def _perform_in_part(self, operation: ops.Operation, share: float) -> None:
        """Do `share` of the operation; one that takes a single step is not done at all."""
        match operation:
            case ops.WriteAt(location, offset, data):
                self._write_at(ops.WriteAt(location, offset, _beginning(data, share)))
            case ops.Append(location, data):
                self._append(ops.Append(location, _beginning(data, share)))
            case ops.Extend(location, length, data):
                self._set_length(ops.SetLength(location, min(length, len(self._file(location)))))
                self._append(ops.Append(location, _beginning(data, share)))
            case ops.Commit(_, rows, states):
                assert self._database_files is not None
                self._database_files.left = int(share * (len(rows) + len(states) + 4))
                self.perform(operation)
            case ops.PutPairs(_, pairs):
                self.package_files.left = int(share * (2 * len(pairs) + 2))  # two writes for a page, and the sync
                self.perform(operation)
            case ops.Replace(location, data):
                self._leave_unfinished(location, _beginning(data, share))
            case ops.Copy(location, target):
                self._leave_unfinished(target, _beginning(self._file(location).content(), share))
            case ops.CopyFolder(location, target):
                staged = (*_path(target)[:-1], staging_name(target.parts[-1]))
                self._check_copy(_path(location), _path(target))
                self._folder(staged[:-1])
                self._forget_unfinished(staged)
                usage = self._usage(_path(location))
                self._reserve(self._account(staged), usage.bytes, usage.bytes, usage.files)
                self._place_copy(_path(location), staged, share)
                left = self._usage(staged)
                self._account(staged).settle(left.bytes - usage.bytes, left.files - usage.files)
                self._unfinished.add(staged)
            case ops.UnpackFolder(location, target, most):
                self._unpack_in_part(location, _path(target), most, share)
            case ops.Unpack(location, data):
                entries = entries_untrusted(data)
                self._unpack_entries(location, data, entries[: int(len(entries) * share)])

    def _leave_unfinished(self, location: ops.Location, data: bytes) -> None:
        """Keep new content that never replaces the old one."""
        unfinished = ops.Location(location.root, (*location.parts[:-1], ops.new_file_name(location.parts[-1])))
        self._create(ops.Create(unfinished, cut_off=True))
        self._unfinished.add(_path(unfinished))
        self._append(ops.Append(unfinished, data))

    def put(self, location: ops.Location, data: bytes, modified: int | None = None, target: str | None = None) -> None:
        """Write a file from outside the simulated node, changed at that time in nanoseconds; None: now.

        With a `target` it is a link that leads there.
        """
        path = _path(location)
        for other in self._live.files.values():  # a package of another manifest has the same large program
            if other.data == data:
                data = bytes(other.data)
                break
        file = new_file(data, self._time() if modified is None else modified)
        file.target = target
        for tree in (self._live, self._kept):
            tree.folders.update(_above(path))
            tree.files[path] = file

    def copy(self, clock: Callable[[], float]) -> SimDisk:
        """Return another disk with the same files; nothing of them is lost at a power cut."""
        other = SimDisk(clock, self.capacity)
        other.packages = dict(self.packages)
        for tree in (other._live, other._kept):
            tree.folders = set(self._live.folders)
        for path, file in self._live.files.items():
            copied = new_file(file.content(), file.modified)
            copied.target = file.target
            other._live.files[path] = other._kept.files[path] = copied
        return other

    def put_folder(self, location: ops.Location) -> None:
        """Make a folder, and those above it, from outside the simulated node."""
        path = _path(location)
        for tree in (self._live, self._kept):
            tree.folders.update((*_above(path), path))

    def put_tree(self, location: ops.Location, items: FolderTree) -> None:
        """Make a whole folder from outside the simulated node."""
        put_tree(self._live, self._kept, self.stamps, _path(location), items)

    def tree_of(self, location: ops.Location) -> FolderTree | None:
        """Return what is in a folder; None: there is none."""
        return tree_of(self._live, self.stamps, _path(location))

    @property
    def files(self) -> Mapping[Path, File]:
        """All files by their paths: the root, and the names below it."""
        return self._live.files

    @property
    def folders(self) -> Set[Path]:
        """The paths of all folders but roots."""
        return self._live.folders

    def paths(self) -> set[Path]:
        """Return the paths of all files."""
        return set(self._live.files)

    # --- the store --------------------------------------------------------------------------------------------------

    def open_store(self, root: str, drives: str = "") -> Contents:
        """Open the store in the folder `root`, for a boot, and return what it holds; `drives` has those of packages."""
        self.close_store()
        for path in [each for each in self._live.folders if each[0] == drives and each[2:] == (ops.BODIES,)]:
            self._live.remove(path)
            self._removed.add(path)
        self._database_files = files = DatabaseFiles(_StoreFiles(self, root))
        files.left = self._store_writes
        wal = self.get(ops.Location(root, (f"{STORE_FILE}-wal",)))
        self._database, contents = Database.open(files.path(STORE_FILE), files.file_system, wal)
        self._package_files = _PackageFiles(self, drives)
        self._package_files.mounted.left = self._package_writes
        self._package_databases = PackageDatabases(self._package_files, lambda: 0.0)
        self._performers |= self._package_databases.performers
        return contents

    def crash_databases_after(self, writes: int | None) -> None:
        """Let packages' databases crash after so many writes and syncs from the next boot on; None: they do not."""
        self._package_writes = writes

    @property
    def package_files(self) -> DatabaseFiles:
        """The files of the packages' databases."""
        assert self._package_files is not None
        return self._package_files.mounted

    def crash_store_after(self, writes: int | None) -> None:
        """Let the store crash after so many writes and syncs from its next opening on; None: it does not."""
        self._store_writes = writes

    @property
    def database_files(self) -> DatabaseFiles:
        """The files of the store that is open."""
        assert self._database_files is not None
        return self._database_files

    def clear(self) -> None:
        """Let go of everything; nothing is on it any more."""
        self.close_store()
        self._live, self._kept = Tree(seen=Folders(self.numbers)), Tree()

    def close_store(self) -> None:
        """Let go of the store as a crash does: nothing more is written."""
        if self._database is not None and self._database_files is not None:
            self._database_files.left = 0
            self._database.close()
        self._database = None
        if self._package_databases is not None and self._package_files is not None:
            self._package_files.mounted.left = 0
            self._package_databases.close()
        self._package_databases = None

    def settle_store(self) -> None:
        """Take all that is in the store's log over into its file, as a real node does for a snapshot.

        Raises OSError.
        """
        if self._database is not None:
            self._database.freeze()
            self._database.thaw()

    def _commit(self, operation: ops.Commit) -> ops.LeftOut | None:
        assert self._database is not None
        states, no_room = operation.states, None
        if states:
            free = 0 if self.full else self.capacity - self._used()
            states, no_room = fitting(states, self.ledger, free, self.capacity)
        self._database.commit(operation.rows, states)
        return no_room

    def _read_state(self, operation: ops.ReadState) -> bytes:
        assert self._database is not None
        return self._database.state(operation.key)

    @property
    def state_lengths(self) -> Mapping[str, int]:
        """The lengths of the saved states when the store was opened, by key."""
        return {} if self._database is None else self._database.states

    def lose_unsynced(self, chance: Random) -> None:
        """Cut the power: only what was synced is left; `chance` draws which other sectors of the store are."""
        folders: set[Path] = set()
        for path in sorted(self._kept.folders, key=len):
            if len(path) == 2 or path[:-1] in folders:
                folders.add(path)
        files = {path: file for path, file in self._kept.files.items() if len(path) == 2 or path[:-1] in folders}
        for path, file in files.items():
            if _is_of_database(path):
                tear(file, chance)
            else:
                file.lose_unsynced()
        self._live = Tree(dict(files), set(folders), Folders(self.numbers))
        self._kept = Tree(files, folders)
        self._removed.clear()

    def get(self, location: ops.Location) -> bytes | None:
        """Return a file's content, or None if there is no such file."""
        file = self._live.files.get(_path(location))
        return file.content() if file is not None else None

    def _time(self) -> int:
        return round(self._clock() * 1e9)

    @property
    def live(self) -> Tree:
        """What is on the disk; for what writes to it past the operations."""
        return self._live

    @property
    def free(self) -> int:
        """Bytes that files may still grow by; holes count like other bytes, and grow on a full disk, too."""
        return self.capacity - self._used()

    def names_of(self, file: File) -> list[Path]:
        """Return the paths at which a file is, and those at which it was when these were last synced."""
        return [path for tree in (self._live, self._kept) for path, each in tree.files.items() if each is file]

    def sync_folder(self, folder: Path) -> None:
        """Make the entries of a folder durable."""
        self._sync_folder(folder)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder; durable once the one above it is synced."""
        self._live.remove(path)
        self._removed.add(path)

    def move_folder(self, path: Path, target: Path) -> None:
        """Move a folder in place of an empty one, if one is there; this is durable at once."""
        self._live.move(path, target)
        moved = {each: stamp for each, stamp in self.stamps.items() if each[: len(path)] == path}
        self.stamps |= {target + each[len(path) :]: stamp for each, stamp in moved.items()}
        self._kept.remove(target)
        self._kept.move(path, target)
        self._sync_folder(target[:-1])

    def _file(self, location: ops.Location) -> File:
        file = self._entry(location)
        if file.target is not None:
            raise _RefusedError(_A_LINK)
        return file

    def _entry(self, location: ops.Location) -> File:
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

    def _reserve(self, account: DiskAccount, more: int, wanted: int, files: int = 0, lent: int = 0) -> None:
        """Account for `more` bytes and `files` files, of which `wanted` bytes are written; `lent` may be too much."""
        used = self._used() if more > 0 or wanted else 0
        if more > 0 and (self.full or used + more > self.capacity):
            raise _RefusedError(_FULL)
        account.check_space(wanted, self.capacity - used, self.capacity, lent)
        account.claim(more, files, lent)

    def _account(self, path: Path) -> DiskAccount:
        return self.ledger.account_of(ops.Location(path[0], path[1:]))

    def _free_space(self, operation: ops.FreeSpace) -> int:
        free = 0 if self.full else self.capacity - self._used()
        return self.ledger.account_of(operation.location).growth(free, self.capacity)

    def _used(self) -> int:
        return sum([len(file.data) + file.zeros for file in self._live.files.values()])

    def _sync_folder(self, folder: Path) -> None:
        """Make the entries of `folder` durable."""
        live, kept = self._live, self._kept
        for path in [path for path in (*kept.files, *kept.folders) if path[:-1] == folder]:
            if path not in live.folders or path in kept.files or path in self._removed:
                kept.remove(path)
                self._removed.discard(path)
        kept.folders.update(path for path in live.folders if path[:-1] == folder and path != folder)
        kept.files.update((path, file) for path, file in live.files.items() if path[:-1] == folder)

    def _read_at(self, operation: ops.ReadAt) -> bytes:
        file = self._file(operation.location)
        if operation.version is not None and operation.version != self._version(file):
            raise _RefusedError(_CHANGED)
        data = file.read(operation.offset, operation.length)
        if operation.hashed and (running := self._running_hash(file, operation)) is not None:
            running.add(operation.offset, data)
            self.ledger.hashes.put(operation.location, running)
        return data

    def _running_hash(self, file: File, operation: ops.ReadAt | ops.WriteAt) -> RunningHash | None:
        return self.ledger.hashes.take(operation.location, operation.offset, self._version(file))

    def _version(self, file: File) -> str:
        file.version = file.version or next(self._versions)
        return str(file.version)

    def _write_at(self, operation: ops.WriteAt) -> None:
        file = self._file(operation.location)
        running = self._running_hash(file, operation) if operation.hashed else None
        self._write(operation.location, operation.offset, operation.data)
        if running is not None and running.length == operation.offset:
            running.add(operation.offset, operation.data)
            running.version = self._version(file)
            self.ledger.hashes.put(operation.location, running)

    def _write(self, location: ops.Location, offset: int, data: Buffer) -> None:
        file, size = self._file(location), len(data)
        if size:
            self._reserve(self.ledger.account_of(location), max(0, offset + size - len(file)), size)
        file.write(offset, data)
        file.modified = self._time()

    def _append(self, operation: ops.Append) -> int:
        end = len(self._file(operation.location))
        self._write(operation.location, end, operation.data)
        return end + len(operation.data)

    def _extend(self, operation: ops.Extend) -> None:
        file = self._file(operation.location)
        if len(file) < operation.length:
            raise _RefusedError(_SHORTER)
        file.set_length(operation.length)
        self._write(operation.location, operation.length, operation.data)
        file.sync()

    def _create(self, operation: ops.Create) -> None:
        path = _path(operation.location)
        self._folder(path[:-1])
        if path in self._live.folders:
            raise _RefusedError(_A_FOLDER)
        account = self._account(path)
        if path not in self._live.files:
            account.claim(0, 1)
            self._live.files[path] = File(modified=self._time())
        file = self._file(operation.location)
        if operation.cut_off:
            account.settle(-len(file))
            file.set_length(0)
            file.modified = self._time()

    def _make_folder(self, operation: ops.MakeFolder) -> None:
        path = _path(operation.location)
        new = [folder for folder in (*_above(path), path) if folder not in self._live.folders]
        self._make_folders(path)
        for folder in new:
            self._sync_folder(folder[:-1])

    def _make_folders(self, path: Path) -> None:
        if any(each in self._live.files for each in (*_above(path), path)):
            raise _RefusedError(_NO_FOLDER)
        for folder in (*_above(path), path):
            if folder not in self._live.folders:
                self._account(folder).claim(0, 1)
                self._live.folders.add(folder)

    def _create_folder(self, operation: ops.CreateFolder) -> None:
        path = _path(operation.location)
        self._folder(path[:-1])
        if path in self._live.folders or path in self._live.files:
            raise _RefusedError(_EXISTS)
        self._account(path).claim(0, 1)
        self._live.folders.add(path)
        self._sync_folder(path[:-1])

    def _stat(self, operation: ops.Stat) -> ops.FileStat:
        if _path(operation.location) in self._live.folders:
            return ops.FileStat(ops.FileType.DIRECTORY, 0, 0)
        file = self._entry(operation.location)
        size = len(file) if file.target is None else len(file.target.encode())
        return ops.FileStat(_type_of(file), size, file.modified, "" if file.target is not None else self._version(file))

    def _list_folder(self, operation: ops.ListFolder) -> list[tuple[str, ops.FileType]]:
        path = _path(operation.location)
        self._folder(path)
        inside = [(p, _type_of(file)) for p, file in self._live.files.items()] + [
            (p, ops.FileType.DIRECTORY) for p in self._live.folders
        ]
        listed = sorted((p[-1], kind) for p, kind in inside if p[:-1] == path and p != path)
        if operation.limit is not None:
            return [each for each in listed if each[0] > operation.after and ops.is_part(each[0])][: operation.limit]
        if len(listed) > ops.MAX_LISTED:
            raise _RefusedError(_TOO_MANY)
        return listed

    def _remove_file(self, operation: ops.RemoveFile) -> None:
        path = _path(operation.location)
        self._account(path).settle(-len(self._entry(operation.location)), -1)
        del self._live.files[path]
        if operation.synced:
            self._sync_folder(path[:-1])

    def _remove_folder(self, operation: ops.RemoveFolder) -> None:
        path = _path(operation.location)
        self._folder(path)
        below = [p for p in (*self._live.files, *self._live.folders) if p[: len(path)] == path and p != path]
        if below and not operation.recursive:
            raise _RefusedError(_NOT_EMPTY)
        size, files = self._usage(path)
        self._account(path).settle(-size, -files)
        self.remove_folder(path)
        if operation.synced:
            self._sync_folder(path[:-1])

    def _rename(self, operation: ops.Rename) -> None:
        path, target = _path(operation.location), _path(operation.target)
        if path in self._live.folders:
            self._rename_folder(path, target)
            return
        file = self._entry(operation.location)
        self._folder(target[:-1])
        if target in self._live.folders:
            raise _RefusedError(_A_FOLDER)
        self._moves(path, target)
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
        self._moves(path, target)
        self.move_folder(path, target)

    def _moves(self, path: Path, target: Path) -> None:
        """Check that what is at `path` can replace what is at `target`."""
        giver, taker = self._account(path), self._account(target)
        if giver is not taker:
            moved = self._usage(path)
            taker.claim(*moved)
            giver.settle(-moved.bytes, -moved.files)
        if target != path and (target in self._live.files or target in self._live.folders):
            replaced = self._usage(target)
            taker.settle(-replaced.bytes, -replaced.files)

    def _usage(self, path: Path) -> ops.Usage:
        """Return the bytes and files at `path` and below it."""
        depth = len(path)
        sizes = [len(file) for each, file in self._live.files.items() if each[:depth] == path]
        folders = sum(each[:depth] == path for each in self._live.folders)
        return ops.Usage(sum(sizes), len(sizes) + folders)

    def _measure(self, operation: ops.Measure) -> ops.Counted:
        path = _path(operation.location)
        below = self._usage(path)
        drives = ops.Usage(below.bytes, below.files - (path in self._live.folders))
        counted = self.ledger.account(operation.package).count(drives)
        return ops.Counted(*counted, self.capacity - self._used(), self.capacity)

    def _survey(self, operation: ops.Survey) -> ops.Surveyed:
        drives = operation.location.root
        names = {name for root, name, *_ in (*self._live.files, *self._live.folders) if root == drives}
        packages = sorted(names | self.ledger.with_states)
        return ops.Surveyed(packages, self.capacity - self._used(), self.capacity)

    def _hash(self, operation: ops.Hash) -> Work:
        file = self._file(operation.location)
        whole = self.ledger.hashes.whole(operation.location, len(file), self._version(file))
        if whole is not None:
            return whole
        hasher = blake3()
        for block in file.blocks():
            hasher.update(block)
            yield
        return hasher.digest()

    def _copy(self, operation: ops.Copy) -> Work:
        source = self._file(operation.location)
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

    def _copy_folder(self, operation: ops.CopyFolder) -> Work:
        path, target = _path(operation.location), _path(operation.target)
        if target[: len(path)] == path:
            raise _RefusedError(_INTO_ITSELF)
        self._folder(target[:-1])
        for _block in self._check_copy(path, target):
            yield
        self._check_copy(path, target)
        usage, account = self._usage(path), self._account(target)
        self._forget_unfinished((*target[:-1], staging_name(target[-1])))
        self._reserve(account, usage.bytes, usage.bytes, usage.files)
        self._place_copy(path, target, 1.0)
        self._kept.remove(target)  # what was there before is gone when the copy gets its name
        self._removed = {each for each in self._removed if each[: len(target)] != target}
        for folder in [each for each in self._live.folders if each[: len(target)] == target]:
            self._sync_folder(folder)
        self._sync_folder(target[:-1])
        return None

    def _check_copy(self, path: Path, target: Path) -> list[Buffer]:
        """Check that a folder can be copied; return what its files hold, block by block."""
        if target in self._live.files or target in self._live.folders:
            raise _RefusedError(_EXISTS)
        self._folder(path)
        below = [each for each in (*self._live.files, *self._live.folders) if each[: len(path)] == path]
        if max(map(len, below), default=0) - len(path) > ops.MAX_DEPTH - (len(target) - 1):
            raise _RefusedError(_TOO_DEEP)
        for each in below:
            if each in self._live.files and self._live.files[each].target is not None:
                text = f"{each[-1][:100]!r} in it is neither a file nor a folder"
                raise _RefusedError(ops.DiskError(ops.DiskFault.OTHER, text))
        return [block for each in below if each in self._live.files for block in self._live.files[each].blocks()]

    def _place_copy(self, path: Path, target: Path, share: float) -> None:
        """Put a copy of the first `share` of a folder in its place, synced."""
        live, depth = self._live, len(path)
        live.folders.update([target + each[depth:] for each in live.folders if each[:depth] == path])
        files = [each for each in live.files if each[:depth] == path]
        for each in files[: int(len(files) * share)]:
            copy = new_file(live.files[each].data, self._time())
            copy.set_length(len(live.files[each]))
            copy.sync()
            live.files[target + each[depth:]] = copy

    def _unpack(self, operation: ops.Unpack) -> Work:
        entries = entries_untrusted(operation.data)
        for _ in verify_untrusted(operation.data, entries):
            yield
        account, files = self.ledger.account_of(operation.location), [each for each in entries if not each.is_folder]
        size = sum(entry.length for entry in files)
        self._reserve(account, size, size, len(files))
        account.settle(-size, -len(files))  # all count at once, since they appear at once
        self._unpack_entries(operation.location, operation.data, entries)
        return None

    def _unpack_entries(self, into: ops.Location, data: Buffer, entries: Iterable[Entry]) -> None:
        for entry in entries:
            folder = entry.parts if entry.is_folder else entry.parts[:-1]
            self._make_folders(_path(ops.Location(into.root, into.parts + folder)))
            if not entry.is_folder:
                content = b"".join(unpack_untrusted(data, entry))
                location = ops.Location(into.root, into.parts + entry.parts)
                self._create(ops.Create(location, cut_off=True))
                self._write(location, 0, content)

    def _looked(self, location: ops.Location) -> tuple[PackedFolder, str]:
        path = _path(location)
        self._folder(path)
        return look_into(self._live, path, self.stamps)

    def _stat_packed(self, operation: ops.StatPacked) -> ops.PackedStat:
        packed, left_out = self._looked(operation.location)
        return ops.PackedStat(packed.length, packed.version, len(packed.entries), len(packed.files), left_out)

    def _read_packed(self, operation: ops.ReadPacked) -> ops.PackedBytes:
        data, packed = self._packed_bytes(operation, operation.offset, operation.length)
        end = operation.offset + len(data)
        return ops.PackedBytes(data, end, packed.whole_files(end))

    def _packed_bytes(
        self, operation: ops.ReadPacked | ops.HashPacked, offset: int, length: int
    ) -> tuple[bytes, PackedFolder]:
        packed, _ = self._looked(operation.location)
        if packed.version != operation.version:
            raise BadPackedFolder("something in it has changed meanwhile")
        return read_packed(packed, self._live, _path(operation.location), offset, length), packed

    def _hash_packed(self, operation: ops.HashPacked) -> Work:
        content, _ = self._packed_bytes(operation, 0, packing.MAX_LENGTH)
        for _ in range(0, len(content), ops.STEP_BYTES):
            yield
        return blake3(content).digest()

    def _unpack_folder(self, operation: ops.UnpackFolder) -> Work:
        file, target = self._file(operation.location), _path(operation.target)
        if target in self._live.files or target in self._live.folders:
            raise _RefusedError(_EXISTS)
        packed = unpacked_untrusted(file, operation.entries)
        for _block in file.blocks():
            yield
        self._folder(target[:-1])
        self._forget_unfinished((*target[:-1], staging_name(target[-1])))
        size, account = packed.content_bytes, self._account(target)
        self._reserve(account, size, size, len(packed.entries))
        place_unpacked(packed.entries, packed, file, self._live, target, self.stamps)
        self._kept.remove(target)
        self._removed = {each for each in self._removed if each[: len(target)] != target}
        for folder in [each for each in self._live.folders if each[: len(target)] == target]:
            self._sync_folder(folder)
        self._sync_folder(target[:-1])
        return None

    def _unpack_in_part(self, location: ops.Location, target: Path, most: int, share: float) -> None:
        """Unpack a part of a folder, which never gets its name."""
        file = self._file(location)
        packed = unpacked_untrusted(file, most)
        self._folder(target[:-1])
        staged = (*target[:-1], staging_name(target[-1]))
        self._forget_unfinished(staged)
        entries = packed.entries[: max(1, int(len(packed.entries) * share))]
        size = sum(entry.size for entry in entries)
        self._reserve(self._account(staged), size, size, len(entries))
        place_unpacked(entries, packed, file, self._live, staged, self.stamps)
        self._unfinished.add(staged)

    def _set_length(self, operation: ops.SetLength) -> None:
        file, length = self._file(operation.location), operation.length
        account, more = self.ledger.account_of(operation.location), length - len(file)
        self._reserve(account, max(0, more), max(0, more))
        account.settle(min(0, more))
        file.set_length(length)
        file.modified = self._time()

    def _sync(self, operation: ops.Sync) -> None:
        self._file(operation.location).sync()
        self._sync_folder(_path(operation.location)[:-1])

    def _replace(self, location: ops.Location, file: File) -> None:
        path = _path(location)
        self._folder(path[:-1])
        if path in self._live.folders:
            raise _RefusedError(_A_FOLDER)
        self._forget_unfinished((*path[:-1], ops.new_file_name(path[-1])))
        before = self._live.files.get(path)
        more = len(file) - (0 if before is None else len(before))
        if len(file) > 0 and (self.full or self._used() + len(file) > self.capacity):
            raise _RefusedError(_FULL)
        self._reserve(self._account(path), more, len(file), before is None)
        file.modified = self._time()
        self._live.files[path] = file
        self._sync_folder(path[:-1])

    def _forget_unfinished(self, unfinished: Path) -> None:
        if unfinished in self._unfinished:
            self._unfinished.discard(unfinished)
            left = self._usage(unfinished)
            if unfinished in self._live.folders:
                self._removed.add(unfinished)
            self._live.remove(unfinished)
            self._account(unfinished).settle(-left.bytes, -left.files)


class _StoreFiles:
    """The files of the store, for SQLite."""

    def __init__(self, disk: SimDisk, root: str) -> None:
        self._disk = disk
        self._root = root

    def find(self, name: str) -> File | None:
        return self._disk._live.files.get((self._root, name))

    def make(self, name: str) -> File:
        file = self._disk._live.files[self._root, name] = File()
        return file

    def remove(self, name: str) -> None:
        self._disk._live.files.pop((self._root, name), None)

    def grow(self, name: str, more: int) -> bool:
        return more <= 0 or (not self._disk.full and self._disk._used() + more <= self._disk.capacity)

    def sync_folder(self, name: str) -> None:
        self._disk._sync_folder((self._root,))


class _PackageFiles:
    """The files of packages' databases, for SQLite and for `PackageDatabases`."""

    def __init__(self, disk: SimDisk, root: str) -> None:
        self._disk = disk
        self._root = root
        self.mounted = DatabaseFiles(self)
        self.here = OfThread()

    @property
    def file_system(self) -> str:
        return self.mounted.file_system

    def path(self, location: ops.Location) -> str:
        return self.mounted.path("/".join(location.parts))

    def exists(self, location: ops.Location) -> bool:
        return _path(location) in self._disk._live.files

    def siblings(self, location: ops.Location) -> list[str]:
        folder = _path(location)[:-1]
        return [path[-1] for path in self._disk._live.files if path[:-1] == folder]

    def make_folder(self, location: ops.Location) -> None:
        self._disk._make_folder(ops.MakeFolder(ops.Location(location.root, location.parts[:-1])))

    def find(self, name: str) -> File | None:
        return self._disk._live.files.get(self._path(name))

    def make(self, name: str) -> File:
        path = self._path(name)
        self._disk._account(path).claim(0, 1)
        file = self._disk._live.files[path] = File(modified=self._disk._time())
        return file

    def remove(self, at: str | ops.Location) -> None:
        path = self._path(at)
        file = self._disk._live.files.pop(path, None)
        if file is not None:
            self._disk._account(path).settle(-len(file), -1)

    def grow(self, name: str, more: int) -> bool:
        try:
            self._disk._reserve(self._disk._account(self._path(name)), more, max(0, more), lent=self.here.lent)
        except OverQuota as error:
            self.here.refused = error
            return False
        except _RefusedError as error:
            self.here.refused = OverQuota(errno.ENOSPC, str(error))
            return False
        return True

    def is_tight(self, location: ops.Location) -> bool:
        free = 0 if self._disk.full else self._disk.free
        return self._disk.ledger.account_of(location).is_tight(free, self._disk.capacity)

    def sync_folder(self, at: str | ops.Location) -> None:
        self._disk._sync_folder(self._path(at)[:-1])

    def _path(self, at: str | ops.Location) -> Path:
        return (self._root, *at.split("/")) if isinstance(at, str) else _path(at)


def _type_of(file: File) -> ops.FileType:
    return ops.FileType.FILE if file.target is None else ops.FileType.SYMLINK


def _is_of_database(path: Path) -> bool:
    """Whether SQLite writes this file, of the store or of a package."""
    return path[1:] in _STORE_PATHS or path[2:3] == (ops.DATABASES,)


_STORE_PATHS = {(name,) for name in STORE_FILES}


def _refusal(error: Exception) -> ops.DiskError:
    match error:
        case OSError(errno=errno.ENOSPC, strerror=text) if not isinstance(error, OverQuota):
            return ops.DiskError(ops.DiskFault.FULL, text or "")
        case OSError(errno=errno.EIO, strerror=text):
            return ops.DiskError(ops.DiskFault.OTHER, text or "")
        case FileNotFoundError(strerror=text):
            return ops.DiskError(ops.DiskFault.NOT_FOUND, text or "")
        case _RefusedError():
            return error.error
        case OverQuota():
            full = error.errno in (errno.EDQUOT, errno.ENOSPC)
            return ops.DiskError(ops.DiskFault.FULL if full else ops.DiskFault.OTHER, error.strerror or str(error))
        case BadPackedFolder(strerror=text):
            return ops.DiskError(ops.DiskFault.OTHER, text or "")
        case BadArchive():
            return ops.DiskError(ops.DiskFault.BAD_ARCHIVE, f"the archive {error}")
    raise error


def _beginning(data: Buffer, share: float) -> bytes:
    return bytes(data[: int(len(data) * share)])


def _path(location: ops.Location) -> Path:
    if any(len(part.encode(errors="surrogateescape")) > ops.MAX_NAME_BYTES for part in location.parts):
        raise _RefusedError(_TOO_LONG)
    return (location.root, *location.parts)


def _above(path: Path) -> list[Path]:
    return [path[:length] for length in range(2, len(path))]
