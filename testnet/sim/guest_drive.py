"""A guest's drive in a simulation: its package's folder on the simulated disk, as WASI sees it.

It is the tree that `vfs:distro:sys` works on. As on a real node, nobody asks a package's account before WASI writes:
the package is counted while its guests run, and these are ended when it has too much (`nectar_node.core.disk_use`).
What is refused at once is what the disk cannot take. Since computing takes no virtual time, a guest could fill the
host's memory before it is counted, so a drive takes MOST_BYTES and MOST_FILES, no deeper than MOST_DEPTH: from there on
the disk is full to it.

A power cut leaves of a file what was synced last. Its names are durable from then on, too, with whatever else is in the
folders on the way, as with file systems that have a journal: WASI preview 1 cannot sync a folder. Whatever a guest
does to names is undone until then, but for a folder's new name, which is durable at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from kernel.contract.drive import DriveError, Errno, FileFacts, FileKind
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk.file_content import File
from testnet.sim.disk.tree import Folder, Path

MOST_BYTES = 256 << 20
"""Bytes of the host's memory that the files of a drive may take when a guest writes. A hole counts, as far as something
lies behind it, and what was synced is there twice."""
MOST_FILES = 120_000
"""Files and folders of a drive that a guest may add to, more than the usual quota: each takes a kilobyte of the host's
memory, or two."""
MOST_DEPTH = 256
"""Folders within each other, as many as a real node counts: a path is kept whole for each file."""
_BYTES_AT_ONCE = 16 << 20
_FILES_AT_ONCE = 1000
"""What may be added before the drive is counted again."""
_FOLDER_BYTES = 4096
"""The size of a folder, as ext4 has it for a small one."""

Node: TypeAlias = File | Folder


class GuestDrive:
    """A `kernel.contract.drive.Drive`."""

    def __init__(self, disk: SimDisk, path: Path, clock: Callable[[], int]) -> None:
        """`path` is the package's folder; `clock` gives nanoseconds since 1970."""
        self._disk = disk
        self._path = path
        self._clock = clock
        self._bytes_left = 0
        self._files_left = 0
        """What may still be added without counting."""

    def root(self) -> Folder:
        """Return the package's folder."""
        return self._disk.live.seen.at(self._path)

    def find(self, folder: Folder, name: str) -> Node | None:
        """Return what has that name in a folder, or None."""
        if folder.path is None:
            return None
        return self._at((*folder.path, name))

    def _at(self, path: Path) -> Node | None:
        live = self._disk.live
        if path in live.folders:
            return live.seen.at(path)
        return live.files.get(path)

    def entries(self, folder: Folder) -> list[tuple[str, Node]]:
        """Return names and nodes in a folder, by name."""
        live, path = self._disk.live, folder.path
        if path is None:
            return []
        depth = len(path)
        inside = [each for each in (*live.files, *live.folders) if len(each) == depth + 1 and each[:depth] == path]
        nodes = [(each[-1], self._at(each)) for each in sorted(inside)]
        return [(name, node) for name, node in nodes if node is not None]

    def is_gone(self, folder: Folder) -> bool:
        """Whether a folder was removed."""
        return folder.path is None

    def contains(self, folder: Folder, other: Folder) -> bool:
        """Whether the folder `other` is `folder` or lies below it."""
        above, below = folder.path, other.path
        return above is not None and below is not None and below[: len(above)] == above

    def number(self, node: Node) -> int:
        """Return a node's inode."""
        node.number = node.number or next(self._disk.numbers)
        return node.number

    def length(self, file: File) -> int:
        """Return how many bytes a file has."""
        return len(file)

    def facts(self, node: Node) -> FileFacts:
        """Describe a node."""
        if isinstance(node, Folder):
            links, size = int(node.path is not None), _FOLDER_BYTES
        else:
            links = sum(each is node for each in self._disk.live.files.values())
            size = len(node) if node.target is None else len(node.target.encode())
        accessed = node.modified if node.accessed is None else node.accessed
        return FileFacts(self.number(node), links, size, accessed, node.modified, node.modified)

    def target(self, link: File) -> str:
        """Return where a link leads."""
        assert link.target is not None
        return link.target

    def read(self, file: File, offset: int, length: int) -> bytes:
        """Return bytes of a file from `offset` on; fewer at its end."""
        return file.read(offset, length)

    def write(self, file: File, offset: int, data: memoryview) -> None:
        """Write into a file; raises DriveError if the disk has no room."""
        end = offset + len(data)
        if end > len(file.data):
            self._take(end - len(file.data), 0)
            if self._disk.full or end - len(file) > self._disk.free:
                raise DriveError(Errno.NOSPC)
        file.write(offset, data)
        file.modified = self._clock()

    def set_length(self, file: File, length: int) -> None:
        """Cut a file off, or fill it up with zeros, which take no room on the disk."""
        if length > len(file) and length - len(file) > self._disk.free:
            raise DriveError(Errno.NOSPC)
        file.set_length(length)
        file.modified = self._clock()

    def set_times(self, node: Node, accessed: int | None, modified: int | None) -> None:
        """Set the times of a node; None leaves one as it is."""
        before = node.modified if node.accessed is None else node.accessed
        node.accessed = before if accessed is None else accessed
        if modified is not None:
            node.modified = modified

    def sync(self, file: File) -> None:
        """Make a file's content and names durable, and the folders on the way to them."""
        file.sync()
        folders = {path[:length] for path in self._disk.names_of(file) for length in range(len(self._path), len(path))}
        for folder in sorted(folders, key=len):
            self._disk.sync_folder(folder)

    def make(self, folder: Folder, name: str, kind: FileKind, target: str = "") -> Node:
        """Make an empty file, a folder, or a link to `target`; raises DriveError if the drive has too many."""
        path, live = self._place(folder, name), self._disk.live
        if kind is FileKind.FOLDER:
            live.folders.add(path)
            made = live.seen.at(path)
            made.modified = self._clock()
            return made
        file = live.files[path] = File(modified=self._clock(), target=target if kind is FileKind.LINK else None)
        return file

    def link(self, node: File, folder: Folder, name: str) -> None:
        """Give a file or link one more name."""
        self._disk.live.files[self._place(folder, name)] = node

    def _place(self, folder: Folder, name: str) -> Path:
        """Return the path of something new."""
        assert folder.path is not None, "nobody adds to what is gone"
        self._check_depth(folder.path, 1)
        self._take(0, 1)
        folder.modified = self._clock()
        return (*folder.path, name)

    def remove(self, folder: Folder, name: str) -> None:
        """Remove what has that name: a folder is empty."""
        assert folder.path is not None
        path = (*folder.path, name)
        if path in self._disk.live.folders:
            self._disk.remove_folder(path)
        else:
            del self._disk.live.files[path]
        folder.modified = self._clock()

    def rename(self, folder: Folder, name: str, target_folder: Folder, target_name: str) -> None:
        """Move what has a name; what has had the new one is gone."""
        assert folder.path is not None
        assert target_folder.path is not None
        path, target, live = (*folder.path, name), (*target_folder.path, target_name), self._disk.live
        if path in live.folders:
            below = [each for each in (*live.files, *live.folders) if each[: len(path)] == path]
            self._check_depth(target_folder.path, max(map(len, below)) - len(path) + 1)
            self._disk.move_folder(path, target)
        else:
            live.files[target] = live.files.pop(path)
        folder.modified = target_folder.modified = self._clock()

    # --- what the host can take ---------------------------------------------------------------------------------------

    def _check_depth(self, above: Path, more: int) -> None:
        if len(above) - len(self._path) + more > MOST_DEPTH:
            raise DriveError(Errno.NOSPC)

    def _take(self, more: int, files: int) -> None:
        """Take so much of the host's memory; raises DriveError if a drive may not have so much."""
        if more > self._bytes_left or files > self._files_left:
            there = [len(file.data) for path, file in self._disk.live.files.items() if self._is_inside(path)]
            folders = sum(map(self._is_inside, self._disk.live.folders))
            bytes_left, files_left = MOST_BYTES - sum(there), MOST_FILES - len(there) - folders
            if more > bytes_left or files > files_left:
                raise DriveError(Errno.NOSPC)
            self._bytes_left = min(bytes_left, more + _BYTES_AT_ONCE)
            self._files_left = min(files_left, files + _FILES_AT_ONCE)
        self._bytes_left -= more
        self._files_left -= files

    def _is_inside(self, path: Path) -> bool:
        return path[: len(self._path)] == self._path
