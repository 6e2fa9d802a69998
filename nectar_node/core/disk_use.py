"""How much each package has on the disk: reported to the user, and watched where guests write past the vfs.

What goes through the vfs and `state` is in the accounts (`storage.ledger`) before it is done. A guest that opens files
by WASI writes to its package's folder by itself, and the operating systems that we run on do not ask us before. So the
folder is counted again while such a guest does anything. When the guest has exceeded its package's quota, or filled the
disk beyond the reserve, all guests of the package that can write so are ended, and the log says why. Until the next
count it can write as fast as the disk allows.

Pure: a part of `core`, with the five verbs of a state machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.events import Kill
from kernel.contract.guest import GuestStatistics
from nectar_node.contract.actions import DiskUsed, LogLine, PackageUse
from nectar_node.storage.ledger import DiskAccount, Ledger
from nectar_node.storage.operations import Counted, DiskError, Job, Outcome, Surveyed
from nectar_node.storage.turns import count_lane
from net.base.timers import Timers

LOOK_SECONDS = 1.0
"""Seconds between two counts of a package whose guests write by WASI."""
LOOK_SHARE = 4
"""Counting takes at most this fraction of the time: one part in so many."""


class _ReportOwner(NamedTuple):
    """The owner of the disk jobs for one report."""

    token: object


class _WatchOwner(NamedTuple):
    """The owner of a count of a package whose guests write by WASI."""

    package: str


DISK_USE = (_ReportOwner, _WatchOwner)
"""Owners of this module's disk jobs."""


def watches_writers(job: Job) -> bool:
    """Whether a job counts a package because its guests, who write by WASI, have done something."""
    return isinstance(job.owner, _WatchOwner)


@dataclass(slots=True)
class _Answer:
    surveyed: Surveyed
    missing: set[str]
    """Packages that are still being counted."""


@dataclass(slots=True)
class _Writers:
    """The guests of one package that open files by WASI."""

    processes: set[ProcessId] = field(default_factory=set)
    polls: int = -1
    """How often they had been polled at the last count."""
    began: float | None = None
    """When the count that is under way began; None: none is."""


class DiskUse:
    """Reports disk use, and ends guests that write more by WASI than they may."""

    def __init__(
        self, ledger: Ledger, statistics: Callable[[ProcessId], GuestStatistics | None], timers: Timers[Any]
    ) -> None:
        """`statistics` returns what a guest has used so far; `timers` gets the earliest deadline."""
        self._timers: Timers[str] = Timers(timers)
        """When each package is to be counted next; none while it is being counted."""
        self._ledger = ledger
        self._statistics = statistics
        self._answers: dict[object, _Answer] = {}
        """Reports in preparation, by token."""
        self._writers: dict[str, _Writers] = {}
        self._out: deque[Job | Kill | LogLine | DiskUsed] = deque()

    def ask(self, token: object) -> None:
        """Begin a report; `DiskUsed` brings it."""
        self._out.append(Job(self._ledger.survey(), "survey", _ReportOwner(token)))

    def starts(self, process: ProcessId, now: float) -> None:
        """Begin to watch a guest that opens files by WASI and is about to run."""
        package = str(process.package_id)
        if package not in self._writers:
            self._writers[package] = _Writers()
            self._timers.set(package, now)
        self._writers[package].processes.add(process)

    def ended(self, process: ProcessId) -> None:
        """Stop watching a guest."""
        package = str(process.package_id)
        writers = self._writers.get(package)
        if writers is not None:
            writers.processes.discard(process)
            if not writers.processes:
                del self._writers[package]
                self._timers.set(package, None)

    def on_timer(self, now: float) -> None:
        """Count the packages that are due and whose guests have done anything since the last count."""
        while (package := self._timers.pop_due(now)) is not None:
            writers = self._writers[package]
            polls = sum(map(self._polls, writers.processes))
            if polls == writers.polls:
                self._timers.set(package, now + LOOK_SECONDS)
                continue
            writers.polls, writers.began = polls, now
            self._count(package, _WatchOwner(package))

    def _polls(self, process: ProcessId) -> int:
        used = self._statistics(process)
        return 0 if used is None else used.polls

    def _count(self, package: str, owner: object) -> None:
        self._out.append(Job(self._ledger.measure(package), count_lane(package), owner, package))

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Learn the outcome of one of this module's jobs."""
        owner = job.owner
        if isinstance(owner, _WatchOwner):
            self._looked(owner.package, outcome, now)
        elif isinstance(owner, _ReportOwner):
            self._told(owner.token, job, outcome)

    def next_action(self) -> Job | Kill | LogLine | DiskUsed | None:
        """Return the next action, or None."""
        return self._out.popleft() if self._out else None

    # --- reports ----------------------------------------------------------------------------------------------------

    def _told(self, token: object, job: Job, outcome: Outcome) -> None:
        if isinstance(outcome, Surveyed):
            missing = set(outcome.packages)  # all are counted again: what the host's users put there is in no account
            self._answers[token] = _Answer(outcome, missing)
            for package in sorted(missing):
                self._count(package, _ReportOwner(token))
        elif token not in self._answers:
            assert isinstance(outcome, DiskError)
            self._out.append(DiskUsed(token, (), 0, 0, 0, outcome.text))
            return
        else:
            self._answers[token].missing.discard(job.party)
        answer = self._answers[token]
        if not answer.missing:
            del self._answers[token]
            rows = tuple(self._row(package) for package in answer.surveyed.packages)
            free, total = answer.surveyed.free, answer.surveyed.total
            self._out.append(DiskUsed(token, rows, free, total, self._ledger.quotas.floor_of(total), None))

    def _row(self, package: str) -> PackageUse:
        account = self._ledger.account(package)
        return PackageUse(package, account.used, account.states, account.quota)

    # --- watching ---------------------------------------------------------------------------------------------------

    def _looked(self, package: str, outcome: Outcome, now: float) -> None:
        writers = self._writers.get(package)
        if writers is None:
            return  # they have ended in the meantime
        began, writers.began = writers.began, None
        took = 0.0 if began is None else now - began
        self._timers.set(package, now + max(LOOK_SECONDS, LOOK_SHARE * took))
        if isinstance(outcome, Counted):
            problem = self._problem(self._ledger.account(package), outcome)
            if problem is not None:
                self._end(package, writers, problem)

    def _problem(self, account: DiskAccount, counted: Counted) -> str | None:
        used, quota = counted.used, account.quota
        if not (counted.unasked.bytes > 0 or counted.unasked.files > 0):
            return None  # it may have been too much before, and they may be reducing it
        if used.bytes > quota.bytes:
            return f"its package has {used.bytes} bytes on the disk, and may have {quota.bytes}"
        if used.files > quota.files:
            return f"its package has {used.files} files and folders, and may have {quota.files}"
        if counted.free < self._ledger.quotas.floor_of(counted.total):
            return f"it writes to a disk with {counted.free} free bytes, which the node keeps for itself"
        return None

    def _end(self, package: str, writers: _Writers, problem: str) -> None:
        for process in sorted(writers.processes):
            self._out.append(LogLine(str(process), 0, f"is ended: {problem} (`nectar df`)"))
            self._out.append(Kill(process))
