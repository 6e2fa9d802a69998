"""Decides whose disk job is next: in order within a lane, packages in turns, long jobs slice by slice. Pure.

A driver takes a `Turn`, carries out a slice of it and reports it done. Short jobs and long ones have threads of their
own, so that no short one waits for a long one. Among each kind the packages take turns; a package that had nothing to
do until now goes first. So a package's job waits for at most one slice of each other package that has work, however
much that is (G23). A package that went first goes behind the others with its next request, so requesting one thing
after another gains it nothing.

A job that changes a package's files waits until it is known how much the package has (`ledger`), and that is counted
while no job changes them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import NO_TICKET, Job, Measure, is_long, may_be_long

SHORT_AT_ONCE = 4
"""Turns with short jobs that are carried out at the same time."""
LONG_AT_ONCE = 3
"""The same of long ones: each keeps a core busy while it runs."""
LEFT_TO_OTHERS = 1
"""Of the short and of the long turns, threads that one package never has: a sync takes as long as the disk does, and
cannot be sliced.
"""
JOBS_PER_TURN = 4
"""Short jobs of one lane done in one go: a hop to a thread costs as much as reading 200 KB, and a transfer has several
chunks in flight. More would delay the first one's answer.
"""
BEGUN_OF_PARTY = 4
"""Long jobs of one package that are begun and not done: each holds two descriptors."""

COUNTER = object()
"""The owner of a `Measure` that only this module has requested."""

S = TypeVar("S")


@dataclass(slots=True, eq=False)
class _Lane(Generic[S]):
    name: str
    waiting: deque[Job] = field(default_factory=deque)
    """Its jobs; if one is begun, it is the first."""
    steps: S | None = None
    """The state of the job that is begun."""
    going: int = 0
    """How many of the first jobs are being carried out."""
    stopped: bool = False
    """Whether the first job is to be given up."""
    counted: bool = False
    """Whether the first job has waited until what it changes was counted, or could not be."""


@dataclass(slots=True, eq=False)
class Turn(Generic[S]):
    """What is to be done now."""

    lane: _Lane[S]
    jobs: list[Job]
    """Short jobs, one after the other, or one job that is carried out slice by slice."""
    party: str
    long: bool
    steps: S | None
    """What an earlier slice of it has left; None: none has begun."""
    stop: bool
    """Whether to give it up."""
    changes: bool = False
    """Whether it changes packages' files."""


class _Rotation(Generic[S]):
    """Lanes with something to do, and the packages they belong to, in turns."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._going: Counter[str] = Counter()
        """How many turns of each party are being carried out."""
        self._lanes: dict[str, deque[_Lane[S]]] = {}
        self._fresh: deque[str] = deque()
        """Parties that had nothing to do when they last had a turn, or never had one."""
        self._others: deque[str] = deque()

    def put(self, lane: _Lane[S], party: str) -> None:
        lanes = self._lanes.get(party)
        if lanes is None:
            lanes = self._lanes[party] = deque()
            self._fresh.append(party)
        lanes.append(lane)

    def take(self) -> _Lane[S] | None:
        if self._going.total() == self._threads:
            return None
        for _ in range(len(self._lanes)):
            party = (self._fresh or self._others).popleft()
            lanes = self._lanes[party]
            if not lanes:
                del self._lanes[party]
                continue
            self._others.append(party)  # also if that was all: it is not fresh again before its turn has come
            if self._going[party] < self._threads - LEFT_TO_OTHERS:
                return lanes.popleft()
        return None

    def begins(self, party: str) -> None:
        self._going[party] += 1

    def ends(self, party: str) -> None:
        self._going[party] -= 1
        if not self._going[party]:
            del self._going[party]


@dataclass(slots=True, eq=False)
class _Changing(Generic[S]):
    """The jobs that change or count one package's files."""

    jobs: int = 0
    """How many jobs that change them are begun."""
    counter: _Lane[S] | None = None
    """The lane whose first job is to count them, or does so; nobody changes them then."""
    waiting: deque[_Lane[S]] = field(default_factory=deque)


class DiskTurns(Generic[S]):
    """All jobs that are not done; `S` is what a slice leaves behind for the next one."""

    def __init__(self, ledger: Ledger, given_up: Callable[[Job], None]) -> None:
        """`given_up` gets a job that was stopped before it was begun."""
        self._ledger = ledger
        self._given_up = given_up
        self._lanes: dict[str, _Lane[S]] = {}
        self._short: _Rotation[S] = _Rotation(SHORT_AT_ONCE)
        self._long: _Rotation[S] = _Rotation(LONG_AT_ONCE)
        self._begun: Counter[str] = Counter()
        """How many jobs of each party that may be long are begun."""
        self._later: dict[str, deque[_Lane[S]]] = {}
        """For each party, lanes whose first job waits for one of those."""
        self._changing: dict[str, _Changing[S]] = {}
        """The jobs that change or count files, by package."""
        self._tickets: dict[int, _Lane[S]] = {}
        self._changes = 0
        """How many turns that change packages' files are being carried out."""
        self._held: list[_Lane[S]] | None = None
        """While files stay as they are: the lanes whose turn would have been to change them."""

    def submit(self, job: Job) -> None:
        """Append a job to its lane."""
        lane = self._lanes.get(job.lane)
        if lane is None:
            lane = self._lanes[job.lane] = _Lane(job.lane)
        if job.ticket != NO_TICKET:
            self._tickets[job.ticket] = lane
        lane.waiting.append(job)
        if len(lane.waiting) == 1:
            self._ready(lane)

    def take(self) -> Turn[S] | None:
        """Return what is to be done now, beside what is being done; None: nothing, or enough is being done."""
        for long, rotation in ((False, self._short), (True, self._long)):
            while (lane := rotation.take()) is not None:
                changes = bool(self._ledger.changed(lane.waiting[0].operation))
                if changes and self._held is not None:
                    self._held.append(lane)
                    continue
                turn = self._begin(lane, long)
                if turn is not None:
                    turn.changes = changes
                    self._changes += changes
                    lane.going = len(turn.jobs)
                    rotation.begins(turn.party)
                    return turn
        return None

    def done(self, turn: Turn[S], steps: S | None) -> None:
        """End a turn; `steps` is what its job has left for the next slice, or None: all of its jobs are done."""
        (self._long if turn.long else self._short).ends(turn.party)
        self._changes -= turn.changes
        lane = turn.lane
        lane.going, lane.steps = 0, steps
        if steps is not None:
            self._long.put(lane, turn.party)
            return
        lane.stopped = False
        for job in turn.jobs:
            lane.waiting.popleft()
            self._end(job)
        self._go_on(lane)

    def stop(self, ticket: int) -> None:
        """Give up a job; nothing happens if it is done, or short and being done."""
        lane = self._tickets.get(ticket)
        if lane is None:
            return
        place, job = next((place, job) for place, job in enumerate(lane.waiting) if job.ticket == ticket)
        if place == 0:
            lane.stopped = True  # when it has its turn
        elif place >= lane.going:
            lane.waiting.remove(job)
            del self._tickets[ticket]
            self._given_up(job)

    def hold(self) -> None:
        """Let no job change a package's files from now on, not even one that is half done, until `go_on`."""
        if self._held is None:
            self._held = []

    @property
    def is_still(self) -> bool:
        """Whether nothing changes the packages' files now."""
        return not self._changes

    def go_on(self) -> None:
        """End a `hold`."""
        held, self._held = self._held or (), None
        for lane in held:
            if lane.steps is not None:
                self._long.put(lane, lane.waiting[0].party)
            else:
                self._ready(lane)

    @property
    def begun(self) -> list[tuple[Job, S | None]]:
        """Return what the last slices have left of the jobs that are begun and not done, if no slice of them is
        running.
        """
        return [
            (job, None if lane.going else lane.steps)
            for lane in self._lanes.values()
            for job in islice(lane.waiting, lane.going or (lane.steps is not None))
        ]

    def _ready(self, lane: _Lane[S]) -> None:
        first = lane.waiting[0]
        (self._long if is_long(first.operation) else self._short).put(lane, first.party)

    def _begin(self, lane: _Lane[S], long: bool) -> Turn[S] | None:
        """Return the next turn of a lane; None: it has none now, and comes back when it has."""
        job = lane.waiting[0]
        if lane.steps is not None:
            return Turn(lane, [job], job.party, long, lane.steps, lane.stopped)
        if lane.stopped:
            lane.stopped = False
            lane.waiting.popleft()
            del self._tickets[job.ticket]
            self._given_up(job)
            self._go_on(lane)
            return None
        slow = may_be_long(job.operation)
        if not self._may_begin(lane, job, slow):
            return None
        jobs = [job]
        if not slow and len(lane.waiting) > 1:
            packages = self._ledger.changed(job.operation)
            for other in islice(lane.waiting, 1, JOBS_PER_TURN):
                also = self._ledger.changed(other.operation)
                if other.party != job.party or may_be_long(other.operation) or (also and also != packages):
                    break
                for package in also:
                    self._changing[package].jobs += 1
                jobs.append(other)
        return Turn(lane, jobs, job.party, long, None, False)

    def _may_begin(self, lane: _Lane[S], job: Job, slow: bool) -> bool:
        """Whether a lane's first job may be begun, which then counts as begun; otherwise it waits for others."""
        operation = job.operation
        if isinstance(operation, Measure):
            changing = self._changing.setdefault(operation.package, _Changing())
            changing.counter = lane
            return not changing.jobs
        if slow and self._begun[job.party] >= BEGUN_OF_PARTY:
            self._later.setdefault(job.party, deque()).append(lane)
            return False
        packages = self._ledger.changed(operation)
        for package in packages:
            if not self._may_change(package, lane, job.party):
                return False
        lane.counted = False
        for package in packages:
            if package not in self._changing:
                self._changing[package] = _Changing()
            self._changing[package].jobs += 1
        if slow:
            self._begun[job.party] += 1
        return True

    def _may_change(self, package: str, lane: _Lane[S], party: str) -> bool:
        changing = self._changing.get(package)
        if changing is None or changing.counter is None:
            if lane.counted or self._ledger.is_known(package):
                return True
            changing = self._changing.setdefault(package, _Changing())
            count = self._ledger.measure(package)
            self.submit(Job(count, count_lane(package), COUNTER, party))
            changing.counter = self._lanes[count_lane(package)]
        changing.waiting.append(lane)
        return False

    def _end(self, job: Job) -> None:
        """Let others go on that waited for a job, now that it is done."""
        if job.ticket != NO_TICKET:
            self._tickets.pop(job.ticket, None)
        operation = job.operation
        if isinstance(operation, Measure):
            for lane in self._changing.pop(operation.package).waiting:
                lane.counted = True
                self._ready(lane)
            return
        if may_be_long(operation):
            self._begun -= Counter([job.party])  # which forgets those without any
            if (later := self._later.get(job.party)) is not None:
                self._ready(later.popleft())
                if not later:
                    del self._later[job.party]
        for package in self._ledger.changed(operation):
            changing = self._changing[package]
            changing.jobs -= 1
            if not changing.jobs and changing.counter is not None:
                self._ready(changing.counter)
            elif not changing.jobs:
                del self._changing[package]

    def _go_on(self, lane: _Lane[S]) -> None:
        if lane.waiting:
            self._ready(lane)
        else:
            del self._lanes[lane.name]


def count_lane(package: str) -> str:
    """Return the lane of every `Measure` of a package."""
    return f"count {package}"
