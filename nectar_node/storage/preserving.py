"""Keeps the files of a snapshot while they change: before a name goes away, and before bytes are overwritten.

A snapshot is how all files were at one instant. Another process reads them, and asks nobody before each piece:

- A file whose name goes away, because it is removed, replaced or moved, first gets another name: its inode's number, in
  the snapshot's folder.
- Blocks that are about to be overwritten or cut off are first copied to the same place in `NUMBER.data`, then named in
  `NUMBER.map`, and only then overwritten. So whoever reads a piece of the file first, and the map afterwards, knows
  which blocks to take from the copy.

What was made since the instant is none of the snapshot's, and is let go. A snapshot that cannot be kept is void: the
operation that it cannot follow is carried out all the same.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

BLOCK_BYTES = 64 * 1024
"""Bytes that are saved at once: one saved block holds the worker up by the time of a copy in memory."""
RECORD = struct.Struct("<QQ")
"""A record of a map: the first block that is saved, and how many are."""
TO_THE_END = (1 << 64) - 1
"""So many blocks: all from the first one on, however long the file was."""
MAX_PRESERVED_BYTES = 2 << 30
"""Bytes that are kept for one snapshot beside the files themselves; with more, it is void."""
MAX_NEW_FILES = 1_000_000
"""Files that may be made during one snapshot: each takes a hundred bytes of the node's memory."""
MAX_CHANGED_FILES = 100_000
"""Files that may be written to in place during one snapshot."""


@dataclass(slots=True)
class _Changed:
    """A file that is written to in place."""

    blocks: set[int] = field(default_factory=set)
    """The blocks that are saved."""
    end: int = TO_THE_END
    """The block from which on all are saved."""
    known: bool = False
    """Whether it has a map, which may be empty."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Preserver:
    """What is kept for one snapshot. Thread-safe; nothing here ever raises OSError."""

    def __init__(self, folder: str, most: int = MAX_PRESERVED_BYTES) -> None:
        """`folder` is empty, and on the disk of the files; raises OSError."""
        self.void: str | None = None
        """Why the snapshot cannot be kept any more; None: it is whole."""
        self.bytes = 0
        """Bytes that are kept and would not be there without the snapshot."""
        self._most = most
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._new: set[int] = set()
        """The inodes of files that were made since the snapshot's instant."""
        self._changed: dict[int, _Changed] = {}
        self._lock = threading.Lock()
        self._closed = False

    def made(self, descriptor: int) -> None:
        """Learn that a file was made just now."""
        if len(self._new) >= MAX_NEW_FILES:
            self.fail(f"more than {MAX_NEW_FILES} files were made meanwhile")
        else:
            self._new.add(os.fstat(descriptor).st_ino)

    def leaving(self, folder: int, name: str, *, for_good: bool) -> None:
        """Keep the file that is about to lose this name; `for_good` says that nothing else holds it."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                self._link(folder, name, found, for_good=for_good)
        except FileNotFoundError:
            return
        except OSError as error:
            self.fail(f"{name} cannot be kept: {error.strerror}")

    def _link(self, folder: int, name: str, found: os.stat_result, *, for_good: bool) -> None:
        number = found.st_ino
        if number in self._new:
            if for_good:
                self._new.discard(number)
            return
        with self._lock:
            if self._closed or self.void is not None:
                return
            with suppress(FileExistsError):  # it had another name, or keeps this one
                os.link(name, str(number), src_dir_fd=folder, dst_dir_fd=self._folder, follow_symlinks=False)
        if for_good:
            self._count(found.st_blocks * 512)

    def extending(self, descriptor: int) -> None:
        """Tell the reader that a file is about to grow: nothing is lost of what it had."""
        self._save(descriptor, 0, 0)

    def writing(self, descriptor: int, start: int, length: int) -> None:
        """Save what lies in these bytes of a file, which are about to be overwritten."""
        if length:
            self._save(descriptor, start // BLOCK_BYTES, (start + length - 1) // BLOCK_BYTES + 1)

    def cutting(self, descriptor: int, length: int) -> None:
        """Save what lies behind the first `length` bytes of a file, which are about to be cut off."""
        self._save(descriptor, length // BLOCK_BYTES, TO_THE_END)

    def fail(self, why: str) -> None:
        """Give the snapshot up."""
        if self.void is None:
            self.void = why

    def close(self) -> None:
        """Keep nothing any more; the folder may be removed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._folder)

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes += size
        if self.bytes > self._most:
            self.fail(f"files changed by more than {self._most >> 20} MiB meanwhile")

    def _save(self, descriptor: int, first: int, end: int) -> None:
        try:
            found = os.fstat(descriptor)
            if self.void is not None or found.st_ino in self._new:
                return
            with self._lock:
                changed = self._changed.setdefault(found.st_ino, _Changed())
            if len(self._changed) > MAX_CHANGED_FILES:
                self.fail(f"more than {MAX_CHANGED_FILES} files changed meanwhile")
                return
            with changed.lock:
                self._save_blocks(descriptor, found, changed, first, end)
        except OSError as error:
            self.fail(f"what was in a file cannot be kept: {error.strerror}")

    def _save_blocks(self, descriptor: int, found: os.stat_result, changed: _Changed, first: int, end: int) -> None:
        last = min(end, changed.end, -(-found.st_size // BLOCK_BYTES))
        missing = [*_gaps(first, last, changed.blocks)]
        to_the_end = end == TO_THE_END and first < changed.end
        if changed.known and not missing and not to_the_end:
            return
        with ExitStack() as stack:
            if missing:
                source = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, source)
                target = self._open(stack, f"{found.st_ino}.data", os.O_WRONLY | os.O_CREAT)
                for begin, stop in missing:
                    self._copy(source, target, begin * BLOCK_BYTES, min(stop * BLOCK_BYTES, found.st_size))
            if to_the_end:  # those that were saved before are in the copy, too
                records = RECORD.pack(first, TO_THE_END)
                changed.end = first
            else:
                records = b"".join(RECORD.pack(begin, stop - begin) for begin, stop in missing)
                changed.blocks.update(block for begin, stop in missing for block in range(begin, stop))
            os.write(self._open(stack, f"{found.st_ino}.map", os.O_WRONLY | os.O_CREAT | os.O_APPEND), records)
            changed.known = True

    def _open(self, stack: ExitStack, name: str, flags: int) -> int:
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "the snapshot has ended")
            descriptor = os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=self._folder)
        stack.callback(os.close, descriptor)
        return descriptor

    def _copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copy bytes to the same place; holes stay holes."""
        while start < end and self.void is None:
            try:
                data = os.lseek(source, start, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return  # a hole to the end
            hole = min(end, os.lseek(source, data, os.SEEK_HOLE))
            start = data
            while start < hole:
                copied = os.copy_file_range(source, target, min(hole - start, 1 << 24), start, start)
                if not copied:
                    return
                start += copied
                self._count(copied)
                if self.void is not None:
                    return


def _gaps(first: int, last: int, saved: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of blocks that are not saved: the first, and the one behind the last."""
    for block in sorted(block for block in saved if first <= block < last):
        if first < block:
            yield first, block
        first = block + 1
    if first < last:
        yield first, last
