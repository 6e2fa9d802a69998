"""The files of a node that runs, as they were at one instant: the node is asked for a snapshot, and this reads it.

The node's part is in `nectar_node.driver.snapshots` and `nectar_node.storage.preserving`. A file is read where it is,
or under its inode's number where the node has kept it; then the blocks that the node has saved of it are put in place
of those that were read. The store's file is copied first, so that the node can soon write to it again.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from nectar_node.backup.format.chunking import Reader
from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.source import FileChanged, FileGone, SourceEntry
from nectar_node.backup.stores.node_folder import NODE, SETTINGS_FOLDER, STORE_LOGS, NodeSource
from nectar_node.backup.stores.scanned import ScannedEntries
from nectar_node.base.errors import NodeError
from nectar_node.storage.database import STORE_FILE
from nectar_node.storage.preserving import BLOCK_BYTES, RECORD, TO_THE_END

BEGIN_SECONDS = 60.0
"""Seconds in which the node answers that its files stand still."""
ASK_SECONDS = 2.0
"""Between two questions whether the snapshot is still whole."""
MAX_READS = 3
"""Times that a file is read that changes meanwhile, past the node."""
STORE_SHARE = 2
"""The store is copied if it takes less than one part in so many of the free disk."""
_DRIVES = NODE + b"/vfs/"
_STORE = NODE + b"/" + STORE_FILE.encode()
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class SnapshotVoid(BackupError):
    """The node could not keep the snapshot; another one may be whole."""


class NodeWentDown(BackupError):
    """The node ended while its copy was made."""


class RunningNode(Protocol):
    """A connection to the control socket of a node that runs."""

    def ask(self, command: str, patience: float | None = None, **arguments: object) -> dict[str, object]:
        """Return the answer to a command; raises NodeError."""

    def close(self) -> None:
        """Close it."""


@contextmanager
def live_snapshot(node: RunningNode, path: Path, network: Path) -> Iterator[LiveSnapshotFiles]:
    """Return a snapshot of the node in the folder `path`, which lasts as long as this context.

    Raises SnapshotVoid, NodeWentDown and NodeError.
    """
    source = NodeSource(path, network)
    with ExitStack() as stack:
        stack.callback(node.close)
        for _ in source.entries():
            pass  # now the operating system knows all names, and does not look for them while the node waits
        answer = node.ask("snapshot", BEGIN_SECONDS)
        began = (found for found in source.entries() if found.path not in STORE_LOGS)  # they are of later
        rows = ScannedEntries(began, path / SETTINGS_FOLDER.decode())
        stack.callback(rows.close)
        snapshot = LiveSnapshotFiles(node, path, network, Path(str(answer["folder"])), rows)
        stack.callback(snapshot.close)
        snapshot.ask("snapshot_scanned")
        if snapshot.copy_store(path):
            snapshot.ask("snapshot_store_read")
        snapshot.watch()
        yield snapshot


class LiveSnapshotFiles:
    """One snapshot. Thread-safe."""

    def __init__(self, node: RunningNode, path: Path, network: Path, kept: Path, rows: ScannedEntries) -> None:
        self.rows = rows
        self.kept = os.fsencode(kept)
        self.files = NodeSource(path, network)
        self.read = 0
        """Bytes that all remotes together have read: the node sees that there is progress."""
        self.store: int | None = None
        """The descriptor of the store's copy; None: its file stays as it is."""
        self._node = node
        self._name = path.name
        self._lock = threading.Lock()
        self._void: BackupError | None = None
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="snapshot", daemon=True)

    def ask(self, command: str = "snapshot_state") -> None:
        """Raise SnapshotVoid or NodeWentDown unless the snapshot is whole."""
        with self._lock:
            if self._void is not None:
                raise self._void
            try:
                why = self._node.ask(command, progress=self.read)["void"]
            except NodeError as error:
                self._void = NodeWentDown(
                    f"{self._name} went down, or answers no more, while its copy was made: run the backup again."
                )
                raise self._void from error
            if why is not None:
                self._void = SnapshotVoid(f"{self._name} could not keep its snapshot, because {why}: try again.")
                raise self._void

    def check(self) -> None:
        """Raise what the last question has brought, if the snapshot is not whole."""
        if self._void is not None:
            raise self._void

    def copy_store(self, path: Path) -> bool:
        """Copy the store, and return whether its file may change now: not if the disk has too little room."""
        with open(path / STORE_FILE, "rb") as source:
            disk, size = os.fstatvfs(source.fileno()), os.fstat(source.fileno()).st_size
            if size * STORE_SHARE > disk.f_bavail * disk.f_frsize:
                return False
            with tempfile.TemporaryFile(dir=path / SETTINGS_FOLDER.decode(), buffering=0) as target:
                self.store = os.dup(target.fileno())
                while os.copy_file_range(source.fileno(), target.fileno(), 1 << 26):
                    pass
        return True

    def watch(self) -> None:
        """Ask now and then."""
        self._watcher.start()

    def _watch(self) -> None:
        while not self._ended.wait(ASK_SECONDS):
            try:
                self.ask()
            except BackupError:
                return

    def close(self) -> None:
        """End it."""
        self._ended.set()
        with self._lock:
            self._void = self._void or NodeWentDown(f"The snapshot of {self._name} has ended.")
            self._node.close()
            if self.store is not None:
                os.close(self.store)
                self.store = None


class LiveNodeSource:
    """A snapshot as one remote reads it."""

    def __init__(self, snapshot: LiveSnapshotFiles) -> None:
        self.unsettled = 0
        """Files that changed past the node while they were read, or went away: they may be of no one instant."""
        self._snapshot = snapshot
        self._tries: Counter[bytes] = Counter()

    def entries(self) -> Iterator[SourceEntry]:
        """Yield everything that was there at the instant."""
        for found in self._snapshot.rows:
            self._snapshot.check()
            yield found

    @contextmanager
    def open(self, found: SourceEntry) -> Iterator[Reader]:
        """Open a file as it was.

        Raises FileChanged at the end if it must be read again, FileGone if it cannot be read, and BackupError.
        """
        snapshot = self._snapshot
        snapshot.check()
        if found.path == _STORE and snapshot.store is not None:
            yield _Piecewise(found.size, lambda view, place: _read_at(snapshot.store, view, place), self._count)
            return
        descriptor = self._descriptor(found)
        try:
            assert found.stamp is not None
            blocks = _SavedBlocks(snapshot.kept, found.stamp.inode)

            def read(view: memoryview, place: int) -> None:
                _read_at(descriptor, view, place)
                blocks.lay_over(view, place)

            try:
                yield _Piecewise(found.size, read, self._count)
                now = os.fstat(descriptor)
                if (now.st_size, now.st_mtime_ns) != (found.size, found.modified) and not blocks.are_there:
                    self._settle(found)
            finally:
                blocks.close()
        finally:
            os.close(descriptor)

    def _descriptor(self, found: SourceEntry) -> int:
        assert found.stamp is not None
        inode = found.stamp.inode
        for place in (self._snapshot.files.place(found.path), os.path.join(self._snapshot.kept, b"%d" % inode)):
            try:
                descriptor = os.open(place, _FILE)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if os.fstat(descriptor).st_ino == inode:
                return descriptor
            os.close(descriptor)
        self._snapshot.ask()
        if found.path.startswith(_DRIVES):
            self.unsettled += 1
            raise FileGone(found.path)
        name = os.fsdecode(found.path.partition(b"/")[2])
        raise SnapshotVoid(f"The node's file {name} changed while it was copied: run the backup again.")

    def _settle(self, found: SourceEntry) -> None:
        """Have a file read again that has changed meanwhile, some times."""
        self._tries[found.path] += 1
        if self._tries[found.path] < MAX_READS:
            raise FileChanged(found.path)
        self.unsettled += 1

    def _count(self, size: int) -> None:
        self._snapshot.read += size


class _Piecewise:
    """Reads so many bytes, whatever the file's length is by now."""

    def __init__(self, size: int, read: Callable[[memoryview, int], None], count: Callable[[int], None]) -> None:
        self._size = size
        self._read = read
        self._count = count
        self._place = 0

    def readinto(self, buffer: memoryview, /) -> int:
        size = min(len(buffer), self._size - self._place)
        self._read(buffer[:size], self._place)
        self._place += size
        self._count(size)
        return size


def _read_at(descriptor: int | None, view: memoryview, place: int) -> None:
    """Fill `view`; what the file does not have any more is zeros."""
    assert descriptor is not None
    done = 0
    while done < len(view):
        read = os.preadv(descriptor, [view[done:]], place + done)
        if not read:
            view[done:] = bytes(len(view) - done)
            return
        done += read


class _SavedBlocks:
    """What the node has saved of a file that it overwrites meanwhile."""

    def __init__(self, folder: bytes, inode: int) -> None:
        self._paths = {ending: os.path.join(folder, b"%d.%s" % (inode, ending)) for ending in (b"map", b"data")}
        self._open: dict[bytes, int] = {}
        self._read = 0
        self._blocks: set[int] = set()
        self._end = TO_THE_END

    @property
    def are_there(self) -> bool:
        """Whether the node has changed the file since the instant; ask after having looked at the file."""
        return self._descriptor(b"map") is not None

    def lay_over(self, view: memoryview, place: int) -> None:
        """Put saved blocks in place of what was just read at `place`."""
        self._learn()
        block = place // BLOCK_BYTES
        while block * BLOCK_BYTES < place + len(view):
            if block in self._blocks or block >= self._end:
                start = max(place, block * BLOCK_BYTES)
                end = min(place + len(view), (block + 1) * BLOCK_BYTES)
                data = self._descriptor(b"data")
                if data is None:
                    view[start - place : end - place] = bytes(end - start)  # a file of holes
                else:
                    _read_at(data, view[start - place : end - place], start)
            block += 1

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _learn(self) -> None:
        """Read what the map has had added."""
        map = self._descriptor(b"map")
        if map is None:
            return
        while records := os.pread(map, RECORD.size * 4096, self._read):
            whole = len(records) - len(records) % RECORD.size
            if not whole:
                return
            self._read += whole
            for first, count in RECORD.iter_unpack(records[:whole]):
                if count == TO_THE_END:
                    self._end = min(self._end, first)
                else:
                    self._blocks.update(range(first, first + count))

    def _descriptor(self, ending: bytes) -> int | None:
        if ending not in self._open:
            try:
                self._open[ending] = os.open(self._paths[ending], _FILE)
            except FileNotFoundError:
                return None
        return self._open[ending]
