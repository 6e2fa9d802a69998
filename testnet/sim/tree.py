"""What is on a simulated disk, by path, and which folder is which whatever it is called; folders as one file, as
`nectar_node.storage.folder_packing` has them on a real disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from kernel.contract.drive import FileKind
from nectar_node.packing import packed_folder as packing
from nectar_node.packing.packed_folder import BadPackedFolder, PackedEntry, PackedFolder, PackedKind
from nectar_node.storage.archive import BadArchive
from nectar_node.storage.names import why_refused
from testnet.model.folder_tree import FolderTree, TreeItem
from testnet.sim.file_content import File, new_file

Path = tuple[str, ...]
"""A disk's root, and the names below it."""


@dataclass(slots=True, eq=False)
class Folder:
    """A folder that a guest has looked at."""

    path: Path | None
    """Where it is now; None: it was removed."""
    number: int
    """Its inode."""
    modified: int = 0
    accessed: int | None = None
    """As a guest has set it; None: like `modified`."""

    @property
    def kind(self) -> FileKind:
        """What it is."""
        return FileKind.FOLDER


class Folders:
    """The folders that guests have looked at, by their paths: they stay the same ones under another name."""

    def __init__(self, numbers: Iterator[int]) -> None:
        """`numbers` gives inodes."""
        self._numbers = numbers
        self._folders: dict[Path, Folder] = {}

    def at(self, path: Path) -> Folder:
        """Return the folder that is there."""
        found = self._folders.get(path)
        if found is None:
            found = self._folders[path] = Folder(path, next(self._numbers))
        return found

    def move(self, old: Path, new: Path) -> None:
        """Move those at `old` and below it."""
        for path in self._below(old):
            folder = self._folders.pop(path)
            folder.path = new + path[len(old) :]
            self._folders[folder.path] = folder

    def remove(self, path: Path) -> None:
        """Remove those at `path` and below it."""
        for each in self._below(path):
            self._folders.pop(each).path = None

    def _below(self, path: Path) -> list[Path]:
        return [each for each in self._folders if each[: len(path)] == path]


@dataclass(slots=True)
class Tree:
    """Files and folders by their paths; a link is among the files."""

    files: dict[Path, File] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)
    seen: Folders = field(default_factory=lambda: Folders(count(1)))
    """Of the folders, those that guests have looked at."""

    def move(self, old: Path, new: Path) -> None:
        """Move all that is at `old` and below it."""
        self.seen.remove(new)
        self.seen.move(old, new)
        self.files = {_moved(each, old, new): file for each, file in self.files.items()}
        self.folders = {_moved(each, old, new) for each in self.folders}

    def remove(self, path: Path) -> None:
        """Remove all that is at `path` and below it."""
        self.seen.remove(path)
        self.files = {each: file for each, file in self.files.items() if each[: len(path)] != path}
        self.folders = {each for each in self.folders if each[: len(path)] != path}


def _moved(path: Path, old: Path, new: Path) -> Path:
    return new + path[len(old) :] if path[: len(old)] == old else path


# --- folders as one file ----------------------------------------------------------------------------------------------


class FolderStamp(NamedTuple):
    """What a folder has beside its name."""

    mode: int
    modified: int
    """Nanoseconds since 1970."""


def look_into(tree: Tree, path: Path, stamps: dict[Path, FolderStamp]) -> tuple[PackedFolder, str]:
    """Return what is in a folder, and what of it is left out; raises BadPackedFolder."""
    left_out, entries = packing.LeftOutOfFolder(), list[PackedEntry]()
    below = [each for each in (*tree.files, *tree.folders) if each[: len(path)] == path]
    for each in sorted(below):
        if each != path and (why := why_refused(each[-1])) is not None:
            name = packing.shown("/".join(each[len(path) :]))
            raise BadPackedFolder(f"a file in it, {name}, has a name that cannot be sent: it {why}")
        entry = _entry(tree, each, path, stamps)
        if entry.kind is PackedKind.LINK and packing.leads_out(entry.path, entry.target):
            left_out.add(entry.path, packing.LINKS_OUT)
        else:
            entries.append(entry)
    return packing.pack(entries), left_out.sentence()


def _entry(tree: Tree, path: Path, root: Path, stamps: dict[Path, FolderStamp]) -> PackedEntry:
    name, file = "/".join(path[len(root) :]), tree.files.get(path)
    if file is None:
        return PackedEntry(name, PackedKind.FOLDER, *stamps.get(path, FolderStamp(0o700, 0)))
    kind = PackedKind.FILE if file.target is None else PackedKind.LINK
    return PackedEntry(name, kind, file.mode, file.modified, len(file), file.target or "")


def read_packed(packed: PackedFolder, tree: Tree, path: Path, offset: int, length: int) -> bytes:
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
    except BadPackedFolder as error:
        raise BadArchive(f"is refused: {error.strerror}") from error
    if packed.length != len(file):
        raise BadArchive(f"is refused: it is {len(file)} bytes long, and not {packed.length}")
    if len(packed.entries) > most:
        raise BadArchive(f"is refused: it has more than the {most} files and folders that it was to have")
    return packed


def place_unpacked(
    entries: Iterable[PackedEntry],
    packed: PackedFolder,
    file: File,
    tree: Tree,
    target: Path,
    stamps: dict[Path, FolderStamp],
) -> None:
    """Put these entries of a packed folder below `target`, with synced contents."""
    position = len(packed.head)
    for entry in entries:
        path = (*target, *entry.path.split("/")) if entry.path else target
        if entry.kind is PackedKind.FOLDER:
            tree.folders.add(path)
            stamps[path] = FolderStamp(entry.mode, entry.modified)
            continue
        made = new_file(file.read(position, entry.size), entry.modified)
        made.mode = entry.mode
        made.target = entry.target or None
        position += entry.size
        tree.files[path] = made


def put_tree(tree: Tree, kept: Tree, stamps: dict[Path, FolderStamp], root: Path, items: FolderTree) -> None:
    """Make a folder from outside the simulated node, durable."""
    for name, item in items.items():
        path = (*root, *name.split("/")) if name else root
        if item.kind is PackedKind.FOLDER:
            stamps[path] = FolderStamp(item.mode, item.modified)
            for each in (tree, kept):
                each.folders.update(path[:length] for length in range(2, len(path) + 1))
            continue
        file = new_file(b"" if item.kind is PackedKind.LINK else item.content, item.modified)
        file.mode = item.mode
        file.target = item.content.decode() if item.kind is PackedKind.LINK else None
        tree.files[path] = kept.files[path] = file


def tree_of(tree: Tree, stamps: dict[Path, FolderStamp], root: Path) -> FolderTree | None:
    """Return what is in a folder; None: there is none."""
    if root not in tree.folders:
        return None
    found: FolderTree = {}
    below = [each for each in (*tree.files, *tree.folders) if each[: len(root)] == root]
    for entry in (_entry(tree, each, root, stamps) for each in sorted(below)):
        content = entry.target.encode()
        if entry.kind is PackedKind.FILE:
            content = tree.files[(*root, *entry.path.split("/"))].content()
        mode = 0 if entry.kind is PackedKind.LINK else entry.mode
        found[entry.path] = TreeItem(entry.kind, mode, entry.modified, content)
    return found
