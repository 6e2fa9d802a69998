"""Processes that wait for a time, as WASI lets them: the kernel's own timers.

A process sleeps at most once at a time, so there is at most one live entry for each that runs. Those of processes that
have ended, or were woken before, stay until their time comes, or until most entries are such.
"""

from __future__ import annotations

import heapq

from kernel.contract.address import ProcessId
from kernel.contract.process import Process, Waiting

_STALE_SLACK = 1024
"""Stale entries that are tolerated beyond the number of running ones."""


class Sleepers:
    """Those of one node."""

    def __init__(self, processes: dict[ProcessId, Process]) -> None:
        """`processes` are the running ones, kept up to date by the caller."""
        self._processes = processes
        self._heap: list[tuple[float, int, Process]] = []
        self._number = 0

    def add(self, process: Process, until: float) -> None:
        """Let a process sleep until a time, in seconds."""
        process.waiting = Waiting.SLEEP
        self._number += 1
        process.alarm = self._number
        heapq.heappush(self._heap, (until, self._number, process))
        if len(self._heap) > 2 * len(self._processes) + _STALE_SLACK:
            self._heap = [entry for entry in self._heap if self._is_live(entry)]
            heapq.heapify(self._heap)

    def next_deadline(self) -> float | None:
        """Return when the first of them wakes, or None."""
        heap = self._heap
        while heap and not self._is_live(heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Process | None:
        """Take out the first one whose time has come, or return None."""
        deadline = self.next_deadline()
        return heapq.heappop(self._heap)[2] if deadline is not None and deadline <= now else None

    def _is_live(self, entry: tuple[float, int, Process]) -> bool:
        _, number, process = entry
        if process.waiting is not Waiting.SLEEP or process.alarm != number:
            return False
        return self._processes.get(process.address.process) is process
