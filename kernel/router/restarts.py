"""Which processes wait for their restart, how often each has started again, and how long it waits next time (G22)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.descent import Kin
from kernel.contract.message import OnExit
from kernel.contract.process import Launch, Process, Remnant

FIRST_BACK_OFF = 1.0
"""Seconds before the first restart; each further one doubles it (G22)."""
LONGEST_BACK_OFF = 600.0
"""The most seconds before a restart."""
HEALTHY_AFTER = 5.0
"""A multiple of the back-off: a process that ran for so long starts again from the first back-off."""
MAX_ANCESTORS = 1024
"""Ancestors of a process that are kept over a reboot: of a longer line, the rest counts as another family."""


class Restart(NamedTuple):
    """A process that is to start again."""

    at: float
    number: int
    launch: Launch
    on_exit: OnExit
    kin: Kin
    wait: float
    """Seconds from the decision to `at`."""


class Restarts:
    """The restarts of one node."""

    def __init__(self) -> None:
        self._waiting: list[Restart] = []
        """A heap."""
        self._back_off: dict[ProcessId, float] = {}
        self._counts: dict[ProcessId, int] = {}
        self._number = 0

    def __len__(self) -> int:
        """Return how many processes wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Restart]:
        """Return those that wait, in no order; sorted, they are in that of their restarts."""
        return iter(self._waiting)

    def __contains__(self, process: ProcessId) -> bool:
        """Whether a process waits, or has been restarted and not ended for good."""
        return process in self._back_off

    def count(self, process: ProcessId) -> int:
        """Return how often a process has been restarted since it was started."""
        return self._counts.get(process, 0)

    def add(self, process: Process, now: float) -> float:
        """Let a process that has ended start again; return the seconds until then."""
        id = process.address.process
        wait = self._back_off.get(id, FIRST_BACK_OFF)
        if now - process.started_at >= HEALTHY_AFTER * wait:
            wait = FIRST_BACK_OFF
        self._back_off[id] = min(2 * wait, LONGEST_BACK_OFF)
        self._put(process.launch, process.on_exit, process.kin, wait, now)
        return wait

    def _put(self, launch: Launch, on_exit: OnExit, kin: Kin, wait: float, now: float) -> None:
        self._number += 1
        heapq.heappush(self._waiting, Restart(now + wait, self._number, launch, on_exit, kin, wait))

    def next_deadline(self) -> float | None:
        """Return when the next restart is due."""
        return self._waiting[0].at if self._waiting else None

    def pop_due(self, now: float) -> Restart | None:
        """Return a restart whose time has come, which counts as done then."""
        if not self._waiting or self._waiting[0].at > now:
            return None
        restart = heapq.heappop(self._waiting)
        process = restart.launch.process
        self._counts[process] = self._counts.get(process, 0) + 1
        return restart

    def cancel(self, processes: set[ProcessId]) -> list[Restart]:
        """Let none of these processes start again; return those that were to."""
        cancelled = [restart for restart in self._waiting if restart.launch.process in processes]
        if cancelled:
            self._waiting = [restart for restart in self._waiting if restart.launch.process not in processes]
            heapq.heapify(self._waiting)
        return cancelled

    def forget(self, process: ProcessId) -> None:
        """Forget a process that is gone for good."""
        self._back_off.pop(process, None)
        self._counts.pop(process, None)

    # --- over a reboot (G26) ----------------------------------------------------------------------------------------

    def remnant(self, launch: Launch, on_exit: OnExit, kin: Kin, *, runs: bool, waits: float | None = None) -> Remnant:
        """Return what is to be kept of a process; `waits` are the seconds until it starts again, if it does."""
        id, above = launch.process, kin.parent
        ancestors: list[ProcessId] = []
        while above is not None and len(ancestors) < MAX_ANCESTORS:
            ancestors.append(above.id)
            above = above.parent
        back_off, restarts = self._back_off.get(id), self.count(id)
        digest, path, public, parent = launch.program.digest, launch.path, launch.public, launch.parent
        return Remnant(id, digest, path, on_exit, public, parent, tuple(ancestors), runs, waits, back_off, restarts)

    def restore(self, kept: Remnant, launch: Launch, kin: Kin, now: float) -> bool:
        """Go on with a process that ran before the node went down; return whether it waits for its restart."""
        if kept.back_off is not None:
            self._back_off[kept.process] = kept.back_off
        if kept.restarts:
            self._counts[kept.process] = kept.restarts
        if kept.waits is None:
            return False
        self._put(launch, kept.on_exit, kin, kept.waits, now)
        return True
