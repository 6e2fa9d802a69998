"""The files of a node that does not run, as what is backed up; and an empty folder, as what is restored into.

In a snapshot, `node/` is the node's folder, and `network/` what its network has beside the nodes: the genesis file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nectar_node.backup.format.chunking import Reader
from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.format.listing import EntryKind, ListingEntry
from nectar_node.backup.source import SourceEntry, Stamp
from nectar_node.storage.database import STORE_FILES

NODE = b"node"
NETWORK = b"network"
NETWORK_FILES = (b"testnet.json",)
"""Files of the network's folder that a node needs to boot."""
SETTINGS_FOLDER = b"backup"
"""The folder of backups' own settings; of what is in it, only `REMOTES` goes along."""
REMOTES = b"remotes.json"
_SETTINGS = NODE + b"/" + SETTINGS_FOLDER
_SKIPPED = frozenset((b"lock", b"control.sock", b"log", b"log.1", b"trace", b"kept", b"uploads"))
"""What says how a node runs, and not what it is; files that people upload to send them on; and what it keeps for other
nodes: two nodes that keep backups of each other would store theirs in each other's without end.
"""
STORE_LOGS = frozenset(NODE + b"/" + name.encode() for name in STORE_FILES[1:])
"""What is committed to the node's store, and not yet in its file."""
_BLOCK_BYTES = 4 * 1024 * 1024
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PERMISSIONS = 0o777


class NodeSource:
    """The folder of a node that does not run, or a copy of one."""

    def __init__(self, node: Path, network: Path) -> None:
        self._roots = {NODE: os.fsencode(node), NETWORK: os.fsencode(network)}

    def entries(self) -> Iterator[SourceEntry]:
        """Yield everything in the folder; sockets and pipes are left out."""
        for name in NETWORK_FILES:
            path = os.path.join(self._roots[NETWORK], name)
            if os.path.isfile(path):
                yield from self._found(NETWORK, os.lstat(self._roots[NETWORK]), b"")
                yield from self._found(NETWORK + b"/" + name, os.lstat(path), b"")
        yield from self._found(NODE, os.lstat(self._roots[NODE]), b"")
        yield from self._below(NODE, self._roots[NODE])

    def place(self, path: bytes) -> bytes:
        """Return where the file is that a snapshot has as `path`."""
        root, _, rest = path.partition(b"/")
        return os.path.join(self._roots[root], rest)

    @contextmanager
    def open(self, found: SourceEntry) -> Iterator[Reader]:
        """Open a file for reading; raises OSError."""
        descriptor = os.open(self.place(found.path), _FILE)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield file

    def _below(self, path: bytes, folder: bytes) -> Iterator[SourceEntry]:
        try:
            with os.scandir(folder) as entries:
                within = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return  # the node runs, and has removed it just now
        for entry in within:
            inner = path + b"/" + entry.name
            if _is_skipped(path, entry.name):
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if inner == _SETTINGS:
                yield SourceEntry(inner, EntryKind.FOLDER, 0o700, 0)  # each backup changes its time
            else:
                yield from self._found(inner, found, entry.path)
            if stat.S_ISDIR(found.st_mode):
                yield from self._below(inner, entry.path)

    def _found(self, path: bytes, found: os.stat_result, place: bytes) -> Iterator[SourceEntry]:
        mode, modified = found.st_mode & _PERMISSIONS, found.st_mtime_ns
        if stat.S_ISDIR(found.st_mode):
            yield SourceEntry(path, EntryKind.FOLDER, mode, modified)
        elif stat.S_ISREG(found.st_mode):
            stamp = Stamp(found.st_size, modified, found.st_ctime_ns, found.st_ino)
            yield SourceEntry(path, EntryKind.FILE, mode, modified, found.st_size, stamp=stamp)
        elif stat.S_ISLNK(found.st_mode):
            yield SourceEntry(path, EntryKind.LINK, mode, modified, target=os.readlink(place))


def _is_skipped(path: bytes, name: bytes) -> bool:
    if path == NODE:
        return name in _SKIPPED
    return path == _SETTINGS and name != REMOTES


class FolderTarget:
    """Folders that are restored into: `roots` says where the first part of a path leads."""

    def __init__(self, roots: dict[bytes, Path]) -> None:
        self._roots = {name: os.fsencode(path) for name, path in roots.items()}
        self._folders = {b""}

    def begin(self, entry: ListingEntry) -> None:
        """Make a folder, an empty file or a link; raises BackupError if it would not be within the folders."""
        parent, _, _ = entry.path.rpartition(b"/")
        # Only what was made here as a folder: no path leads through a link.
        if parent not in self._folders or entry.path.partition(b"/")[0] not in self._roots:
            raise BackupError(f"{os.fsdecode(entry.path)!r} in the backup has no place in a node's folder.")
        path = self._place(entry.path)
        if entry.kind is EntryKind.FOLDER:
            os.makedirs(path, mode=0o700, exist_ok=not parent)
            self._folders.add(entry.path)
        elif entry.kind is EntryKind.LINK:
            assert isinstance(entry.content, bytes)
            os.symlink(entry.content, path)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def write(self, path: bytes, start: int, data: bytes) -> None:
        """Write a piece of a file; raises OSError."""
        descriptor = os.open(self._place(path), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(descriptor, rest, start)
                rest, start = rest[written:], start + written
        finally:
            os.close(descriptor)

    def finish(self, entry: ListingEntry) -> None:
        """Give a file or folder its mode and time."""
        path = self._place(entry.path)
        os.chmod(path, entry.mode & _PERMISSIONS)
        os.utime(path, ns=(entry.modified, entry.modified))

    def _place(self, path: bytes) -> bytes:
        root, _, rest = path.partition(b"/")
        return os.path.join(self._roots[root], rest) if rest else self._roots[root]
