"""Threads that carry out work, and bring what has come of it back to the trio thread.

`trio.to_thread` serves each call with a task that is begun, a context that is copied and a scheduler that runs twice.
Here a thread takes its work from a queue and says once that there are results, however many there are by then. A hop
there and back takes half the time; for a process that saves its state again and again that was a third of all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, TypeVar

import trio

T = TypeVar("T")
R = TypeVar("R")


class WorkThreads(Generic[T, R]):
    """Threads that are begun when there is work for them, and end with their owner.

    They are daemons: one that hangs in a call of the operating system does not keep the program from ending.
    """

    def __init__(self, count: int, work: Callable[[T], R], done: Callable[[T, R], None]) -> None:
        """`work` runs on at most `count` threads at once, `done` on the trio thread."""
        self._count = count
        self._work = work
        self._done = done
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._back: deque[tuple[T, R | BaseException]] = deque()
        """What is done, and has not come back yet."""
        self._threads = 0
        self._token: trio.lowlevel.TrioToken | None = None
        self._failed: BaseException | None = None
        self._ends = trio.Event()
        self._rests = trio.Event()
        self._rests.set()
        self.at_work = 0
        """How much is in the queue, is being done, or is on its way back."""

    def submit(self, task: T) -> None:
        """Have a task done."""
        self.at_work += 1
        if self.at_work > self._threads and self._threads < self._count:
            self._threads += 1
            threading.Thread(target=self._serve, name="worker", daemon=True).start()
        self._queue.put(task)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; tasks are welcome once it has started. Raises what `work` or `done` has raised."""
        self._token = trio.lowlevel.current_trio_token()
        task_status.started()
        await self._ends.wait()
        if self._failed is not None:
            raise self._failed

    async def rest(self) -> None:
        """Wait until there is nothing to do."""
        while self.at_work:
            self._rests = trio.Event()
            await self._rests.wait()

    def close(self) -> None:
        """Let the threads end when they have done what they do."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _serve(self) -> None:
        """Run on a thread."""
        while (task := self._queue.get()) is not None:
            try:
                result: R | BaseException = self._work(task)
            except BaseException as error:
                result = error
            self._back.append((task, result))
            assert self._token is not None
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._take_back, idempotent=True)

    def _take_back(self) -> None:
        try:
            while self._back:
                task, result = self._back.popleft()
                self.at_work -= 1
                if isinstance(result, BaseException):
                    raise result
                self._done(task, result)
        except BaseException as error:  # here it would end trio itself
            self._failed = error
            self._ends.set()
        if not self.at_work:
            self._rests.set()
