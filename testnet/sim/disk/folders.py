"""What a simulated disk does with folders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel.contract.message import Buffer
from nectar_node.storage import operations as ops
from nectar_node.storage.steps import Work
from testnet.sim.disk.durable_tree import DurableTree, path_of
from testnet.sim.disk.file_content import File, new_file
from testnet.sim.disk.files import FileOperations
from testnet.sim.disk.refusals import (
    A_FOLDER,
    EXISTS,
    INTO_ITSELF,
    INVALID,
    NO_FOLDER,
    NOT_EMPTY,
    TOO_DEEP,
    TOO_MANY,
    RefusedError,
)
from testnet.sim.disk.space import Space, staged
from testnet.sim.disk.tree import Path, above


class FolderOperations:
    """Makes, lists, moves, copies and measures folders."""

    def __init__(self, tree: DurableTree, space: Space, time: Callable[[], int], files: FileOperations) -> None:
        """`time` gives the virtual time in nanoseconds since 1970; `files` knows the versions of contents."""
        self._tree = tree
        self._space = space
        self._time = time
        self._files = files
        self.performers: dict[type, Callable[[Any], ops.Outcome]] = {
            ops.MakeFolder: self.make_folder,
            ops.CreateFolder: self._create_folder,
            ops.Stat: self._stat,
            ops.ListFolder: self._list_folder,
            ops.Measure: self._measure,
            ops.Survey: self._survey,
            ops.RemoveFolder: self._remove_folder,
            ops.Rename: self._rename,
            ops.FreeSpace: self._free_space,
        }
        """Operations of one step."""
        self.in_steps: dict[type, Callable[[Any], Work]] = {ops.CopyFolder: self._copy_folder}
        """Operations of several steps."""

    def make_folder(self, operation: ops.MakeFolder) -> None:
        """Make a folder, and those above it that are not there."""
        path = path_of(operation.location)
        new = [folder for folder in (*above(path), path) if folder not in self._tree.live.folders]
        self.make_folders(path)
        for folder in new:
            self._tree.sync_folder(folder[:-1])

    def make_folders(self, path: Path) -> None:
        """Make a folder, and those above it; nothing is synced."""
        live = self._tree.live
        if any(each in live.files for each in (*above(path), path)):
            raise RefusedError(NO_FOLDER)
        for folder in (*above(path), path):
            if folder not in live.folders:
                self._space.account(folder).claim(0, 1)
                live.folders.add(folder)

    def _create_folder(self, operation: ops.CreateFolder) -> None:
        path = path_of(operation.location)
        self._tree.check_folder(path[:-1])
        if self._tree.is_there(path):
            raise RefusedError(EXISTS)
        self._space.account(path).claim(0, 1)
        self._tree.live.folders.add(path)
        self._tree.sync_folder(path[:-1])

    def _stat(self, operation: ops.Stat) -> ops.FileStat:
        if path_of(operation.location) in self._tree.live.folders:
            return ops.FileStat(ops.FileType.DIRECTORY, 0, 0)
        file = self._tree.entry(operation.location)
        size = len(file) if file.target is None else len(file.target.encode())
        return ops.FileStat(
            _type_of(file), size, file.modified, "" if file.target is not None else self._files.version(file)
        )

    def _list_folder(self, operation: ops.ListFolder) -> list[tuple[str, ops.FileType]]:
        path, live = path_of(operation.location), self._tree.live
        self._tree.check_folder(path)
        inside = [(p, _type_of(file)) for p, file in live.files.items()] + [
            (p, ops.FileType.DIRECTORY) for p in live.folders
        ]
        listed = sorted((p[-1], kind) for p, kind in inside if p[:-1] == path and p != path)
        if operation.limit is not None:
            return [each for each in listed if each[0] > operation.after and ops.is_part(each[0])][: operation.limit]
        if len(listed) > ops.MAX_LISTED:
            raise RefusedError(TOO_MANY)
        return listed

    def _remove_folder(self, operation: ops.RemoveFolder) -> None:
        path = path_of(operation.location)
        self._tree.check_folder(path)
        if not operation.recursive and any(each != path for each in self._tree.at_and_below(path)):
            raise RefusedError(NOT_EMPTY)
        size, files = self._tree.usage(path)
        self._space.account(path).settle(-size, -files)
        self._tree.remove_folder(path)
        if operation.synced:
            self._tree.sync_folder(path[:-1])

    def _rename(self, operation: ops.Rename) -> None:
        path, target = path_of(operation.location), path_of(operation.target)
        if path in self._tree.live.folders:
            self._rename_folder(path, target)
            return
        self._tree.entry(operation.location)
        self._tree.check_folder(target[:-1])
        if target in self._tree.live.folders:
            raise RefusedError(A_FOLDER)
        self._space.move(path, target)
        self._tree.move_file(path, target)

    def _rename_folder(self, path: Path, target: Path) -> None:
        live = self._tree.live
        self._tree.check_folder(target[:-1])
        if target in live.files:
            raise RefusedError(NO_FOLDER)
        if target == path:
            return
        if target[: len(path)] == path:
            raise RefusedError(INVALID)
        if any(each[:-1] == target for each in (*live.files, *live.folders)):
            raise RefusedError(NOT_EMPTY)
        self._space.move(path, target)
        self._tree.move_folder(path, target)

    def _free_space(self, operation: ops.FreeSpace) -> int:
        return self._space.ledger.account_of(operation.location).growth(self._space.room, self._space.capacity)

    def _measure(self, operation: ops.Measure) -> ops.Counted:
        path = path_of(operation.location)
        below = self._tree.usage(path)
        drives = ops.Usage(below.bytes, below.files - (path in self._tree.live.folders))
        counted = self._space.ledger.account(operation.package).count(drives)
        return ops.Counted(*counted, self._space.free, self._space.capacity)

    def _survey(self, operation: ops.Survey) -> ops.Surveyed:
        drives, live = operation.location.root, self._tree.live
        names = {name for root, name, *_ in (*live.files, *live.folders) if root == drives}
        packages = sorted(names | self._space.ledger.with_states)
        return ops.Surveyed(packages, self._space.free, self._space.capacity)

    # --- copies -------------------------------------------------------------------------------------------------------

    def _copy_folder(self, operation: ops.CopyFolder) -> Work:
        path, target = path_of(operation.location), path_of(operation.target)
        if target[: len(path)] == path:
            raise RefusedError(INTO_ITSELF)
        self._tree.check_folder(target[:-1])
        for _block in self._check_copy(path, target):
            yield
        self._check_copy(path, target)
        usage = self._tree.usage(path)
        self._space.forget_unfinished(staged(target))
        self._space.reserve(self._space.account(target), usage.bytes, usage.bytes, usage.files)
        self._place_copy(path, target, 1.0)
        self._tree.sync_new(target)
        return None

    def copy_in_part(self, path: Path, target: Path, share: float) -> None:
        """Copy a part of a folder, which never gets its name."""
        unfinished = staged(target)
        self._check_copy(path, target)
        self._tree.check_folder(unfinished[:-1])
        self._space.forget_unfinished(unfinished)
        usage, account = self._tree.usage(path), self._space.account(unfinished)
        self._space.reserve(account, usage.bytes, usage.bytes, usage.files)
        self._place_copy(path, unfinished, share)
        left = self._tree.usage(unfinished)
        account.settle(left.bytes - usage.bytes, left.files - usage.files)
        self._space.leave_unfinished(unfinished)

    def _check_copy(self, path: Path, target: Path) -> list[Buffer]:
        """Check that a folder can be copied; return what its files hold, block by block."""
        if self._tree.is_there(target):
            raise RefusedError(EXISTS)
        self._tree.check_folder(path)
        below, files = self._tree.at_and_below(path), self._tree.live.files
        if max(map(len, below), default=0) - len(path) > ops.MAX_DEPTH - (len(target) - 1):
            raise RefusedError(TOO_DEEP)
        for each in below:
            if each in files and files[each].target is not None:
                text = f"{each[-1][:100]!r} in it is neither a file nor a folder"
                raise RefusedError(ops.DiskError(ops.DiskFault.OTHER, text))
        return [block for each in below if each in files for block in files[each].blocks()]

    def _place_copy(self, path: Path, target: Path, share: float) -> None:
        """Put a copy of the first `share` of a folder in its place, synced."""
        live, depth = self._tree.live, len(path)
        live.folders.update([target + each[depth:] for each in live.folders if each[:depth] == path])
        files = [each for each in live.files if each[:depth] == path]
        for each in files[: int(len(files) * share)]:
            copy = new_file(live.files[each].data, self._time())
            copy.set_length(len(live.files[each]))
            copy.sync()
            live.files[target + each[depth:]] = copy


def _type_of(file: File) -> ops.FileType:
    return ops.FileType.FILE if file.target is None else ops.FileType.SYMLINK
