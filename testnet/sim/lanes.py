"""A simulated node's disk jobs: in order within a lane, lanes beside each other, as on the threads of a real one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from nectar_node.storage.operations import Job, Outcome
from testnet.sim.disk import SimDisk

if TYPE_CHECKING:
    from testnet.sim.simulation import Simulation

DISK_SECONDS = 0.002
"""On average for an operation on a disk; a sync is what takes long on real ones."""
_MANY = 64
"""Lanes, of which those that are idle are forgotten."""


class SimLanes:
    """Of one boot of one node."""

    def __init__(
        self, simulation: Simulation, disk: SimDisk, chance: Random, done: Callable[[Job, Outcome], None]
    ) -> None:
        """`done` gets every job's outcome; `chance` draws how long each takes."""
        self._simulation = simulation
        self._disk = disk
        self._chance = chance
        self._done = done
        self._free: dict[str, float] = {}
        """By lane: when it has done all that it has been asked."""
        self._jobs: dict[int, tuple[float, Job]] = {}
        """Those that are not done yet, by number, and when each begins."""
        self._submitted = 0

    @property
    def waiting(self) -> int:
        """Jobs that are not done."""
        return len(self._jobs)

    def submit(self, job: Job) -> tuple[int, float]:
        """Carry out a job after those of its lane that are there already: its number, and when `perform` is due."""
        now = self._simulation.now
        begins = max(self._free.get(job.lane, now), now)
        due = self._free[job.lane] = begins + self._chance.expovariate(1 / DISK_SECONDS)
        if len(self._free) > _MANY:
            self._free = {lane: free for lane, free in self._free.items() if free > now}
        self._submitted += 1
        self._jobs[self._submitted] = (begins, job)
        return self._submitted, due

    def perform(self, number: int) -> None:
        """It is due."""
        _, job = self._jobs.pop(number)
        self._done(job, self._disk.perform(job.operation))

    def break_off(self) -> None:
        """The node ends. What a lane was doing has been done, or a part of it, or nothing; nobody hears of it."""
        for begins, job in self._jobs.values():
            if begins <= self._simulation.now:
                self._disk.break_off(job.operation, self._chance)
        self._jobs.clear()
