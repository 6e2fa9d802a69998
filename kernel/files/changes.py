"""Makes, removes, renames and links what paths name, with the checks of Linux in Linux's order.

Each function takes the drive, and for each path the folder where it begins; all raise DriveError.
"""

from __future__ import annotations

from typing import Any

from kernel.contract.drive import Drive, DriveError, Errno, FileKind
from kernel.files.paths import check_name, check_path, check_text, parent, without_slashes


def make_folder(drive: Drive, start: Any, path: str) -> None:
    """Make a folder (mkdirat)."""
    folder, name = parent(drive, start, without_slashes(path))
    _check_new(drive, folder, name)
    drive.make(folder, name, FileKind.FOLDER)


def make_link(drive: Drive, target: str, start: Any, path: str) -> None:
    """Make a link (symlinkat). Wasmtime makes none to an absolute path."""
    if target.startswith("/"):
        raise DriveError(Errno.PERM)
    folder, name = parent(drive, start, path)
    check_text(target + name)
    check_path(target)
    _check_new(drive, folder, name)
    drive.make(folder, name, FileKind.LINK, target)


def link(drive: Drive, start: Any, path: str, new_start: Any, new_path: str) -> None:
    """Give a file another name (linkat)."""
    folder, name = parent(drive, start, path)
    new_folder, new_name = parent(drive, new_start, new_path)
    check_text(name + new_name)
    node = folder if name == "." else _look_up(drive, folder, name)
    _check_new(drive, new_folder, new_name)
    if node.kind is FileKind.FOLDER:
        raise DriveError(Errno.PERM)
    drive.link(node, new_folder, new_name)


def remove_file(drive: Drive, start: Any, path: str) -> None:
    """Remove a file or link (unlinkat)."""
    folder, name = parent(drive, start, path)
    if name == "." or _look_up(drive, folder, name).kind is FileKind.FOLDER:
        raise DriveError(Errno.ISDIR)
    drive.remove(folder, name)


def remove_folder(drive: Drive, start: Any, path: str) -> None:
    """Remove an empty folder (unlinkat with AT_REMOVEDIR)."""
    folder, name = parent(drive, start, path)
    if name == ".":
        raise DriveError(Errno.INVAL)
    node = _look_up(drive, folder, name)
    if node.kind is not FileKind.FOLDER:
        raise DriveError(Errno.NOTDIR)
    if drive.entries(node):
        raise DriveError(Errno.NOTEMPTY)
    drive.remove(folder, name)


def rename(drive: Drive, start: Any, path: str, new_start: Any, new_path: str) -> None:
    """Move a file, link or folder; what is there already makes room, if it can (renameat)."""
    folder, name = parent(drive, start, without_slashes(path))
    new_folder, new_name = parent(drive, new_start, without_slashes(new_path))
    check_text(name + new_name)
    if "." in (name, new_name):
        raise DriveError(Errno.BUSY)
    node = _look_up(drive, folder, name)
    check_name(new_name)
    there = drive.find(new_folder, new_name)
    is_folder = node.kind is FileKind.FOLDER
    if not is_folder and (path.endswith("/") or new_path.endswith("/")):
        raise DriveError(Errno.NOTDIR)
    if is_folder and drive.contains(node, new_folder):
        raise DriveError(Errno.INVAL)
    if drive.is_gone(new_folder):
        raise DriveError(Errno.NOENT)
    if there is not None:
        if there.kind is FileKind.FOLDER and drive.contains(there, folder):
            raise DriveError(Errno.NOTEMPTY)
        if there is node:
            return
        _check_replaced(drive, node, there)
    drive.rename(folder, name, new_folder, new_name)


def _check_replaced(drive: Drive, node: Any, there: Any) -> None:
    is_folder = node.kind is FileKind.FOLDER
    if is_folder and there.kind is not FileKind.FOLDER:
        raise DriveError(Errno.NOTDIR)
    if not is_folder and there.kind is FileKind.FOLDER:
        raise DriveError(Errno.ISDIR)
    if is_folder and drive.entries(there):
        raise DriveError(Errno.NOTEMPTY)


def _look_up(drive: Drive, folder: Any, name: str) -> Any:
    check_name(name)
    node = drive.find(folder, name)
    if node is None:
        raise DriveError(Errno.NOENT)
    return node


def _check_new(drive: Drive, folder: Any, name: str) -> None:
    """Check that a name can be given."""
    check_name(name)
    if name == "." or drive.find(folder, name) is not None:
        raise DriveError(Errno.EXIST)
    if drive.is_gone(folder):
        raise DriveError(Errno.NOENT)
