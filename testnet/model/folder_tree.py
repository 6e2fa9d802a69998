"""A whole folder, as scenarios give it to nodes and look at what has arrived."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, TypeAlias

from nectar_node.packing.packed_folder import PackedKind


class TreeItem(NamedTuple):
    """One file, folder or link."""

    kind: PackedKind
    mode: int
    """Permissions; of a link, 0."""
    modified: int
    """Nanoseconds since 1970."""
    content: bytes = b""
    """Of a file its bytes, of a link where it leads."""


FolderTree: TypeAlias = dict[str, TreeItem]
"""By path from the folder on, which itself is the empty one; each folder before what is in it."""


def write_tree(folder: Path, tree: FolderTree) -> None:
    """Make a folder on the host's disk."""
    for path, item in tree.items():
        at = folder / path
        if item.kind is PackedKind.FOLDER:
            at.mkdir()
        elif item.kind is PackedKind.LINK:
            at.symlink_to(item.content.decode())
        else:
            at.write_bytes(item.content)
            at.chmod(item.mode)
    for path, item in reversed(tree.items()):
        os.utime(folder / path, ns=(item.modified, item.modified), follow_symlinks=False)
        if item.kind is PackedKind.FOLDER:
            (folder / path).chmod(item.mode)


def read_tree(folder: Path) -> FolderTree | None:
    """Return what is in a folder on the host's disk; None: there is none."""
    if not folder.is_dir():
        return None
    tree = dict[str, TreeItem]()
    for at in (folder, *sorted(folder.rglob("*"))):
        path, status = "" if at == folder else str(at.relative_to(folder)), at.lstat()
        if at.is_symlink():
            tree[path] = TreeItem(PackedKind.LINK, 0, status.st_mtime_ns, os.readlink(at).encode())
        elif at.is_dir():
            tree[path] = TreeItem(PackedKind.FOLDER, status.st_mode & 0o7777, status.st_mtime_ns)
        else:
            tree[path] = TreeItem(PackedKind.FILE, status.st_mode & 0o7777, status.st_mtime_ns, at.read_bytes())
    return tree
