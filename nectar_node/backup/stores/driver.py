"""Drives the engine with threads: some wait for the remote, and some compress and encrypt."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress

from nectar_node.backup.format.limits import IN_FLIGHT
from nectar_node.backup.operations import (
    DeleteObject,
    GetObject,
    ListObjects,
    Operation,
    OperationDone,
    PutObject,
    Remote,
    Result,
    Steps,
    carry_out,
)
from nectar_node.backup.playing import conduct, done

_MAX_WORKERS = 4
"""Threads that compute: what one more would do, the disk does not keep up with."""


def drive(steps: Steps[Result], remote: Remote) -> Result:
    """Carry out everything that the engine asks for, and return its result; raises what it raises.

    It returns when nothing is under way any more, unless it is interrupted: then what is under way is left to its end,
    or to that of the process.
    """
    ended: queue.SimpleQueue[OperationDone] = queue.SimpleQueue()
    waiters = _Threads(IN_FLIGHT, remote, ended)
    workers = _Threads(max(2, min(_MAX_WORKERS, os.cpu_count() or 1)), remote, ended)
    waits = True

    def begin(operation: Operation) -> None:
        (waiters if isinstance(operation, PutObject | GetObject | ListObjects | DeleteObject) else workers).begin(
            operation
        )

    try:
        return conduct(steps, lambda operation: carry_out(remote, operation), begin, ended.get)
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        steps.close()
        for threads in (waiters, workers):
            threads.close(waits=waits)


class _Threads:
    """Threads that carry out operations, and end with the process: a remote that hangs keeps nobody from leaving."""

    def __init__(self, count: int, remote: Remote, ended: queue.SimpleQueue[OperationDone]) -> None:
        self._remote = remote
        self._ended = ended
        self._begun: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name="backup", daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def begin(self, operation: Operation) -> None:
        self._begun.put(operation)

    def close(self, *, waits: bool) -> None:
        """Drop what has not begun; if `waits`, wait for what is under way."""
        with suppress(queue.Empty):
            while True:
                self._begun.get_nowait()
        for _ in self._threads:
            self._begun.put(None)
        for thread in self._threads if waits else ():
            thread.join()

    def _run(self) -> None:
        while (operation := self._begun.get()) is not None:
            self._ended.put(done(self._remote, operation))
            del operation  # it may hold a pack, and the next one may be long in coming
