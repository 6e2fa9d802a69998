"""The files of a segment, written by a thread of their own, and the memory that received bytes wait in for it.

What sockets receive goes right into that memory. From there the disk takes it, without being copied and past the page
cache where the file system can do so (O_DIRECT): a copy into new pages of the cache takes four times the processor time
of that, and on a machine whose memory is used by others ten times. A disk that falls behind is written to through the
cache, and when that is full, too, the node waits for it.

Tests: tests/nectar_node/recording/test_segment_files.py.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from kernel.contract.message import Buffer

CHUNK_BYTES = 4 << 20
"""Bytes that are written at once, when as many come: a system call past the page cache costs as much as 500 KiB."""
MOST_CHUNKS = 8
"""Pieces of memory. A node that receives faster than the disk writes waits for one to be free."""
LATE_CHUNKS = 6
"""Pieces in use from which on the disk has fallen behind."""
BLOCK_BYTES = 4096
"""What offsets, lengths and memory are multiples of when the page cache is passed by."""
_DIRECT = getattr(os, "O_DIRECT", 0)
"""Linux has it."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
RECEIVED_SUFFIX = ".received"


class SegmentFiles:
    """One segment's file, and behind it the file of what was received; used by one thread. All raise OSError."""

    def __init__(self, file: Path) -> None:
        """Make the former; the latter is made when there is something for it."""
        self._received = file.with_suffix(RECEIVED_SUFFIX)
        self._file = os.open(file, _FLAGS | os.O_APPEND | os.O_EXCL, 0o600)
        self._direct = self._cached = -1

    def append(self, data: Buffer) -> None:
        """Write entries that are sealed. A file that somebody has removed is reported as missing."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        for each in (self._file, self._cached):
            if each >= 0 and os.fstat(each).st_nlink == 0:
                raise OSError(errno.ENOENT, "somebody has removed it")

    def write_received(self, data: memoryview, offset: int, *, late: bool) -> None:
        """Write what was received, at an offset: all in whole blocks, or late, through the page cache."""
        if self._cached < 0:
            self._cached = os.open(self._received, _FLAGS | os.O_EXCL, 0o600)
            self._direct = _open_direct(self._received)
        while data:
            if self._direct >= 0 and not late and len(data) % BLOCK_BYTES == 0:
                try:
                    written = os.pwrite(self._direct, data, offset)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    late = True  # the file system wants other multiples
                    continue
            else:
                written = os.pwrite(self._cached, data, offset)
            data, offset = data[written:], offset + written

    def close(self, received: int) -> None:
        """Close both; `received`: the bytes of the second one, without what fills up its last block."""
        try:
            if self._cached >= 0:
                os.truncate(self._cached, received)
        finally:
            for each in (self._file, self._direct, self._cached):
                if each >= 0:
                    os.close(each)
            self._file = self._direct = self._cached = -1


def _open_direct(file: Path) -> int:
    """Return a descriptor that passes the page cache by, or -1: the system or the file system has none."""
    if not _DIRECT:
        return -1
    try:
        return os.open(file, os.O_WRONLY | os.O_CLOEXEC | _DIRECT)
    except OSError:
        return -1


class SegmentThread:
    """Does what has to do with the disk, one after the other, and stops at the first failure."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.problem: OSError | None = None
        """Why nothing is done any more."""
        self._thread = Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], None]) -> None:
        """Have something done, which may raise OSError."""
        self._jobs.put(job)

    @property
    def waiting(self) -> int:
        """How much is not done yet."""
        return self._jobs.qsize()

    def done(self) -> None:
        """Wait until all of it is done."""
        event = Event()
        self._jobs.put(event.set)
        event.wait()

    def end(self) -> None:
        """Wait likewise, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as error:
                self.problem = self.problem or error


class _Chunk:
    __slots__ = ("base", "view")

    def __init__(self) -> None:
        self.view = memoryview(mmap.mmap(-1, CHUNK_BYTES))
        self.base = 0
        """Where it is in the file."""


class ReceivedMemory:
    """Where received bytes go, one behind the other; each segment's begin anew. Used by the thread of the core."""

    def __init__(self, thread: SegmentThread, least: int) -> None:
        """`least`: bytes that `view` always has."""
        self._thread = thread
        self._least = least
        self._free: SimpleQueue[_Chunk] = SimpleQueue()
        self._count = 0
        self._chunk = self._next()
        self._begin = self._end = self._written = 0
        self._files: SegmentFiles | None = None
        self.view = self._chunk.view[:least]
        """Where the next bytes are to be received."""

    @property
    def total(self) -> int:
        """The bytes that were taken for this segment."""
        return self._chunk.base + self._end

    def begin(self, files: SegmentFiles) -> None:
        """Begin a segment; all of the former one is handed over."""
        self._files = files
        if self._end:
            old, self._chunk = self._chunk, self._next()
            self._thread.do(lambda: self._free.put(old))
        self._chunk.base = self._begin = self._end = self._written = 0
        self.view = self._chunk.view[: self._least]

    def take(self, data: Buffer) -> None:
        """Keep bytes that were received: the first ones of `view`, or others, which are copied."""
        if type(data) is memoryview and data.obj is self._chunk.view.obj:
            self._advance(len(data))
            return
        rest = memoryview(data)
        while rest:
            size = min(len(rest), len(self.view))
            self.view[:size] = rest[:size]
            self._advance(size)
            rest = rest[size:]

    def hand_over(self) -> None:
        """Have written what was taken."""
        self._write(self._end)

    def _advance(self, size: int) -> None:
        self._end += size
        if CHUNK_BYTES - self._end < self._least:
            self._turn_over()
        self.view = self._chunk.view[self._end : self._end + self._least]

    def _turn_over(self) -> None:
        """Go on in other memory, with what is no whole block."""
        old, self._chunk = self._chunk, self._next()
        whole = self._end - self._end % BLOCK_BYTES
        rest = self._end - whole
        self._chunk.view[:rest] = old.view[whole : self._end]
        self._chunk.base = old.base + whole
        self._write(whole, old)
        self._thread.do(lambda: self._free.put(old))
        self._begin, self._end, self._written = 0, rest, 0

    def _write(self, end: int, chunk: _Chunk | None = None) -> None:
        """Have the blocks written that end behind `end`; the last one is written again when it is full."""
        chunk, files = chunk or self._chunk, self._files
        begin = self._begin
        if end <= self._written or files is None:
            return
        self._written = end
        self._begin = end - end % BLOCK_BYTES
        base = chunk.base

        def write() -> None:
            if self._thread.problem is None:
                late = self._count - self._free.qsize() >= LATE_CHUNKS
                files.write_received(chunk.view[begin : end + -end % BLOCK_BYTES], base + begin, late=late)

        self._thread.do(write)

    def _next(self) -> _Chunk:
        try:
            return self._free.get_nowait()
        except Empty:
            if self._count == MOST_CHUNKS:
                return self._free.get()
            self._count += 1
            return _Chunk()
