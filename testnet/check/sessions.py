"""Promises about what a client sees that goes from one operation to the next: Terry and others, 1994, and causal order.

A read's arguments are its key, and its result is the value; a write's last argument is the value, the others are the
key.
Which of two writes is older is known by `version`, or from who could know of whom: so each write of a key needs a
value of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from testnet.check.operation import Operation, Status, Value, exact, same, text_of
from testnet.check.verdict import Verdict, holds, undecided, violated

Version: TypeAlias = Callable[[Operation], int | None]
"""Returns the version that a read has seen, or that a write has made; None: it says nothing of that."""
Key: TypeAlias = tuple[Value, ...]


class _Twice(Exception):
    """Two writes of a key have the same value; the text says which."""


@dataclass(frozen=True, slots=True)
class _Session:
    """What these promises have in common."""

    reads: tuple[str, ...] = ("read", "get")
    writes: tuple[str, ...] = ("write", "put")
    version: Version | None = None
    initial: Value = None
    """What is read of a key that nobody has written."""

    def _check(
        self,
        operations: Sequence[Operation],
        of_versions: Callable[[_Versions], Verdict],
        of_causes: Callable[[_Causes], Verdict],
    ) -> Verdict:
        mine = [each for each in operations if each.name in (*self.reads, *self.writes)]
        if self.version is not None:
            return of_versions(_Versions(mine, frozenset(self.writes), self.version))
        try:
            causes = _Causes(mine, frozenset(self.writes), self.initial)
        except _Twice as error:
            return undecided(str(error))
        return causes.wrong if causes.wrong is not None else of_causes(causes)


@dataclass(frozen=True, slots=True)
class ReadYourWrites(_Session):
    """A client's read shows its own latest write of the key, or a newer one."""

    name: str = "read your writes"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Compare each read with the client's writes that had returned before."""
        text = "a client does not read what it has written"
        return self._check(
            operations,
            lambda found: found.goes_back(text, by_writes=True),
            lambda found: found.forgets(text, lambda read, seen: seen.client == read.client and found.is_write(seen)),
        )


@dataclass(frozen=True, slots=True)
class MonotonicReads(_Session):
    """What a client has read of a key it does not read older again."""

    name: str = "monotonic reads"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Compare each read with the client's reads that had returned before."""
        text = "a client reads an older value than before"
        return self._check(
            operations,
            lambda found: found.goes_back(text, by_writes=False),
            lambda found: found.forgets_read(text),
        )


@dataclass(frozen=True, slots=True)
class MonotonicWrites(_Session):
    """The writes of a client are seen by all in the order in which it made them."""

    name: str = "monotonic writes"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Compare what each client reads, one after the other, with the order of their writer."""
        return self._check(operations, lambda found: found.writes_grow(), lambda found: found.writes_out_of_order())


@dataclass(frozen=True, slots=True)
class CausalOrder(_Session):
    """Nobody sees the effect of an operation without what its client knew when it called it.

    These are the bad patterns of Bouajjani and others (2017), which are all that can be wrong where each write of a key
    has a value of its own. It includes the three others. `version` is not looked at."""

    name: str = "causal order"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Compare each read with all that its client could know."""
        mine = [each for each in operations if each.name in (*self.reads, *self.writes)]
        try:
            causes = _Causes(mine, frozenset(self.writes), self.initial)
        except _Twice as error:
            return undecided(str(error))
        text = "a client reads a value that it could know to be older"
        return causes.wrong if causes.wrong is not None else causes.forgets(text, lambda read, seen: True)


# --- by versions ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Versions:
    """Operations that say which version they have read or made."""

    operations: Sequence[Operation]
    writes: frozenset[str]
    version: Version

    def key(self, operation: Operation) -> Key:
        found = operation.arguments[:-1] if operation.name in self.writes else operation.arguments
        return tuple(map(exact, found))

    def _pairs(
        self, sees: Callable[[Operation], bool], judged: Callable[[Operation], bool]
    ) -> Iterator[tuple[Operation, Operation]]:
        """Yield each operation that is judged after the one with the highest version of its key that its client had
        seen before."""
        known: defaultdict[tuple[str, Key], list[Operation]] = defaultdict(list)
        for each in self.operations:
            if each.status is not Status.OK or self.version(each) is None:
                continue
            place = (each.client, self.key(each))
            before = [other for other in known[place] if other.is_before(each)]
            if before and judged(each):
                yield max(before, key=lambda other: self.version(other) or 0), each
            if sees(each):
                # What has a lower version and an earlier end says nothing more.
                version = self.version(each) or 0
                known[place] = [o for o in known[place] if (self.version(o) or 0) > version or o.returned > each.called]
                known[place].append(each)

    def goes_back(self, text: str, *, by_writes: bool) -> Verdict:
        def sees(each: Operation) -> bool:
            return (each.name in self.writes) == by_writes

        for before, read in self._pairs(sees, lambda each: each.name not in self.writes):
            if (self.version(read) or 0) < (self.version(before) or 0):
                return violated(text, before, read)
        return holds()

    def writes_grow(self) -> Verdict:
        def is_write(each: Operation) -> bool:
            return each.name in self.writes

        for before, write in self._pairs(is_write, is_write):
            if (self.version(write) or 0) <= (self.version(before) or 0):
                return violated("a client's later write has no later version", before, write)
        return holds()


# --- by causes ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Causes:
    """Which operation could know of which: those of its client before it, and the write that a read has read from, and
    what these could know of.

    The operations of a client that overlap lie in lanes of their own; so does one of unknown outcome, which may
    happen after whatever its client does then. `clocks` are vector clocks over the lanes.
    """

    operations: Sequence[Operation]
    writes: frozenset[str]
    initial: Value
    wrong: Verdict | None = None
    """A violation that says more than any other: a value from nowhere, or from the future."""
    _lane: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By an operation's number, its lane and its place there, from 1."""
    _clocks: dict[int, dict[int, int]] = field(default_factory=dict)
    _source: dict[int, Operation | None] = field(default_factory=dict)
    """By the number of a read, the write that it has read from; None: the initial value."""
    _writes_of: dict[tuple[int, Key], list[tuple[int, Operation]]] = field(default_factory=dict)
    """By lane and key, the writes that have happened and their places."""

    def __post_init__(self) -> None:
        happened = [each for each in self.operations if each.status is not Status.FAILED]
        made: dict[tuple[Key, Value], Operation] = {}
        for each in happened:
            if self.is_write(each):
                other = made.setdefault((self.key(each), exact(each.arguments[-1])), each)
                if other is not each:
                    raise _Twice(f"{other.line()} and {each.line()} write one value; each write of a key needs its own")
        for each in happened:
            if not self.is_write(each) and each.status is Status.OK:
                source = made.get((self.key(each), exact(each.result)))
                if source is None and not same(each.result, self.initial):
                    self.wrong = violated(f"{text_of(each.result)} was read, and nobody has written it", each)
                    return
                self._source[each.number] = source
        self._count(happened)

    def is_write(self, operation: Operation) -> bool:
        return operation.name in self.writes

    def key(self, operation: Operation) -> Key:
        found = operation.arguments[:-1] if self.is_write(operation) else operation.arguments
        return tuple(map(exact, found))

    def knows(self, operation: Operation, other: Operation) -> bool:
        """Whether `operation` comes after `other`, which could be known."""
        lane, place = self._lane[other.number]
        return self._clocks[operation.number].get(lane, 0) >= place and operation is not other

    def _count(self, happened: Sequence[Operation]) -> None:
        before: dict[int, list[Operation]] = {}
        lanes: defaultdict[str, list[list[Operation]]] = defaultdict(list)
        numbers: dict[int, int] = {}
        for each in happened:
            mine = lanes[each.client]
            # Of each lane, the last one that had returned.
            before[each.number] = [
                lane[at - 1]
                for lane in mine
                if (at := bisect_right(lane, each.called, key=lambda one: one.returned)) > 0
            ]
            lane = next((one for one in mine if one[-1].returned < each.called), None)
            if lane is None:
                lane = []
                mine.append(lane)
            lane.append(each)
            number = numbers.setdefault(id(lane), len(numbers))
            self._lane[each.number] = (number, len(lane))
        self._order(happened, before)
        read = {source.number for source in self._source.values() if source is not None}
        for each in happened:
            if self.is_write(each) and (each.status is Status.OK or each.number in read):
                number, place = self._lane[each.number]
                self._writes_of.setdefault((number, self.key(each)), []).append((place, each))

    def _order(self, happened: Sequence[Operation], before: dict[int, list[Operation]]) -> None:
        waits: dict[int, int] = {}
        after: defaultdict[int, list[Operation]] = defaultdict(list)
        for each in happened:
            source = self._source.get(each.number)
            causes = [*before[each.number], *([source] if source is not None else [])]
            before[each.number] = causes
            waits[each.number] = len(causes)
            for other in causes:
                after[other.number].append(each)
        ready = [each for each in happened if waits[each.number] == 0]
        while ready:
            each = ready.pop()
            clock: dict[int, int] = {}
            for other in before[each.number]:
                for number, at in self._clocks[other.number].items():
                    if at > clock.get(number, 0):
                        clock[number] = at
            number, place = self._lane[each.number]
            clock[number] = place
            self._clocks[each.number] = clock
            for other in after[each.number]:
                waits[other.number] -= 1
                if waits[other.number] == 0:
                    ready.append(other)
        for each in happened:
            source = self._source.get(each.number)
            if source is not None and each.number not in self._clocks:
                self.wrong = violated("a read has a value that was written because of it", each, source)
                return

    def forgets(self, text: str, seen_counts: Callable[[Operation, Operation], bool]) -> Verdict:
        """Find a read whose value is older than a write that it could know of and that counts."""
        keys: defaultdict[Key, list[int]] = defaultdict(list)
        for lane, key in self._writes_of:
            keys[key].append(lane)
        for read in self.operations:
            if read.number not in self._source:
                continue
            key, source, clock = self.key(read), self._source[read.number], self._clocks[read.number]
            for lane in keys[key]:
                there = self._writes_of[lane, key]
                at = bisect_right(there, clock.get(lane, 0), key=lambda each: each[0])
                if at == 0:
                    continue
                seen = there[at - 1][1]
                if seen is not source and seen_counts(read, seen) and (source is None or self.knows(seen, source)):
                    return violated(text, *([source] if source is not None else []), seen, read)
        return holds()

    def forgets_read(self, text: str) -> Verdict:
        """Find a client that has read a write, and later reads one that the write could know of, or none."""
        latest: defaultdict[tuple[str, Key], list[Operation]] = defaultdict(list)
        for read in self.operations:
            if read.number not in self._source:
                continue
            place, source = (read.client, self.key(read)), self._source[read.number]
            for other in latest[place]:
                seen = self._source[other.number]
                if seen is None or seen is source or not other.is_before(read):
                    continue
                if source is None or self.knows(seen, source):
                    return violated(text, *([source] if source is not None else []), seen, other, read)
            latest[place] = [each for each in latest[place] if self._source[each.number] is not source]
            latest[place].append(read)
        return holds()

    def writes_out_of_order(self) -> Verdict:
        """Find a client that reads a write, and later does not see an earlier one of the same writer."""
        seen: defaultdict[str, dict[int, tuple[Operation, Operation]]] = defaultdict(dict)
        keys: defaultdict[Key, list[int]] = defaultdict(list)
        for lane, key in self._writes_of:
            keys[key].append(lane)
        for read in self.operations:
            if read.number not in self._source:
                continue
            key, source, known = self.key(read), self._source[read.number], seen[read.client]
            for lane in keys[key]:
                if lane not in known or not known[lane][1].is_before(read):
                    continue
                write, other = known[lane]
                there = self._writes_of[lane, key]
                at = bisect_right(there, self._lane[write.number][1], key=lambda each: each[0])
                if at == 0:
                    continue
                earlier = there[at - 1][1]
                is_older = source is None or (
                    self._lane[source.number] < self._lane[earlier.number] and self._lane[source.number][0] == lane
                )
                if is_older:
                    text = f"the writes of {write.client} are seen in another order than it made them"
                    return violated(text, earlier, write, other, read)
            if source is not None:
                lane, place = self._lane[source.number]
                if lane not in known or place > self._lane[known[lane][0].number][1]:
                    known[lane] = (source, read)
        return holds()
