"""Removes folders of the real disk with all that is in them, in steps, and keeps what a snapshot still has."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from nectar_node.storage import operations as ops
from nectar_node.storage import steps
from nectar_node.storage.ledger import DiskAccount, Ledger
from nectar_node.storage.opened import FOLDER, folder_of, size_in
from nectar_node.storage.preserving import Preserver
from nectar_node.storage.steps import Work

_LISTED_AT_ONCE = 10_000
"""Entries that are read in one listing of a folder that is being emptied."""
_MOST_LISTINGS = 1_000_000
"""Listings of a folder that is being emptied: somebody may add to it meanwhile, without end."""
DEEPEST = 256
"""Nesting of folders that are counted; the vfs makes none so deep."""


def remove_folder(operation: ops.RemoveFolder, ledger: Ledger) -> Work:
    """Remove a folder (`RemoveFolder`)."""
    account = ledger.account_of(operation.location)
    with folder_of(operation.location) as (folder, name):
        if operation.recursive:
            yield from empty(folder, name, account, operation.location, ledger)
        os.rmdir(name, dir_fd=folder)
        account.settle(0, -1)
        if operation.synced:
            os.fsync(folder)
    return None


def empty(folder: int, name: str, account: DiskAccount, location: ops.Location, ledger: Ledger) -> Iterator[None]:
    """Remove all that is in a folder, however deep.

    A folder in a folder is first moved up beside the outermost ones. So neither the stack nor the descriptors grow with
    the depth, and there is no path back up that somebody could redirect meanwhile.
    """
    unique = os.urandom(8).hex()
    names = (f".{unique}.{number}" for number in count())
    removing = _Removing(account, location, ledger)
    outer = os.open(name, FOLDER, dir_fd=folder)
    try:
        for number, (each, is_folder) in enumerate(_listed_anew(outer), 1):
            if is_folder:
                yield from _move_up(outer, each, names, removing)
                os.rmdir(each, dir_fd=outer)
                removing.account.settle(0, -1)
            else:
                removing.unlink(outer, each)
            if not number % steps.ENTRIES:
                yield
    finally:
        os.close(outer)


def _move_up(outer: int, name: str, names: Iterator[str], removing: _Removing) -> Iterator[None]:
    """Remove all files in a folder, and move the folders in it to its own, under `names`."""
    inner = os.open(name, FOLDER, dir_fd=outer)
    try:
        for number, (each, is_folder) in enumerate(_listed_anew(inner), 1):
            if is_folder:
                yield from removing.below.keep()
                os.rename(each, next(names), src_dir_fd=inner, dst_dir_fd=outer)
            else:
                removing.unlink(inner, each)
            if not number % steps.ENTRIES:
                yield
    finally:
        os.close(inner)


class _Removing:
    """How all that is in a folder is removed."""

    def __init__(self, account: DiskAccount, location: ops.Location, ledger: Ledger) -> None:
        self.account = account
        self.below = Below(location, ledger)
        self._location = location
        self._ledger = ledger

    def unlink(self, folder: int, name: str) -> None:
        """Remove a file."""
        size = size_in(folder, name)
        if (preserver := self._ledger.preserver_of(self._location)) is not None:
            preserver.leaving(folder, name, for_good=True)
        os.unlink(name, dir_fd=folder)
        self.account.settle(-(size or 0), -1)


class Below:
    """All files in a folder that is about to lose its name, and its folders theirs."""

    def __init__(self, location: ops.Location, ledger: Ledger) -> None:
        self._location = location
        self._ledger = ledger
        self._kept: Preserver | None = None

    def keep(self) -> Iterator[None]:
        """Keep the files for the snapshot that there is, if they are not yet: it may have begun between two steps."""
        while (preserver := self._ledger.preserver_of(self._location)) not in (None, self._kept):
            assert preserver is not None
            self._kept = preserver
            try:
                yield from self._keep(preserver)
            except OSError as error:  # the snapshot's misfortune, and not the operation's
                preserver.fail(f"a folder that went away cannot be kept: {error.strerror}")

    def _keep(self, preserver: Preserver) -> Iterator[None]:
        root, parts = self._location
        folders: list[tuple[str, ...]] = [()]
        while folders:
            below = folders.pop()
            if len(below) > DEEPEST:
                return preserver.fail("a folder that went away has too many folders in each other")
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                folder_of(ops.Location(root, (*parts, *below, "."))) as (folder, _),
                os.scandir(folder) as entries,
            ):
                for number, entry in enumerate(entries, 1):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((*below, entry.name))
                    else:
                        preserver.leaving(folder, entry.name, for_good=False)
                    if not number % steps.ENTRIES:
                        yield
            yield


def _listed_anew(folder: int) -> Iterator[tuple[str, bool]]:
    """Yield what is in a folder, and whether each is a folder, until it is empty; the caller removes each.

    A few are read at a time: a folder that changes while it is read may hold back some, and one can be large.
    """
    for _ in range(_MOST_LISTINGS):
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(entries, _LISTED_AT_ONCE)]
        if not found:
            return
        yield from found
    raise OSError(errno.EBUSY, "the folder does not get empty")


def remove_unfinished_bodies(drives: Path) -> None:
    """Remove from the folder of all drives what browsers were sending to packages when the node went down
    (`operations.BODIES`), before anything runs. No link is followed.
    """
    with contextlib.suppress(OSError), os.scandir(drives) as packages:
        for package in packages:
            if package.is_dir(follow_symlinks=False):
                shutil.rmtree(os.path.join(package.path, ops.BODIES), ignore_errors=True)
