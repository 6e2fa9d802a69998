"""Folders of a simulated disk as one file, as `nectar_node.storage.folder_packing` has it on a real one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nectar_node.packing import packed_folder as packing
from nectar_node.packing.packed_folder import BadFolder, Entry, Kind, PackedFolder
from nectar_node.storage.archive import BadArchive
from nectar_node.storage.names import why_refused
from testnet.model.folder_tree import FolderTree, TreeItem
from testnet.sim.file_content import File, new_file
from testnet.sim.tree import Path, Tree


class Stamp(NamedTuple):
    """What a folder has beside its name."""

    mode: int
    modified: int
    """Nanoseconds since 1970."""


def look(tree: Tree, path: Path, stamps: dict[Path, Stamp]) -> tuple[PackedFolder, str]:
    """Return what is in a folder, and what of it is left out; raises BadFolder."""
    left_out, entries = packing.LeftOut(), list[Entry]()
    below = [each for each in (*tree.files, *tree.folders) if each[: len(path)] == path]
    for each in sorted(below):
        if each != path and (why := why_refused(each[-1])) is not None:
            name = packing.shown("/".join(each[len(path) :]))
            raise BadFolder(f"a file in it, {name}, has a name that cannot be sent: it {why}")
        entry = _entry(tree, each, path, stamps)
        if entry.kind is Kind.LINK and packing.leads_out(entry.path, entry.target):
            left_out.add(entry.path, packing.LINKS_OUT)
        else:
            entries.append(entry)
    return packing.pack(entries), left_out.sentence()


def _entry(tree: Tree, path: Path, root: Path, stamps: dict[Path, Stamp]) -> Entry:
    name, file = "/".join(path[len(root) :]), tree.files.get(path)
    if file is None:
        return Entry(name, Kind.FOLDER, *stamps.get(path, Stamp(0o700, 0)))
    kind = Kind.FILE if file.target is None else Kind.LINK
    return Entry(name, kind, file.mode, file.modified, len(file), file.target or "")


def read(packed: PackedFolder, tree: Tree, path: Path, offset: int, length: int) -> bytes:
    """Return bytes of a folder as one file."""
    data = bytearray()
    for piece in packed.pieces(offset, length):
        if piece.entry is None:
            data += packed.head[piece.offset : piece.offset + piece.length]
        else:
            data += tree.files[(*path, *piece.entry.path.split("/"))].read(piece.offset, piece.length)
    return bytes(data)


def unpacked_untrusted(file: File, most: int) -> PackedFolder:
    """Return what is in a file that is a packed folder of at most so many entries; raises BadArchive."""
    try:
        head = file.read(0, packing.head_bytes_untrusted(file.read(0, packing.FRAME_BYTES)))
        packed = packing.decode_untrusted(head, why_refused)
    except BadFolder as error:
        raise BadArchive(f"is refused: {error.strerror}") from error
    if packed.length != len(file):
        raise BadArchive(f"is refused: it is {len(file)} bytes long, and not {packed.length}")
    if len(packed.entries) > most:
        raise BadArchive(f"is refused: it has more than the {most} files and folders that it was to have")
    return packed


def place(
    entries: Iterable[Entry], packed: PackedFolder, file: File, tree: Tree, target: Path, stamps: dict[Path, Stamp]
) -> None:
    """Put these entries of a packed folder below `target`, with synced contents."""
    position = len(packed.head)
    for entry in entries:
        path = (*target, *entry.path.split("/")) if entry.path else target
        if entry.kind is Kind.FOLDER:
            tree.folders.add(path)
            stamps[path] = Stamp(entry.mode, entry.modified)
            continue
        made = new_file(file.read(position, entry.size), entry.modified)
        made.mode = entry.mode
        made.target = entry.target or None
        position += entry.size
        tree.files[path] = made


def put_tree(tree: Tree, kept: Tree, stamps: dict[Path, Stamp], root: Path, items: FolderTree) -> None:
    """Make a folder from outside the simulated node, durable."""
    for name, item in items.items():
        path = (*root, *name.split("/")) if name else root
        if item.kind is Kind.FOLDER:
            stamps[path] = Stamp(item.mode, item.modified)
            for each in (tree, kept):
                each.folders.update(path[:length] for length in range(2, len(path) + 1))
            continue
        file = new_file(b"" if item.kind is Kind.LINK else item.content, item.modified)
        file.mode = item.mode
        file.target = item.content.decode() if item.kind is Kind.LINK else None
        tree.files[path] = kept.files[path] = file


def tree_of(tree: Tree, stamps: dict[Path, Stamp], root: Path) -> FolderTree | None:
    """Return what is in a folder; None: there is none."""
    if root not in tree.folders:
        return None
    found: FolderTree = {}
    below = [each for each in (*tree.files, *tree.folders) if each[: len(root)] == root]
    for entry in (_entry(tree, each, root, stamps) for each in sorted(below)):
        content = entry.target.encode()
        if entry.kind is Kind.FILE:
            content = tree.files[(*root, *entry.path.split("/"))].content()
        mode = 0 if entry.kind is Kind.LINK else entry.mode
        found[entry.path] = TreeItem(entry.kind, mode, entry.modified, content)
    return found
