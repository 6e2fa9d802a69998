"""Carries out disk jobs on worker threads, in the order and the turns that `storage.turns` decides."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from nectar_node.driver.work_threads import WorkThreads
from nectar_node.storage.database import Database
from nectar_node.storage.disk import begin, perform
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import STOPPED, Commit, Job, Outcome, Replace, StopJob, may_be_long
from nectar_node.storage.package_databases import PackageDatabases
from nectar_node.storage.package_files import PackageFiles
from nectar_node.storage.steps import Steps
from nectar_node.storage.turns import COUNTER, LONG_AT_ONCE, SHORT_AT_ONCE, DiskTurns, Turn

SLICE_SECONDS = 0.02
"""Seconds after which a long job lets others have their turn: a hop to a thread and back is a hundredth of it."""
STOP_SECONDS = 1.0
"""Seconds that a node that goes down waits for slices to end, so that no temporary file is left; a sync may hang."""


class Lanes:
    """The disk jobs of one node."""

    def __init__(self, ledger: Ledger, database: Database, done: Callable[[Job, Outcome], None]) -> None:
        """`database` is the node's store; `done` gets every job's outcome, on the trio thread."""
        self._ledger = ledger
        self._database = database
        self._databases = PackageDatabases(PackageFiles(ledger, ledger.drives), time.monotonic)
        self._done = done
        self._turns: DiskTurns[Steps] = DiskTurns(ledger, self._given_up)
        self._workers = WorkThreads(SHORT_AT_ONCE + LONG_AT_ONCE, self._slice, self._sliced)
        # The store asks for one commit at a time, and takes its turns itself: it waits for nobody else's.
        self._commits = WorkThreads(1, self._commit, done)
        self._nursery: trio.Nursery | None = None
        self._stopping = False
        self._turn_done: trio.Event | None = None
        """Set when a turn is done, if somebody waits for that."""
        self._telling = False

    def submit(self, job: Job) -> None:
        """Carry out a job after the jobs that its lane has already."""
        if isinstance(job.operation, Commit):
            self._commits.submit(job)
            return
        self._turns.submit(job)
        self._go_on()

    def stop(self, action: StopJob) -> None:
        """Give up a job."""
        self._turns.stop(action.ticket)
        self._go_on()

    async def hold(self) -> None:
        """Return when no job changes a package's files, and none will before `go_on`."""
        self._turns.hold()
        while not self._turns.is_still:
            self._turn_done = trio.Event()
            await self._turn_done.wait()

    def go_on(self) -> None:
        """End a `hold`, whether it has returned or not."""
        self._turns.go_on()
        self._go_on()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; then give up what is begun."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self._workers.run)
            await nursery.start(self._commits.run)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._stopping = True  # running slices see it, and give up what they do
                with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_SECONDS):
                    await self._workers.rest()
                    await self._commits.rest()
                self._workers.close()
                self._commits.close()
                left = [steps for _, steps in self._turns.begun if steps is not None]
                with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_SECONDS):
                    await trio.to_thread.run_sync(_stop_all, left, abandon_on_cancel=True)
                self._databases.close()

    def _go_on(self) -> None:
        while not self._stopping and not self._telling and (turn := self._turns.take()) is not None:
            self._workers.submit(turn)

    def _given_up(self, job: Job) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._tell_stopped, job)  # its requester must not be told within its own call

    async def _tell_stopped(self, job: Job) -> None:
        self._done(job, STOPPED)

    def _sliced(self, turn: Turn[Steps], done: list[Outcome] | None) -> None:
        """Go on after a turn, whose jobs are done with these outcomes, or go on with another slice if it is None."""
        self._turns.done(turn, turn.steps if done is None else None)
        if self._turn_done is not None:
            self._turn_done.set()
            self._turn_done = None
        if self._stopping:
            return
        self._telling = True  # `done` may submit jobs, which take their turns with those that wait
        try:
            for job, outcome in zip(turn.jobs, done or (), strict=False):
                if job.owner is not COUNTER:
                    self._done(job, outcome)
        finally:
            self._telling = False
        self._go_on()

    def _commit(self, job: Job) -> Outcome:
        """Run on the thread of commits."""
        return perform(job.operation, self._ledger, self._database)

    def _slice(self, turn: Turn[Steps]) -> list[Outcome] | None:
        """Run on a thread: return the outcomes, or None if the job goes on with another slice."""
        job = turn.jobs[0]
        # What the node itself must keep is done in one go, which finds a descriptor where there is none (`perform`).
        at_once = not may_be_long(job.operation) or (isinstance(job.operation, Replace) and not job.party)
        if at_once:
            return [perform(job.operation, self._ledger, self._database, self._databases) for job in turn.jobs]
        steps = turn.steps or begin(job.operation, self._ledger, self._databases)
        until = time.monotonic() + SLICE_SECONDS
        while not turn.stop and not self._stopping:
            if steps.step():
                return [steps.outcome]
            if time.monotonic() >= until:
                turn.steps = steps
                return None
        steps.stop()
        return [STOPPED]


def _stop_all(left: list[Steps]) -> None:
    for steps in left:
        steps.stop()
