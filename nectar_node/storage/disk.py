"""The real disk: carries out one operation, blocking, on whatever thread calls it, at once or step by step.

Every path is opened component by component from its root without following links, so that no link inside a drive leads
out of it. Operations that change the number or length of a package's files update the package's account (`ledger`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from typing import Any

from nectar_node.base import log
from nectar_node.base.descriptors import insist
from nectar_node.storage import folder_packing, removing, whole_files
from nectar_node.storage import long_operations as long
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import BadArchive
from nectar_node.storage.database import Database
from nectar_node.storage.folder_copies import copy_folder
from nectar_node.storage.ledger import Ledger, fitting
from nectar_node.storage.opened import (
    folder_of,
    growing,
    is_settled,
    make_folder_in,
    make_folders,
    opened,
    size_in,
    version_of,
    write_all,
)
from nectar_node.storage.package_databases import PackageDatabases
from nectar_node.storage.steps import Steps, Work

_FAULTS = {
    errno.ENOENT: ops.DiskFault.NOT_FOUND,
    errno.ENOTDIR: ops.DiskFault.NOT_FOUND,
    errno.EACCES: ops.DiskFault.NOT_PERMITTED,
    errno.EPERM: ops.DiskFault.NOT_PERMITTED,
    errno.EROFS: ops.DiskFault.NOT_PERMITTED,
    errno.ELOOP: ops.DiskFault.NOT_PERMITTED,
    errno.ENOSPC: ops.DiskFault.FULL,
    errno.EDQUOT: ops.DiskFault.FULL,
    errno.EFBIG: ops.DiskFault.FULL,
    errno.EEXIST: ops.DiskFault.EXISTS,
}
_NOTHING_COUNTS = Ledger()


def perform(
    operation: ops.Operation,
    ledger: Ledger = _NOTHING_COUNTS,
    database: Database | None = None,
    databases: PackageDatabases | None = None,
) -> ops.Outcome:
    """Carry out `operation` and return its outcome; a refusal of the disk is an outcome, not an exception.

    `database` is the node's store, and `databases` are those of packages, for the operations on them.
    """
    try:
        if isinstance(operation, ops.Commit):
            assert database is not None
            return insist(partial(_commit, operation, ledger, database))
        if isinstance(operation, ops.ReadState):
            assert database is not None
            return insist(partial(database.state, operation.key))
        if databases is not None and (on_database := databases.performers.get(type(operation))) is not None:
            return on_database(operation)
        return insist(lambda: _carry_out(operation, ledger))
    except Exception as error:
        return _refusal(operation, error)


def _carry_out(operation: ops.Operation, ledger: Ledger) -> ops.Outcome:
    forget_hashes(operation, ledger)
    short = _SHORT.get(type(operation))
    if short is not None:
        return short(operation, ledger)
    work = _IN_STEPS[type(operation)](operation, ledger)
    while True:
        try:
            next(work)
        except StopIteration as end:
            outcome: ops.Outcome = end.value
            return outcome


def begin(operation: ops.Operation, ledger: Ledger, databases: PackageDatabases | None = None) -> Steps:
    """Begin `operation`, to be carried out step by step: nothing is done before the first step."""
    work = None if databases is None else databases.begin(operation)
    return Steps(work or _begin(operation, ledger), lambda error: _refusal(operation, error))


def forget_hashes(operation: ops.Operation, ledger: Ledger) -> None:
    """Forget the running hash of a file that `operation` may change without going on with it: within a tick of the
    clock its version could stay the same.
    """
    if ops.may_change(operation) and not (isinstance(operation, ops.WriteAt) and operation.hashed):
        ledger.hashes.forget(operation.location)
        if isinstance(operation, ops.Rename | ops.Copy):
            ledger.hashes.forget(operation.target)


def _begin(operation: ops.Operation, ledger: Ledger) -> Work:
    forget_hashes(operation, ledger)
    in_steps = _IN_STEPS.get(type(operation))
    if in_steps is not None:
        return (yield from in_steps(operation, ledger))
    return _SHORT[type(operation)](operation, ledger)


def _refusal(operation: ops.Operation, error: Exception) -> ops.DiskError:
    if isinstance(error, OSError):
        fault = _FAULTS.get(error.errno or 0, ops.DiskFault.OTHER)
        return ops.DiskError(fault, error.strerror or str(error))
    if isinstance(error, BadArchive):
        return ops.DiskError(ops.DiskFault.BAD_ARCHIVE, f"the archive {error}")
    # Guests shape files and folders as they like, and this runs in a task of the node: a failure that nobody has
    # foreseen ends the requester's operation, not those of all others.
    kind = type(operation).__name__
    log.write_line("disk", f"{kind} of {operation.location} failed unforeseen, please report it: {error!r}")
    return ops.DiskError(ops.DiskFault.OTHER, "the node could not do it: its log says why")


def _commit(operation: ops.Commit, ledger: Ledger, database: Database) -> ops.LeftOut | None:
    states, no_room = operation.states, None
    if states:
        states, no_room = fitting(states, ledger, *long.disk_space(operation.location.root))
    database.commit(operation.rows, states)
    return no_room


def _append(operation: ops.Append, ledger: Ledger) -> int:
    size = len(operation.data)
    with opened(operation.location, os.O_WRONLY | os.O_APPEND) as file:
        with growing(ledger.account_of(operation.location), file, file.length + size, size):
            if (preserver := ledger.preserver_of(operation.location)) is not None:
                preserver.extending(file.descriptor)
            write_all(file.descriptor, operation.data)
        return os.fstat(file.descriptor).st_size


def _create(operation: ops.Create, ledger: Ledger) -> None:
    account = ledger.account_of(operation.location)
    with folder_of(operation.location) as (folder, name):
        before = size_in(folder, name)
        account.claim(0, before is None)
        try:
            with opened(operation.location, os.O_WRONLY | os.O_CREAT) as file:
                if (preserver := ledger.preserver_of(operation.location)) is not None and before is None:
                    preserver.made(file.descriptor)
                if operation.cut_off and file.length:
                    if preserver is not None:
                        preserver.cutting(file.descriptor, 0)
                    os.ftruncate(file.descriptor, 0)
                account.settle(-(before or 0) if operation.cut_off else 0)
        except OSError:
            account.settle(0, -(before is None))
            raise


def _create_folder(operation: ops.CreateFolder, ledger: Ledger) -> None:
    with folder_of(operation.location) as (folder, name):
        make_folder_in(folder, name, ledger.account_of(operation.location), synced=True)


def _make_folder(operation: ops.MakeFolder, ledger: Ledger) -> None:
    make_folders(operation.location, ledger, synced=True)


_TYPES = {
    stat.S_IFREG: ops.FileType.FILE,
    stat.S_IFDIR: ops.FileType.DIRECTORY,
    stat.S_IFLNK: ops.FileType.SYMLINK,
}


def _stat(operation: ops.Stat, _: Ledger) -> ops.FileStat:
    with folder_of(operation.location) as (folder, name):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = _TYPES.get(stat.S_IFMT(found.st_mode), ops.FileType.OTHER)
    version = version_of(found) if kind is ops.FileType.FILE and is_settled(found) else ""
    return ops.FileStat(kind, found.st_size, found.st_mtime_ns, version)


def _remove_file(operation: ops.RemoveFile, ledger: Ledger) -> None:
    with folder_of(operation.location) as (folder, name):
        size = size_in(folder, name)
        if (preserver := ledger.preserver_of(operation.location)) is not None:
            preserver.leaving(folder, name, for_good=True)
        os.unlink(name, dir_fd=folder)
        ledger.account_of(operation.location).settle(-(size or 0), -1)
        if operation.synced:
            os.fsync(folder)


def _set_length(operation: ops.SetLength, ledger: Ledger) -> None:
    account, length = ledger.account_of(operation.location), operation.length
    with opened(operation.location, os.O_WRONLY) as file:
        with growing(account, file, length, max(0, length - file.length)):
            if (preserver := ledger.preserver_of(operation.location)) is not None:
                preserver.cutting(file.descriptor, length)
            os.ftruncate(file.descriptor, length)
        account.settle(min(0, length - file.length))


def _sync(operation: ops.Sync, _: Ledger) -> None:
    with opened(operation.location, os.O_RDONLY) as file:
        os.fsync(file.descriptor)
    with folder_of(operation.location) as (folder, _name):
        os.fsync(folder)  # a new file is in it only then


def _free_space(operation: ops.FreeSpace, ledger: Ledger) -> int:
    disk = os.statvfs(operation.location.root)
    account = ledger.account_of(operation.location)
    return account.growth(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


def _extend(operation: ops.Extend, _: Ledger) -> None:
    """Extend one of the node's own files: packages have no such operation."""
    with opened(operation.location, os.O_WRONLY) as file:
        if file.length < operation.length:
            raise FileNotFoundError(errno.ENOENT, "the file is shorter than it was")
        os.ftruncate(file.descriptor, operation.length)
        os.lseek(file.descriptor, operation.length, os.SEEK_SET)
        write_all(file.descriptor, operation.data)
        os.fsync(file.descriptor)


_SHORT: dict[type, Callable[[Any, Ledger], ops.Outcome]] = {
    ops.Create: _create,
    ops.MakeFolder: _make_folder,
    ops.Stat: _stat,
    ops.RemoveFile: _remove_file,
    ops.SetLength: _set_length,
    ops.Sync: _sync,
    ops.FreeSpace: _free_space,
    ops.Extend: _extend,
    ops.Append: _append,
    ops.CreateFolder: _create_folder,
}
_IN_STEPS: dict[type, Callable[[Any, Ledger], Work]] = {
    ops.ReadAt: long.read_at,
    ops.WriteAt: long.write_at,
    ops.ListFolder: long.list_folder,
    ops.RemoveFolder: removing.remove_folder,
    ops.Rename: long.rename,
    ops.Hash: whole_files.hash_file,
    ops.Replace: whole_files.replace,
    ops.Copy: whole_files.copy,
    ops.CopyFolder: copy_folder,
    ops.Unpack: whole_files.unpack,
    ops.StatPacked: folder_packing.stat_packed,
    ops.ReadPacked: folder_packing.read_packed,
    ops.HashPacked: folder_packing.hash_packed,
    ops.UnpackFolder: folder_packing.unpack_folder,
    ops.Measure: long.measure,
    ops.Survey: long.survey,
}
