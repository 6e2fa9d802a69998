"""Registers whose writes differ: whether their histories are linearizable, without a search.

Theory of operation (Gibbons and Korach, 1997). If no value is written twice, each read tells the write that it has read
from. A write and its reads are a cluster, and stand together in whatever order there is: once another value is
written, this one is never read again. One cluster comes before another if any operation of it had returned when one of
the other was called: if its first return is before the other's last call. Some order fits unless two clusters each
come before the other: of a longer circle of clusters, two always do. So the time is that of sorting, however many
operations are under way at once, and what is wrong is shown with the six operations at most that make it so.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from testnet.check.model import WRONG, Model
from testnet.check.operation import NEVER, UNKNOWN, Instant, Operation, Status, Value, exact

_EVER = Instant(-math.inf, -math.inf)
"""When the initial value was there."""


@dataclass(slots=True)
class _Cluster:
    """A value: its write, None for the initial one, and its reads."""

    write: Operation | None
    ends: Operation | None = None
    """The operation that returns first; None: the initial value was there before all."""
    begins: Operation | None = None
    """The operation that is called last; None: nobody has read the initial value."""

    @property
    def first_return(self) -> Instant:
        return _EVER if self.write is None else NEVER if self.ends is None else self.ends.returned

    @property
    def last_call(self) -> Instant:
        return _EVER if self.begins is None else self.begins.called

    def add(self, operation: Operation) -> None:
        if operation.status is Status.OK and operation.returned < self.first_return:
            self.ends = operation
        if operation.called > self.last_call:
            self.begins = operation

    def operations(self) -> list[Operation]:
        return [each for each in (self.write, self.ends, self.begins) if each is not None]


def clash(model: Model, operations: Sequence[Operation]) -> tuple[Operation, ...] | None:
    """Return the operations of one object that no order explains: none of them if the object is linearizable; None
    where it is no register whose writes differ."""
    if not model.assignments or not _is_register(model, operations):
        return None
    clusters = {exact(model.initial): _Cluster(None)}
    for each in operations:
        if each.name in model.assignments and each.status is not Status.FAILED:
            value = exact(each.arguments[-1])
            if value in clusters:
                return None
            clusters[value] = _Cluster(each)
            clusters[value].add(each)
    read: set[Value] = set()
    for each in operations:
        if each.name not in model.reads or each.status is not Status.OK or each.result is UNKNOWN:
            continue
        value = exact(each.result)
        of = clusters.get(value)
        if of is None:
            return (each,)
        if of.write is not None and each.is_before(of.write):
            return each, of.write
        of.add(each)
        read.add(value)
    # A write that may not have happened, and that nobody has read, is in nobody's way.
    return _first_clash(
        [of for value, of in clusters.items() if value in read or (of.write and of.write.status is Status.OK)]
    )


def _is_register(model: Model, operations: Sequence[Operation]) -> bool:
    """Whether there are reads and assignments alone, and the model does what it says of them: a class that has changed
    one of its methods may not."""
    before = other = model.initial
    for each in operations:
        if each.status is Status.FAILED:
            continue
        if each.name in model.assignments:
            value = each.arguments[-1] if each.arguments else None
            if exact(model.step(before, each.name, each.arguments, each.result)) != exact(value):
                return False
            before, other = value, before
        elif each.name in model.reads and each.status is Status.OK and each.result is not UNKNOWN:
            after = model.step(each.result, each.name, each.arguments, each.result)
            wrong = before if exact(before) != exact(each.result) else other
            is_same = exact(wrong) == exact(each.result)
            if after is WRONG or exact(after) != exact(each.result):
                return False
            if not is_same and model.step(wrong, each.name, each.arguments, each.result) is not WRONG:
                return False
        elif each.name not in model.reads:
            return False
    return True


def _first_clash(clusters: list[_Cluster]) -> tuple[Operation, ...]:
    """Return the operations of the two clusters that come before each other first, or none."""
    clusters.sort(key=lambda of: of.last_call)
    calls: list[Instant] = []
    least: list[_Cluster] = []
    """Of the clusters so far, those of which no later one has an earlier first return; `calls` are their last calls."""
    for one in clusters:
        place = bisect_right(calls, one.first_return)
        if place < len(least) and least[place].first_return < one.last_call:
            return tuple(sorted({*least[place].operations(), *one.operations()}, key=lambda each: each.number))
        while least and least[-1].first_return >= one.first_return:
            least.pop()
            calls.pop()
        least.append(one)
        calls.append(one.last_call)
    return ()
