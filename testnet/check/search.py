"""The search for a linearization: an order of all operations in which each has the result that the model gives it, and
none comes before one that had returned when it was called.

Theory of operation. Wing and Gong (1993) try the operations that may come next, one after the other, and go back where
the rest finds no order. Lowe (2017) remembers which sets of operations in which state were a dead end: the rest depends
on nothing else. Horn and Kroening (2015) check independent objects apart (`testnet.check.linearizable` partitions).
Three things are added:

- A read that may come next and is right comes next. Whatever order there is, there is one with this read moved here,
since
  it changes no state. So nothing is ever tried in the place of a read.
- An operation of unknown outcome need not come at all, so it is tried when nothing else goes on, and only where it
  changes the state. Of those that do the same, the one that was called first comes first. They are counted, and not
  told
  apart.
- States and kinds of operations are numbers, and each step of the model is asked for once.

A set of operations is the first one that is missing, and the bits of those behind it: as long as few are under way at
once, that is one machine word, however long the history is.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from testnet.check.model import WRONG, Model
from testnet.check.operation import NEVER, UNKNOWN, Instant, Operation, Status, exact
from testnet.check.verdict import VerdictKind

MAX_CONFIGURATIONS = 500_000
"""Sets of operations with a state that one search remembers: about 120 MB, and some seconds."""
MAX_STATE_BYTES = 64 << 20
"""Bytes of all states that one search has come to."""
MAX_STATE_BYTES_AGAIN = 64 << 10
"""The same, where operations may happen any number of times: of queues that only grow."""
MAX_SHARED_BYTES = 8 << 10
"""The same, of which another search is told."""

_WRONG = -1


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """What came of a search."""

    ruling: VerdictKind
    configurations: int
    """How many were looked at."""
    furthest: Instant = NEVER
    """The last return that had to come next in any of them: no order of those looked at goes on beyond it."""


@dataclass(slots=True)
class AskedSteps:
    """The model, asked once for each step. Searches for parts of the same operations may share it."""

    model: Model
    states: list[Any]
    max_bytes: int = MAX_STATE_BYTES
    """Of all states."""
    has_truth: bool = True
    """Whether there may be true and false among the values, which Python takes for numbers."""
    kinds: list[tuple[str, tuple[Any, ...], Any]] = field(default_factory=list)
    tables: list[dict[int, int]] = field(default_factory=list)
    """For each kind of operation, the number of the state after it by that before it; or _WRONG."""
    reads: list[bool] = field(default_factory=list)
    """For each kind of operation, whether it never changes the state."""
    bytes: int = 0
    results: dict[Any, int] = field(default_factory=dict)
    """By the result of reads, the call of the last one."""
    read_until: dict[int, int] = field(default_factory=dict)
    """By the number of a state that is itself the result of reads, as a register's is, the call of the last one."""
    _numbers: dict[Any, int] = field(default_factory=dict)
    _kinds: dict[Any, int] = field(default_factory=dict)
    _of: dict[tuple[int, bool], int] = field(default_factory=dict)
    """The kinds of operations by their number, and whether the result is believed."""

    @classmethod
    def of(cls, model: Model, operations: Iterable[Operation]) -> AskedSteps:
        """Return what knows no step yet."""
        values = ((each.arguments, each.result) for each in operations)
        return cls(model, [model.initial], has_truth=any(exact(each) != each for each in (model.initial, *values)))

    def begin(self, max_bytes: int, results: dict[Any, int]) -> None:
        """Begin another search, with these results of reads."""
        self.max_bytes, self.results = max_bytes, results
        self.read_until = {number: results[state] for number, state in enumerate(self.states) if state in results}

    def _exact(self, value: Any) -> Any:
        return exact(value) if self.has_truth else value

    def kind(self, operation: Operation, *, is_believed: bool = True) -> int:
        """Return the number of what the operation does: its name, arguments and result."""
        is_believed = is_believed and operation.result is not UNKNOWN
        known = self._of.get((operation.number, is_believed))
        if known is not None:
            return known
        what = (operation.name, operation.arguments, operation.result if is_believed else UNKNOWN)
        number = self._kinds.setdefault(self._exact(what), len(self.kinds))
        if number == len(self.kinds):
            self.kinds.append(what)
            self.tables.append({})
            self.reads.append(self.model.is_read(*what))
        self._of[operation.number, is_believed] = number
        return number

    def step(self, kind: int, state: int) -> int:
        """Ask the model for a step that is in no table yet."""
        if not self._numbers:
            self._numbers[self._exact(self.states[0])] = 0
        after = self.model.step(self.states[state], *self.kinds[kind])
        if after is WRONG:
            number = _WRONG
        else:
            number = self._numbers.setdefault(self._exact(after), len(self.states))
            if number == len(self.states):
                self.states.append(after)
                if after in self.results:
                    self.read_until[number] = self.results[after]
                self.bytes += sys.getsizeof(after)
        if self.reads[kind] and number not in (state, _WRONG):
            name = self.kinds[kind][0]
            raise ValueError(
                f"{name!r} has changed the state of a model that counts it among its `reads`: leave it out there."
            )
        self.tables[kind][state] = number
        return number


@dataclass(slots=True)
class _Frame:
    """A configuration whose ways on are being tried."""

    ways: list[tuple[int, int]]
    """Which operation may come next, and the state after it; of unknown ones the kind, as a number below zero."""
    until: int
    """Unknown ones called before this point may come next; -1: they have been added to `ways`."""
    base: int
    done: int
    lost: int
    state: int
    lifted: list[int]
    """The operations that have come to get here."""
    group: int
    """The kind of unknown ones of which one has come to get here, or -1."""
    tried: int = 0


def search(
    model: Model,
    operations: Sequence[Operation],
    limit: int = MAX_CONFIGURATIONS,
    *,
    again: bool = False,
    loose: Collection[int] = (),
    steps: AskedSteps | None = None,
) -> SearchEnd:
    """Say whether there is a linearization of operations of one object. Undecided after `limit` configurations.

    Two things explain more: with `again`, operations of unknown outcome may happen any number of times; the operations
    with the numbers `loose` have happened between their call and their return with any result, or not at all.

    `steps` are those of another search for operations of the same numbers; they may have been softened since. They are
    of no use once they hold many states."""
    if steps is None or steps.bytes > MAX_SHARED_BYTES:
        steps = AskedSteps.of(model, operations)
    known = sorted(
        (
            each
            for each in operations
            if each.status is Status.OK
            and not (each.number in loose and model.is_read(each.name, each.arguments, UNKNOWN))
        ),
        key=lambda each: each.called,
    )
    unknown = sorted(
        (
            each
            for each in operations
            if each.status is Status.UNKNOWN and not model.is_read(each.name, each.arguments, UNKNOWN)
        ),
        key=lambda each: each.called,
    )
    # Points of time as numbers; where two are equal, calls are before returns, so that these operations overlap.
    points = sorted(
        [(each.called, 0, number) for number, each in enumerate(known)]
        + [(each.returned, 1, number) for number, each in enumerate(known)]
    )
    size = len(known)
    call, back = [0] * size, [0] * size
    for place, (_, is_return, number) in enumerate(points):
        (back if is_return else call)[number] = place
    kind = [steps.kind(each, is_believed=each.number not in loose) for each in known]
    groups: dict[int, list[int]] = {}
    for each in unknown:
        # It may come next as soon as nothing has to come before its call.
        groups.setdefault(steps.kind(each), []).append(bisect_left(points, (each.called, 0, -1)))
    may_miss = [each.number in loose for each in known]
    reads = {steps.kinds[kind[it]][2]: call[it] for it in range(size) if steps.reads[kind[it]]}
    steps.begin(MAX_STATE_BYTES_AGAIN if again else MAX_STATE_BYTES, reads)
    ruling, configurations, furthest = _walk(steps, call, back, kind, may_miss, list(groups.items()), limit, again)
    return SearchEnd(ruling, configurations, points[furthest][0] if furthest < 2 * size else NEVER)


def _walk(
    steps: AskedSteps,
    call: list[int],
    back: list[int],
    kind: list[int],
    may_miss: list[bool],
    groups: list[tuple[int, list[int]]],
    limit: int,
    again: bool,
) -> tuple[VerdictKind, int, int]:
    """Try all ways, and return the ruling, how many configurations were looked at, and the place of the last return
    that had to come next in any of them. The operations that have not come yet are a list that is linked in both
    directions, by their calls."""
    size = len(call)
    after, before = [*range(1, size + 1), 0], [size, *range(size)]
    tables, reads, step = steps.tables, steps.reads, steps.step
    taken = [0] * len(groups)
    weights = _weights(groups)
    seen: set[tuple[int, int, int, int]] = set()
    frames: list[_Frame] = []
    lifted: list[int] = []
    base = done = lost = state = 0
    group = -1
    looked_at = count(1)
    may_miss_any = any(may_miss)
    read_until = steps.read_until
    due = _due(steps, kind, back)
    number = furthest = 0
    while True:
        number = next(looked_at)
        ways: list[tuple[int, int]] = []
        until, first_due = 2 * size, -1
        it = after[size]
        while it != size and call[it] < until:
            row = tables[kind[it]]
            new = row[state] if state in row else step(kind[it], state)
            if new == state and reads[kind[it]]:
                left, right = before[it], after[it]
                after[left], before[right] = right, left
                lifted.append(it)
                done |= 1 << (it - base)
                it = right
                continue
            if back[it] < until:
                until, first_due = back[it], it
            if new >= 0:
                ways.append((it, new))
            it = after[it]
        first = after[size]
        if first == size:
            return VerdictKind.HOLDS, number, 2 * size
        if until > furthest:
            furthest = until
        done >>= first - base
        base = first
        key = (base, done, lost, state)
        if key not in seen:
            if number > limit or steps.bytes > steps.max_bytes:
                return VerdictKind.UNDECIDED, number, furthest
            seen.add(key)
            if len(ways) > 1:
                # What nobody reads any more, first, and what is read longest, last; else what must come first.
                ways.sort(key=lambda way: (read_until.get(way[1], -1), due[way[0]], back[way[0]]))
            if may_miss_any:
                # One that may be missing is left out when nothing else goes on before its return.
                ways += [(first_due, state)] * may_miss[first_due]
            frames.append(_Frame(ways, until if groups else -1, base, done, lost, state, lifted, group))
        else:
            _undo(lifted, after, before)
            if group >= 0:
                taken[group] -= 1
        # The next way that was not tried, of the last configuration that has one.
        while frames:
            frame = frames[-1]
            if frame.tried == len(frame.ways) and frame.until >= 0:
                _add_unknown(frame, steps, groups, taken, again)
            if frame.tried < len(frame.ways):
                break
            _undo(frame.lifted, after, before)
            if frame.group >= 0:
                taken[frame.group] -= 1
            frames.pop()
        else:
            return VerdictKind.VIOLATED, number, furthest
        it, state = frame.ways[frame.tried]
        frame.tried += 1
        base, done, lost = frame.base, frame.done, frame.lost
        if it >= 0:
            left, right = before[it], after[it]
            after[left], before[right] = right, left
            lifted, group = [it], -1
            done |= 1 << (it - base)
        else:
            lifted, group = [], -1
            if not again:
                group = ~it
                taken[group] += 1
                lost += weights[group]


def _due(steps: AskedSteps, kind: list[int], back: list[int]) -> list[int]:
    """Return for each operation when somebody is told first of what it does, as far as arguments and results say so:
    what is dequeued first was enqueued first. What is told something itself comes before all others."""
    told: dict[Any, int] = {}
    for it, end in enumerate(back):
        result = steps.kinds[kind[it]][2]
        if result is not None and result is not UNKNOWN:
            told[result] = min(end, told.get(result, end))
    due = []
    for it in range(len(back)):
        _, arguments, result = steps.kinds[kind[it]]
        says = result is not None and result is not UNKNOWN
        due.append(-1 if says else min((told.get(each, len(back) * 2) for each in arguments), default=back[it]))
    return due


def _weights(groups: Sequence[tuple[int, list[int]]]) -> list[int]:
    """Return for each kind of unknown operation what one more of it adds to the number of all that have come."""
    found, weight = [], 1
    for _, calls in groups:
        found.append(weight)
        weight *= len(calls) + 1
    return found


def _add_unknown(
    frame: _Frame, steps: AskedSteps, groups: Sequence[tuple[int, list[int]]], taken: Sequence[int], again: bool
) -> None:
    """Add the operations of unknown outcome that may come next and change the state."""
    for place, (kind, calls) in enumerate(groups):
        many = 0 if again else taken[place]
        if many == len(calls) or calls[many] > frame.until:
            continue
        row = steps.tables[kind]
        new = row[frame.state] if frame.state in row else steps.step(kind, frame.state)
        if new >= 0 and new != frame.state:
            frame.ways.append((~place, new))
    frame.until = -1


def _undo(lifted: list[int], after: list[int], before: list[int]) -> None:
    """Put operations back into the list, the last one first."""
    for it in reversed(lifted):
        after[before[it]] = it
        before[after[it]] = it
