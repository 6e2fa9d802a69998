"""A disk in memory: it carries out the same operations as the real one, can be full, and has a virtual clock.

It syncs where the real disk does, and knows what would be left after a power cut.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from random import Random
from typing import Any

from kernel.contract.message import Buffer
from nectar_node.packages.manifest import Package
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import BadArchive, entries_untrusted
from nectar_node.storage.database import Contents
from nectar_node.storage.ledger import Ledger, OverQuota
from nectar_node.storage.steps import Steps, Work
from testnet.model.folder_tree import FolderTree
from testnet.sim.disk.database_files import DatabaseFiles
from testnet.sim.disk.databases import DiskDatabases
from testnet.sim.disk.durable_tree import DurableTree, path_of
from testnet.sim.disk.file_content import File, new_file
from testnet.sim.disk.files import FileOperations
from testnet.sim.disk.folders import FolderOperations
from testnet.sim.disk.packed_folders import PackedOperations
from testnet.sim.disk.refusals import RefusedError, outcome_of
from testnet.sim.disk.space import Space
from testnet.sim.disk.tree import FolderStamp, Path, Tree

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


class SimDisk:
    """The files of one node."""

    def __init__(self, clock: Callable[[], float], capacity: int = 1 << 40, ledger: Ledger | None = None) -> None:
        """`clock` gives the virtual time in seconds; `capacity` is in bytes, for all files together.

        `ledger` has the accounts of the node's boot.
        """
        self.packages: dict[str, Package] = {}
        """The copies of packages on it, by their folders."""
        self.broken = False
        """Whether whatever would change it fails."""
        self._clock = clock
        self._tree = DurableTree()
        self._space = Space(self._tree, capacity, ledger or Ledger())
        self._files = FileOperations(self._tree, self._space, self._time)
        self._folders = FolderOperations(self._tree, self._space, self._time, self._files)
        self._packed = PackedOperations(self._tree, self._space, self._files, self._folders)
        self._databases = DiskDatabases(self._tree, self._space, self._folders, self._time)
        performers = (self._files, self._folders, self._packed)
        self._performers: dict[type, Callable[[Any], ops.Outcome]] = dict(self._databases.performers)
        self._in_steps: dict[type, Callable[[Any], Work]] = {}
        for each in performers:
            self._performers |= each.performers
            self._in_steps |= each.in_steps

    def _time(self) -> int:
        return round(self._clock() * 1e9)

    # --- operations ---------------------------------------------------------------------------------------------------

    def perform(self, operation: ops.Operation) -> ops.Outcome:
        """Carry out `operation`."""
        return self.begin(operation).finish()

    def begin(self, operation: ops.Operation) -> Steps:
        """Carry out `operation` step by step; nothing is done before the first step."""
        return Steps(self._begin(operation), outcome_of)

    def _begin(self, operation: ops.Operation) -> Work:
        if self.broken and not isinstance(operation, READS):
            raise OSError(errno.EIO, "Input/output error")
        in_steps = self._in_steps.get(type(operation))
        if in_steps is not None:
            return (yield from in_steps(operation))
        if (work := self._databases.begin(operation)) is not None:
            return (yield from work)
        return self._performers[type(operation)](operation)

    def break_off(self, operation: ops.Operation, chance: Random) -> None:
        """Kill the operation while it runs: all of it is done, or none, or a part that `chance` draws."""
        done = chance.choice((0.0, chance.random(), 1.0))
        if done == 1.0:
            self.perform(operation)
        elif done > 0.0:
            with suppress(RefusedError, BadArchive, OverQuota):
                self._perform_in_part(operation, done)

    def _perform_in_part(self, operation: ops.Operation, share: float) -> None:
        """Do `share` of the operation; one that takes a single step is not done at all."""
        match operation:
            case ops.WriteAt(location, offset, data):
                self._files.write_at(ops.WriteAt(location, offset, _beginning(data, share)))
            case ops.Append(location, data):
                self._files.append(ops.Append(location, _beginning(data, share)))
            case ops.Extend(location, length, data):
                self._files.set_length(ops.SetLength(location, min(length, len(self._tree.file(location)))))
                self._files.append(ops.Append(location, _beginning(data, share)))
            case ops.Commit(_, rows, states):
                self.database_files.left = int(share * (len(rows) + len(states) + 4))
                self.perform(operation)
            case ops.PutPairs(_, pairs):
                self.package_files.left = int(share * (2 * len(pairs) + 2))  # two writes for a page, and the sync
                self.perform(operation)
            case ops.Replace(location, data):
                self._files.leave_unfinished(location, _beginning(data, share))
            case ops.Copy(location, target):
                content = self._tree.file(location).content()
                self._files.leave_unfinished(target, _beginning(content, share))
            case ops.CopyFolder(location, target):
                self._folders.copy_in_part(path_of(location), path_of(target), share)
            case ops.UnpackFolder(location, target, most):
                self._packed.unpack_in_part(location, path_of(target), most, share)
            case ops.Unpack(location, data):
                entries = entries_untrusted(data)
                self._packed.unpack_entries(location, data, entries[: int(len(entries) * share)])

    # --- room ---------------------------------------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """Bytes that all files together may have."""
        return self._space.capacity

    @capacity.setter
    def capacity(self, capacity: int) -> None:
        """Set how many bytes all files together may have."""
        self._space.capacity = capacity

    @property
    def full(self) -> bool:
        """Whether the disk takes no more bytes, whatever its capacity."""
        return self._space.full

    @full.setter
    def full(self, full: bool) -> None:
        """Set whether the disk takes no more bytes."""
        self._space.full = full

    @property
    def ledger(self) -> Ledger:
        """The accounts of the node's boot."""
        return self._space.ledger

    @ledger.setter
    def ledger(self, ledger: Ledger) -> None:
        """Set the accounts, for another boot."""
        self._space.ledger = ledger

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return self._space.used

    @property
    def free(self) -> int:
        """Bytes that files may still grow by; holes count like other bytes, and grow on a full disk, too."""
        return self._space.free

    # --- files, for what works past the operations --------------------------------------------------------------------

    @property
    def live(self) -> Tree:
        """What is on the disk."""
        return self._tree.live

    @property
    def files(self) -> Mapping[Path, File]:
        """All files by their paths: the root, and the names below it."""
        return self._tree.live.files

    @property
    def folders(self) -> Set[Path]:
        """The paths of all folders but roots."""
        return self._tree.live.folders

    @property
    def stamps(self) -> dict[Path, FolderStamp]:
        """What folders have beside their names; one that is not there any more may still be among them."""
        return self._tree.stamps

    @property
    def numbers(self) -> Iterator[int]:
        """Inodes that nothing has yet."""
        return self._tree.numbers

    def paths(self) -> set[Path]:
        """Return the paths of all files."""
        return set(self.files)

    def get(self, location: ops.Location) -> bytes | None:
        """Return a file's content, or None if there is no such file."""
        file = self.files.get(path_of(location))
        return file.content() if file is not None else None

    def names_of(self, file: File) -> list[Path]:
        """Return the paths at which a file is, and those at which it was when these were last synced."""
        return self._tree.names_of(file)

    def sync_folder(self, folder: Path) -> None:
        """Make the entries of a folder durable."""
        self._tree.sync_folder(folder)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder; durable once the one above it is synced."""
        self._tree.remove_folder(path)

    def move_folder(self, path: Path, target: Path) -> None:
        """Move a folder in place of an empty one, if one is there; this is durable at once."""
        self._tree.move_folder(path, target)

    # --- from outside the simulated node ------------------------------------------------------------------------------

    def put(self, location: ops.Location, data: bytes, modified: int | None = None, target: str | None = None) -> None:
        """Write a file that was changed at that time in nanoseconds; None: now.

        With a `target` it is a link that leads there.
        """
        for other in self.files.values():  # a package of another manifest has the same large program
            if other.data == data:
                data = bytes(other.data)
                break
        file = new_file(data, self._time() if modified is None else modified)
        file.target = target
        self._tree.put(path_of(location), file)

    def put_folder(self, location: ops.Location) -> None:
        """Make a folder, and those above it."""
        self._tree.put_folder(path_of(location))

    def put_tree(self, location: ops.Location, items: FolderTree) -> None:
        """Make a whole folder."""
        self._packed.put_tree(path_of(location), items)

    def tree_of(self, location: ops.Location) -> FolderTree | None:
        """Return what is in a folder; None: there is none."""
        return self._packed.tree_of(path_of(location))

    def copy(self, clock: Callable[[], float]) -> SimDisk:
        """Return another disk with the same files; nothing of them is lost at a power cut."""
        other = SimDisk(clock, self.capacity)
        other.packages = dict(self.packages)
        for path in self.folders:
            other._tree.put_folder(path)
        for path, file in self.files.items():
            copied = new_file(file.content(), file.modified)
            copied.target = file.target
            other._tree.put(path, copied)
        return other

    def lose_unsynced(self, chance: Random) -> None:
        """Cut the power: only what was synced is left; `chance` draws which other sectors of databases are."""
        self._tree.lose_unsynced(chance)

    def clear(self) -> None:
        """Let go of everything; nothing is on it any more."""
        self.close_store()
        self._tree.clear()

    # --- databases ----------------------------------------------------------------------------------------------------

    def open_store(self, root: str, drives: str = "") -> Contents:
        """Open the store in the folder `root`, for a boot, and return what it holds; `drives` has those of packages."""
        contents = self._databases.open(root, drives)
        self._performers |= self._databases.performers
        return contents

    def close_store(self) -> None:
        """Let go of the store as a crash does: nothing more is written."""
        self._databases.close()

    def settle_store(self) -> None:
        """Take all that is in the store's log over into its file, as a real node does for a snapshot.

        Raises OSError.
        """
        self._databases.settle_store()

    def crash_store_after(self, writes: int | None) -> None:
        """Let the store crash after so many writes and syncs from its next opening on; None: it does not."""
        self._databases.crash_store_after(writes)

    def crash_databases_after(self, writes: int | None) -> None:
        """Let packages' databases crash after so many writes and syncs from the next boot on; None: they do not."""
        self._databases.crash_packages_after(writes)

    @property
    def database_files(self) -> DatabaseFiles:
        """The files of the store that is open."""
        return self._databases.store_files

    @property
    def package_files(self) -> DatabaseFiles:
        """The files of the packages' databases."""
        return self._databases.package_files

    @property
    def state_lengths(self) -> Mapping[str, int]:
        """The lengths of the saved states when the store was opened, by key."""
        return self._databases.state_lengths


def _beginning(data: Buffer, share: float) -> bytes:
    return bytes(data[: int(len(data) * share)])
