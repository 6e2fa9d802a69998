"""The databases on a simulated disk: the store of its node, and those of packages."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from nectar_node.storage import operations as ops
from nectar_node.storage.database import STORE_FILE, Contents, Database
from nectar_node.storage.ledger import OverQuota, fitting
from nectar_node.storage.package_databases import PackageDatabases
from nectar_node.storage.package_files import OfThread
from nectar_node.storage.steps import Work
from testnet.sim.disk.database_files import DatabaseFiles
from testnet.sim.disk.durable_tree import DurableTree, path_of
from testnet.sim.disk.file_content import File
from testnet.sim.disk.folders import FolderOperations
from testnet.sim.disk.refusals import RefusedError
from testnet.sim.disk.space import Space
from testnet.sim.disk.tree import Path


class DiskDatabases:
    """What SQLite keeps on a disk; each of its writes and syncs can be the last before a crash."""

    def __init__(self, tree: DurableTree, space: Space, folders: FolderOperations, time: Callable[[], int]) -> None:
        """`time` gives the virtual time in nanoseconds since 1970."""
        self._tree = tree
        self._space = space
        self._folders = folders
        self._time = time
        self._store: Database | None = None
        """The store of the node that runs."""
        self._store_files: DatabaseFiles | None = None
        self._store_writes: int | None = None
        self._packages: PackageDatabases | None = None
        self._package_files: _PackageFiles | None = None
        self._package_writes: int | None = None
        self.performers: dict[type, Callable[[Any], ops.Outcome]] = {
            ops.Commit: self.commit,
            ops.ReadState: self._read_state,
        }
        """Operations of one step."""

    def open(self, root: str, drives: str) -> Contents:
        """Open the store in the folder `root`, for a boot, and return what it holds; `drives` has those of packages."""
        self.close()
        for path in [each for each in self._tree.live.folders if each[0] == drives and each[2:] == (ops.BODIES,)]:
            self._tree.remove_folder(path)
        self._store_files = files = DatabaseFiles(_StoreFiles(self._tree, self._space, root))
        files.left = self._store_writes
        wal = self._tree.live.files.get((root, f"{STORE_FILE}-wal"))
        self._store, contents = Database.open(
            files.path(STORE_FILE), files.file_system, None if wal is None else wal.content()
        )
        self._package_files = _PackageFiles(self._tree, self._space, self._folders, self._time, drives)
        self._package_files.mounted.left = self._package_writes
        self._packages = PackageDatabases(self._package_files, lambda: 0.0)
        self.performers |= self._packages.performers
        return contents

    def close(self) -> None:
        """Let go of all as a crash does: nothing more is written."""
        if self._store is not None and self._store_files is not None:
            self._store_files.left = 0
            self._store.close()
        self._store = None
        if self._packages is not None and self._package_files is not None:
            self._package_files.mounted.left = 0
            self._packages.close()
        self._packages = None

    def settle_store(self) -> None:
        """Take all that is in the store's log over into its file, as a real node does for a snapshot.

        Raises OSError.
        """
        if self._store is not None:
            self._store.freeze()
            self._store.thaw()

    def crash_store_after(self, writes: int | None) -> None:
        """Let the store crash after so many writes and syncs from its next opening on; None: it does not."""
        self._store_writes = writes

    def crash_packages_after(self, writes: int | None) -> None:
        """Let packages' databases crash after so many writes and syncs from the next boot on; None: they do not."""
        self._package_writes = writes

    @property
    def store_files(self) -> DatabaseFiles:
        """The files of the store that is open."""
        assert self._store_files is not None
        return self._store_files

    @property
    def package_files(self) -> DatabaseFiles:
        """The files of the packages' databases."""
        assert self._package_files is not None
        return self._package_files.mounted

    @property
    def state_lengths(self) -> Mapping[str, int]:
        """The lengths of the saved states when the store was opened, by key."""
        return {} if self._store is None else self._store.states

    def begin(self, operation: ops.Operation) -> Work | None:
        """Begin an operation on a package's database; None: it is not one of several steps."""
        return None if self._packages is None else self._packages.begin(operation)

    def commit(self, operation: ops.Commit) -> ops.LeftOut | None:
        """Write rows and states into the store; return which states have no room."""
        assert self._store is not None
        states, no_room = operation.states, None
        if states:
            states, no_room = fitting(states, self._space.ledger, self._space.room, self._space.capacity)
        self._store.commit(operation.rows, states)
        return no_room

    def _read_state(self, operation: ops.ReadState) -> bytes:
        assert self._store is not None
        return self._store.state(operation.key)


class _StoreFiles:
    """The files of the store, for SQLite."""

    def __init__(self, tree: DurableTree, space: Space, root: str) -> None:
        self._tree = tree
        self._space = space
        self._root = root

    def find(self, name: str) -> File | None:
        return self._tree.live.files.get((self._root, name))

    def make(self, name: str) -> File:
        file = self._tree.live.files[self._root, name] = File()
        return file

    def remove(self, name: str) -> None:
        self._tree.live.files.pop((self._root, name), None)

    def grow(self, name: str, more: int) -> bool:
        return more <= 0 or more <= self._space.room

    def sync_folder(self, name: str) -> None:
        self._tree.sync_folder((self._root,))


class _PackageFiles:
    """The files of packages' databases, for SQLite and for `PackageDatabases`."""

    def __init__(
        self, tree: DurableTree, space: Space, folders: FolderOperations, time: Callable[[], int], root: str
    ) -> None:
        self._tree = tree
        self._space = space
        self._folders = folders
        self._time = time
        self._root = root
        self.mounted = DatabaseFiles(self)
        self.here = OfThread()

    @property
    def file_system(self) -> str:
        return self.mounted.file_system

    def path(self, location: ops.Location) -> str:
        return self.mounted.path("/".join(location.parts))

    def exists(self, location: ops.Location) -> bool:
        return path_of(location) in self._tree.live.files

    def siblings(self, location: ops.Location) -> list[str]:
        folder = path_of(location)[:-1]
        return [path[-1] for path in self._tree.live.files if path[:-1] == folder]

    def make_folder(self, location: ops.Location) -> None:
        self._folders.make_folder(ops.MakeFolder(ops.Location(location.root, location.parts[:-1])))

    def find(self, name: str) -> File | None:
        return self._tree.live.files.get(self._path(name))

    def make(self, name: str) -> File:
        path = self._path(name)
        self._space.account(path).claim(0, 1)
        file = self._tree.live.files[path] = File(modified=self._time())
        return file

    def remove(self, at: str | ops.Location) -> None:
        path = self._path(at)
        file = self._tree.live.files.pop(path, None)
        if file is not None:
            self._space.account(path).settle(-len(file), -1)

    def grow(self, name: str, more: int) -> bool:
        try:
            self._space.reserve(self._space.account(self._path(name)), more, max(0, more), lent=self.here.lent)
        except OverQuota as error:
            self.here.refused = error
            return False
        except RefusedError as error:
            self.here.refused = OverQuota(errno.ENOSPC, str(error))
            return False
        return True

    def is_tight(self, location: ops.Location) -> bool:
        return self._space.ledger.account_of(location).is_tight(self._space.room, self._space.capacity)

    def sync_folder(self, at: str | ops.Location) -> None:
        self._tree.sync_folder(self._path(at)[:-1])

    def _path(self, at: str | ops.Location) -> Path:
        return (self._root, *at.split("/")) if isinstance(at, str) else path_of(at)
