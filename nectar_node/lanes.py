"""Carries out disk jobs on worker threads: in order within a lane, lanes beside each other.

All jobs that wait in a lane go to a thread together: a hop costs as much as reading 200 KB, and a transfer has
several chunks in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Copy, Hash, Job, Outcome, Unpack

DISK_THREADS = 4
"""Lanes that are served at once."""
LONG = (Hash, Copy, Unpack)
"""Operations that may take minutes."""
LONG_THREADS = 2
"""Of these at once; on threads of their own, since nobody else shall wait for them."""
JOBS_PER_HOP = 4
"""Jobs of one lane done in one go; more would delay the first one's answer. A hash goes alone: the files of one lane
shall not keep a thread from those of another."""


class Lanes:
    """The disk jobs of one node."""

    def __init__(self, done: Callable[[Job, Outcome], None]) -> None:
        """`done` gets every job's outcome, on the trio thread."""
        self._done = done
        self._waiting: dict[str, deque[Job]] = {}
        self._threads = trio.CapacityLimiter(DISK_THREADS)
        self._long = trio.CapacityLimiter(LONG_THREADS)
        self._nursery: trio.Nursery | None = None

    def submit(self, job: Job) -> None:
        """Carry out a job after those of its lane that are there already."""
        assert self._nursery is not None
        waiting = self._waiting.get(job.lane)
        if waiting is not None:
            waiting.append(job)
            return
        self._waiting[job.lane] = deque([job])
        self._nursery.start_soon(self._serve, job.lane)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def _serve(self, lane: str) -> None:
        waiting = self._waiting[lane]
        while waiting:
            long = isinstance(waiting[0].operation, LONG)
            limiter = self._long if long else self._threads
            jobs = [waiting.popleft() for _ in range(1 if long else min(len(waiting), JOBS_PER_HOP))]
            # Abandoned when the node stops: a hash may take seconds, and what is durable survives any end.
            outcomes = await trio.to_thread.run_sync(_perform_all, jobs, limiter=limiter, abandon_on_cancel=True)
            for job, outcome in zip(jobs, outcomes, strict=True):
                self._done(job, outcome)
        del self._waiting[lane]


def _perform_all(jobs: list[Job]) -> list[Outcome]:
    return [perform(job.operation) for job in jobs]
