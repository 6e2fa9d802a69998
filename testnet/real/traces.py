"""The traces that real nodes write, each into a named pipe in its folder; a thread copies the pipes into files.

A pipe is used since a node whose disk is full can write to no file. The thread empties the pipes: a killed node has
lost nothing that it wrote, and none waits for a reader.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nectar_node.base import own_files
from nectar_node.base.folder import NodeFolder

MAX_BYTES = 1 << 30
"""The most bytes of all traces of a network."""
TRACES_FOLDER = "traces"
"""The folder for traces, below the network's own."""
_PIPE_BYTES = 1 << 20
"""The bytes in each pipe, where the system allows it."""
_READ_BYTES = 1 << 20


class TracePipes:
    """The trace pipes of one network; `close` ends them."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for the files; made if it is not there."""
        own_files.make_folder(folder)
        self.folder = folder
        self.began = time.monotonic()
        """A time before the first record."""
        self._files: dict[str, Path] = {}
        self._into: dict[int, int] = {}
        """Descriptors of pipes, and of the files into which they are emptied."""
        self._made: set[Path] = set()
        """The pipes."""
        self._put_aside: dict[Path, Path] = {}
        """Traces that users have let nodes write, and where they are until the end of this."""
        self._bytes = 0
        self._failure = ""
        """Why a file could not be written."""
        self._lock = threading.Lock()
        """Held while a pipe is emptied."""
        self._poll = select.epoll()
        self._stopping, self._stop = os.pipe()
        self._poll.register(self._stopping, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    @property
    def files(self) -> Mapping[str, Path]:
        """Files by host."""
        return self._files

    @property
    def problem(self) -> str:
        """Why they are not whole, as a sentence; "": they are. The pipes are emptied all the same."""
        if self._failure:
            return f"The traces of the nodes cannot be kept in {self.folder}: {self._failure}."
        if self._bytes > MAX_BYTES:
            return f"The traces of the nodes are longer than {MAX_BYTES >> 30} GiB, and so they are not whole."
        return ""

    def expect(self, host: str, folder: NodeFolder) -> None:
        """Prepare for a boot on `host`, in `folder`, perhaps not the first one there."""
        if folder.trace in self._made and folder.trace.exists():
            return
        own_files.make_folder(folder.path)
        if folder.trace.is_fifo():  # left by an earlier network that did not end in order
            folder.trace.unlink()
        elif folder.trace.exists():
            self._put_aside[folder.trace] = folder.trace.replace(folder.trace.with_name("trace.before"))
        os.mkfifo(folder.trace, 0o600)
        self._made.add(folder.trace)
        # Opened for writing too: there is always a writer, so the pipe never ends.
        pipe = os.open(folder.trace, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        begins = 0 if host in self._files else os.O_TRUNC  # there may be one of an earlier network
        file = self._files.setdefault(host, self.folder / host)
        self._into[pipe] = own_files.open_file(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | begins)
        self._poll.register(pipe, select.EPOLLIN)

    def catch_up(self) -> int:
        """Copy what nodes have written until now into the files; return its bytes."""
        for pipe in list(self._into):
            self._empty(pipe)
        return self._bytes

    def close(self) -> None:
        """Copy the last records, and leave the folders as they were; all nodes have ended."""
        if self._poll.closed:
            return
        os.close(self._stop)
        self._thread.join()
        self.catch_up()
        for descriptor in (self._stopping, *self._into, *self._into.values()):
            os.close(descriptor)
        self._into.clear()
        self._poll.close()
        for pipe in self._made:
            pipe.unlink(missing_ok=True)
            if (before := self._put_aside.get(pipe)) is not None:
                before.replace(pipe)

    def _run(self) -> None:
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll()]
            if self._stopping in ready:
                return
            for pipe in ready:
                self._empty(pipe)

    def _empty(self, pipe: int) -> None:
        with self._lock, suppress(BlockingIOError):
            while data := os.read(pipe, _READ_BYTES):
                self._bytes += len(data)
                if not self.problem:
                    self._keep(self._into[pipe], data)

    def _keep(self, file: int, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError as error:
            self._failure = error.strerror or str(error)
