"""A simulated node's disk jobs: in the order and in the turns of a real node's, each slice with its own virtual
time."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nectar_node.storage.operations import STOPPED, Job, Outcome, RunSql, StopJob, may_be_long
from nectar_node.storage.steps import Steps
from nectar_node.storage.turns import COUNTER, DiskTurns, Turn
from testnet.model.points import WRITE, Begun
from testnet.sim.disk.disk import READS, SimDisk
from testnet.sim.timeline import Timeline

DISK_SECONDS = 0.002
"""The mean duration of a disk operation, or of one slice; on real disks a sync takes long."""
STEPS_IN_SLICE = 1
"""Steps in one slice; each is a MiB of a file that is hashed or copied: half a gigabyte in a virtual second."""


class SimLanes:
    """The disk jobs of one boot of one node."""

    def __init__(
        self,
        timeline: Timeline,
        disk: SimDisk,
        chance: Random,
        done: Callable[[Job, Outcome], None],
        at: Callable[[float, Callable[[], None]], None],
        host: str = "",
        halted: Callable[[], bool] = lambda: False,
    ) -> None:
        """`done` takes each job's outcome, `chance` draws how long a job takes, and `at` schedules a callback.

        `halted` says whether the node on `host` has just been struck, and does nothing more.
        """
        self._host = host
        self._halted = halted
        self._timeline = timeline
        self._disk = disk
        self._chance = chance
        self._done = done
        self._at = at
        self._turns: DiskTurns[Steps] = DiskTurns(disk.ledger, self._given_up)
        self._at_work: dict[Turn[Steps], Job] = {}
        """The turns that are being carried out, and the job of each that is under way."""
        self._begun: dict[Turn[Steps], Begun] = {}
        """The events of those that change the disk."""
        self._broken_off = False
        self.waiting = 0
        """The number of jobs that are not done yet."""

    def submit(self, job: Job) -> None:
        """Carry out `job` after the earlier jobs of its lane."""
        self.waiting += 1
        self._turns.submit(job)
        self._go_on()

    def stop(self, action: StopJob) -> None:
        """Give up the job that `action` names."""
        self._turns.stop(action.ticket)
        self._go_on()

    def _given_up(self, job: Job) -> None:
        self._at(self._timeline.now, lambda: self._tell(job, STOPPED))

    def _tell(self, job: Job, outcome: Outcome) -> None:
        if job.owner is not COUNTER:
            self.waiting -= 1
            self._done(job, outcome)

    def _go_on(self) -> None:
        while (turn := self._turns.take()) is not None:
            self._begin(turn, 0)

    def _begin(self, turn: Turn[Steps], done: int) -> None:
        """Begin the next job of `turn`, of which `done` jobs are done."""
        self._at_work[turn] = turn.jobs[done]
        due = self._timeline.now + self._chance.expovariate(1 / DISK_SECONDS)
        self._at(due, lambda: self._carry_out(turn, done))

    def _carry_out(self, turn: Turn[Steps], done: int) -> None:
        """Carry out the job of `turn` that is due."""
        if self._broken_off:
            return
        job, points = turn.jobs[done], self._timeline.points
        if points.active and turn.steps is None and not isinstance(job.operation, READS):
            self._begun[turn] = points.before(self._host, WRITE)
        if self._halted():
            del self._at_work[turn]  # it is not done at all
            return
        steps, outcome = self._slice(turn, job)
        if steps is None and (begun := self._begun.pop(turn, None)) is not None:
            points.after(begun, type(job.operation).__name__, self._timeline.now)
        if self._halted():
            del self._at_work[turn]  # it is as far as it is
            return
        if steps is None and done + 1 < len(turn.jobs):
            self._begin(turn, done + 1)
        else:
            del self._at_work[turn]
            self._turns.done(turn, steps)
        if steps is None:
            self._tell(job, outcome)
        self._go_on()

    def _slice(self, turn: Turn[Steps], job: Job) -> tuple[Steps | None, Outcome]:
        """Run one slice of `job`. Return the remaining steps, or None and the outcome."""
        if turn.steps is None and not may_be_long(job.operation):
            return None, self._disk.perform(job.operation)
        steps = turn.steps or self._disk.begin(job.operation)
        if turn.stop:
            steps.stop()
        elif not any(steps.step() for _ in range(STEPS_IN_SLICE)):
            return steps, None
        return None, steps.outcome

    def break_off(self) -> None:
        """End with the node: what a lane was doing is done, partly done or not done, and nobody is told."""
        self._broken_off = True
        begun = [(job, turn.steps) for turn, job in self._at_work.items()]
        begun += [(job, steps) for job, steps in self._turns.begun if steps is not None]
        for job, steps in begun:
            if steps is not None and isinstance(job.operation, RunSql):
                steps.stop()  # nothing of it is on the disk before it commits
        for job, _ in begun:
            self._disk.break_off(job.operation, self._chance)
