"""One run again and again, with a fault at each of its events in turn, and then with two.

Pure. Of events between which a node does nothing that outlives it, and that nobody else sees, a fault that ends the
node is played at the first alone: what it loses is lost in any case.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from random import Random
from typing import TypeAlias

from testnet.faults.black_hole import BlackHole
from testnet.faults.crash import Crash
from testnet.faults.disk_error import FailingDisk
from testnet.faults.no_memory import RefusedMemory
from testnet.faults.pause import Pause
from testnet.faults.reset import ConnectionReset
from testnet.faults.schedule import Step
from testnet.faults.unsynced import Unsynced
from testnet.model.points import AFTER, BEFORE, SEND, STEP, STORE_WRITE, WRITE, Point, SeenEvent, SentBytes
from testnet.model.rule import Fault
from testnet.model.where import Where
from testnet.scenarios.scenario import Plan
from testnet.sweep.sweep import SweepTally
from testnet.sweep.verdict import RunVerdict

STRIKES = {
    "crash": "the node ends as by kill -9 at each step of a message, each send, and before and after each write",
    "power": "its machine loses power there, with all that was not synced",
    "pause": "the node stands still from each instant on at which it has done something",
    "memory": "the node's processes get no more memory from each instant on at which it has done something",
    "cut": "the connection breaks in each part of each record",
    "drop": "the bytes, and all that follow on their connection, are lost, and nobody is told",
    "disk-error": "each operation that changes the disk, and each write of a database, fails",
}
"""The faults that can be at every event, each in words."""
LASTS = {"crash": 1.0, "power": 1.0, "pause": 3.0, "memory": 1.0}
"""Seconds for which they hold; the others hold for their event alone."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault at one event."""

    step: Step
    fault: str
    """A key of `STRIKES`."""
    what: str
    """The kind of record."""
    stands_for: int = 1
    """Points, with this one, that come to the same."""

    @property
    def group(self) -> Group:
        """Return where this belongs in a summary: fault, node, kind of event, kind of record."""
        assert self.step.event is not None
        return self.fault, self.step.event.node, self.step.event.kind, self.what


Group: TypeAlias = tuple[str, str, str, str]


def seen_untrusted(text: str) -> list[SeenEvent]:
    """Read the events that a worker has written."""
    read: list[SeenEvent] = []
    for node, kind, number, what, at, before, after, sent in json.loads(text):
        read.append(SeenEvent(node, kind, number, what, at, before, after, None if sent is None else SentBytes(*sent)))
    return read


def strikes(seen: Sequence[SeenEvent], fault: str, seconds: float | None = None) -> list[Strike]:
    """Return a fault at each event of a run where it can be, in order; those that come to the same only once."""
    lasts = LASTS.get(fault, 0.0) if seconds is None else seconds
    match fault:
        case "crash" | "power":
            kind = Crash if fault == "crash" else Unsynced
            return _merged(
                fault, [(key, _at(each, side, kind(each.node), lasts), each.what) for each, side, key in _ends(seen)]
            )
        case "pause" | "memory":
            holds = Pause if fault == "pause" else RefusedMemory
            instants = [
                (f"{each.node} {each.at}", _at(each, AFTER, holds(each.node), lasts), each.what) for each in seen
            ]
            return _merged(fault, instants)
        case "cut":
            return [Strike(step, fault, what) for each in seen for what, step in _cuts(each)]
        case "drop":
            lost = [(each, each.sent) for each in seen if each.sent is not None]
            return [
                Strike(_at(each, BEFORE, BlackHole(Where(each.node, sent.target, both=False))), fault, each.what)
                for each, sent in lost
            ]
        case _:
            writes = [each for each in seen if each.kind in (WRITE, STORE_WRITE)]
            return [Strike(_at(each, BEFORE, FailingDisk(each.node)), fault, each.what) for each in writes]


def _at(each: SeenEvent, side: str, fault: Fault, lasts: float = 0.0) -> Step:
    return Step(each.at, round(each.at + lasts, 9), fault, Point(side, each.kind, each.number, each.node))


def _ends(seen: Sequence[SeenEvent]) -> Iterator[tuple[SeenEvent, str, str]]:
    """Yield each point at which a node can end, with what tells it from others: how far the node had come."""
    for each in seen:
        if each.kind in (WRITE, STORE_WRITE):
            yield each, BEFORE, f"{each.node} {each.before}"
        if each.kind in (STEP, SEND, WRITE):
            yield each, AFTER, f"{each.node} {each.after}"


def _merged(fault: str, points: Sequence[tuple[str, Step, str]]) -> list[Strike]:
    same = Counter(key for key, _, _ in points)
    first = {key: (step, what) for key, step, what in reversed(points)}
    found = [Strike(step, fault, what, same[key]) for key, (step, what) in first.items()]
    return sorted(found, key=lambda strike: strike.step.at)


def _cuts(each: SeenEvent) -> Iterator[tuple[str, Step]]:
    sent = each.sent
    if each.kind == SEND and sent is not None:
        where = Where(each.node, sent.target, both=False)
        for part, byte in sent.cuts.items():
            yield f"{each.what}, {part}", _at(each, BEFORE, ConnectionReset(byte=byte, where=where))


def pairs(found: Sequence[Strike], chance: Random, most: int) -> Iterator[tuple[Strike, Strike]]:
    """Yield pairs of different strikes, the earlier one first: all, or `most` of them that `chance` draws."""
    count = math.comb(len(found), 2)
    if count <= most:
        yield from combinations(found, 2)
        return
    drawn: set[tuple[int, int]] = set()
    while len(drawn) < most:
        one, other = sorted(chance.sample(range(len(found)), 2))
        if (one, other) not in drawn:
            drawn.add((one, other))
            yield found[one], found[other]


def struck(plan: Plan, *found: Strike) -> Plan:
    """Return the plan with these faults as well."""
    return replace(plan, schedule=(*plan.schedule, *(strike.step for strike in found)))


@dataclass(slots=True)
class Covered:
    """What was played of one group."""

    points: int = 0
    """Events at which the fault can be, those that come to the same as another one among them."""
    runs: int = 0
    """Runs that these need."""
    played: int = 0
    failed: int = 0


@dataclass(slots=True)
class ExhaustTally(SweepTally):
    """The results so far, of runs with one fault, and with two."""

    groups: dict[Group, Covered] = field(default_factory=dict)
    pairs_played: int = 0
    pairs_failed: int = 0
    _under_way: dict[int, tuple[Strike, ...]] = field(default_factory=dict)

    def expect(self, found: Sequence[Strike]) -> None:
        """Take the strikes that are to be played alone."""
        for each in found:
            covered = self.groups.setdefault(each.group, Covered())
            covered.points += each.stands_for
            covered.runs += 1

    def begin(self, plan: Plan, *found: Strike) -> Plan:
        """Return the plan with these faults, whose verdict `add` will take."""
        made = struck(plan, *found)
        self._under_way[id(made)] = found
        return made

    def add(self, verdict: RunVerdict) -> None:
        SweepTally.add(self, verdict)
        found = self._under_way.pop(id(verdict.plan))
        if len(found) > 1:
            self.pairs_played += 1
            self.pairs_failed += not verdict.passed
            return
        covered = self.groups[found[0].group]
        covered.played += 1
        covered.failed += not verdict.passed
