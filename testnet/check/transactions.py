"""Transactions on lists: which isolation a history shows not to have been kept, by circles of dependencies.

The method is that of Elle (Kingsbury and Alvaro, 2020), the phenomena are Adya's (1999). Each element is appended to
its list once, so what is read of a list says which appends it has seen, in order: versions need not be guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from testnet.check.graph import shortest_path, strong_parts
from testnet.check.operation import Operation, Status, Value, text_of
from testnet.check.verdict import Verdict, holds, undecided, violated

APPEND, READ = "append", "r"
MAX_TRIED = 2_000
"""Edges of one kind from which a circle is looked for."""

LEVELS = {
    "read uncommitted": ("G0",),
    "read committed": ("G0", "G1a", "G1b", "G1c"),
    "snapshot isolation": ("G0", "G1a", "G1b", "G1c", "G-single"),
    "serializable": ("G0", "G1a", "G1b", "G1c", "G-single", "G2"),
}
"""What each level of isolation excludes."""
ABOUT = {
    "G0": "writes of transactions are in a circle",
    "G1a": "a transaction has read what an aborted one wrote",
    "G1b": "a transaction has read what another had written in its midst",
    "G1c": "transactions that each know of the next are in a circle",
    "G-single": "a transaction has seen one part of another and not the rest",
    "G2": "transactions have each not seen what the next one wrote",
}


@dataclass(frozen=True, slots=True)
class Transactions:
    """Transactions that append to lists and read them keep a level of isolation.

    An operation `txn(steps)` has as its only argument a list of steps, each `["append", key, element]` or `["r", key,
    null]`;
    its result is the same list, with the lists that were read. One that FAILED was aborted."""

    level: str = "serializable"
    """One of LEVELS."""
    operations_called: tuple[str, ...] = ("txn",)
    name: str = field(default="")

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"There is no isolation {self.level!r}; there are {', '.join(LEVELS)}.")
        if not self.name:
            object.__setattr__(self, "name", self.level)

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Name the first phenomenon that the level excludes, the gravest first."""
        mine = [each for each in operations if each.name in self.operations_called]
        try:
            graph = _Dependencies(mine)
        except _Unreadable as error:
            return undecided(str(error))
        if graph.wrong is not None:
            return graph.wrong
        for what in LEVELS[self.level]:
            if (found := graph.find(what)) is not None:
                return violated(
                    f"{what}: {ABOUT[what]}{_told(graph, found)}", *(graph.transactions[each] for each in found)
                )
        return holds()


class _Unreadable(Exception):
    """The history does not say what is needed; the text says why."""


def anomalies(operations: Sequence[Operation]) -> tuple[str, ...]:
    """Return the names of all phenomena in a history of transactions, in the order of LEVELS; raises ValueError for one
    that cannot be read."""
    try:
        graph = _Dependencies([each for each in operations if each.name == "txn"])
    except _Unreadable as error:
        raise ValueError(str(error)) from None
    return tuple(each for each in ABOUT if graph.find(each) is not None)


class _Dependencies:
    """Which transaction depends on which: ww where one overwrites what the other wrote, wr where one reads it, rw where
    one has read what the other overwrites."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.transactions = list(operations)
        self.wrong: Verdict | None = None
        """A violation of any isolation: lists that contradict each other."""
        self._edges: dict[str, defaultdict[int, list[int]]] = {each: defaultdict(list) for each in ("ww", "wr", "rw")}
        self._aborted: list[tuple[int, int]] = []
        """G1a: who has read what whom appended."""
        self._midst: list[tuple[int, int]] = []
        """G1b: the same."""
        appended: dict[tuple[Value, Value], int] = {}
        last: dict[tuple[int, Value], Value] = {}
        reads: defaultdict[Value, list[tuple[tuple[Value, ...], int]]] = defaultdict(list)
        for number, each in enumerate(self.transactions):
            mine: defaultdict[Value, list[Value]] = defaultdict(list)
            for what, key, value in _steps(each):
                if what == APPEND:
                    if appended.setdefault((key, value), number) != number or value in mine[key]:
                        raise _Unreadable(
                            f"{text_of(value)} is appended to {text_of(key)} twice; each element must be new"
                        )
                    mine[key].append(value)
                    last[number, key] = value
                elif each.status is Status.OK:
                    self._internal(each, key, value, mine[key])
                    seen = value[: len(value) - len(mine[key])] if mine[key] else value
                    reads[key].append((seen, number))
        for key, those in reads.items():
            self._connect(key, those, appended, last)

    def _internal(self, each: Operation, key: Value, value: Any, mine: Sequence[Value]) -> None:
        if not isinstance(value, tuple):
            raise _Unreadable(f"{each.words()} has read no list of {text_of(key)}")
        if tuple(value[len(value) - len(mine) :]) != tuple(mine):
            self.wrong = violated(f"a transaction does not read its own appends to {text_of(key)}", each)

    def _connect(
        self,
        key: Value,
        reads: Sequence[tuple[tuple[Value, ...], int]],
        appended: dict[tuple[Value, Value], int],
        last: dict[tuple[int, Value], Value],
    ) -> None:
        order, longest = max(reads, key=lambda each: len(each[0]))
        if len(set(order)) < len(order):
            self.wrong = violated(f"an element of {text_of(key)} is there twice", self.transactions[longest])
            return
        writers = []
        for element in order:
            writer = appended.get((key, element))
            if writer is None:
                text = f"{text_of(element)} of {text_of(key)} was read, and nobody has appended it"
                self.wrong = violated(text, self.transactions[longest])
                return
            writers.append(writer)
        for before, after in pairwise(writers):
            self._add("ww", before, after)
        for seen, reader in reads:
            if seen != order[: len(seen)]:
                text = (
                    f"two transactions have read lists of {text_of(key)} of which neither is the beginning of the other"
                )
                self.wrong = violated(text, self.transactions[longest], self.transactions[reader])
                return
            for writer in dict.fromkeys(writers[: len(seen)]):
                if self.transactions[writer].status is Status.FAILED:
                    self._aborted.append((writer, reader))
            if seen:
                writer = writers[len(seen) - 1]
                if writer != reader and last[writer, key] != seen[-1]:
                    self._midst.append((writer, reader))
                self._add("wr", writer, reader)
            if len(seen) < len(order):
                self._add("rw", reader, writers[len(seen)])

    def _add(self, kind: str, source: int, target: int) -> None:
        if source != target:
            self._edges[kind][source].append(target)

    def find(self, what: str) -> list[int] | None:
        """Return the transactions of such a phenomenon, or None."""
        match what:
            case "G1a":
                return list(self._aborted[0]) if self._aborted else None
            case "G1b":
                return list(self._midst[0]) if self._midst else None
            case "G0":
                return self._circle("ww", ("ww",))
            case "G1c":
                return self._circle("wr", ("ww", "wr"))
            case "G-single":
                return self._circle("rw", ("ww", "wr"))
        return self._circle("rw", ("ww", "wr", "rw"), least=2)

    def _circle(self, first: str, then: Sequence[str], least: int = 1) -> list[int] | None:
        """Return a circle of an edge of kind `first` and edges of the others; with `least` 2, one with another edge of
        kind `first`."""
        after: defaultdict[int, list[int]] = defaultdict(list)
        whole: defaultdict[int, list[int]] = defaultdict(list)
        for kind in then:
            for source, targets in self._edges[kind].items():
                after[source] += targets
        for kind in {*then, first}:
            for source, targets in self._edges[kind].items():
                whole[source] += targets
        part = strong_parts(whole, len(self.transactions))
        best: list[int] | None = None
        for tried, (source, target) in enumerate(self._within(first, part)):
            if tried == MAX_TRIED:
                break
            way = shortest_path(after, target, source, part)
            if way is None or (least > 1 and not self._has(first, way)):
                continue
            if best is None or len(way) < len(best):
                best = way
        return best

    def _has(self, kind: str, way: Sequence[int]) -> bool:
        """Whether a way needs an edge of that kind: one of its steps is no other."""
        others = [each for each in self._edges if each != kind]
        return any(
            all(target not in self._edges[other][source] for other in others) for source, target in pairwise(way)
        )

    def _within(self, kind: str, part: Sequence[int]) -> Iterator[tuple[int, int]]:
        for source, targets in self._edges[kind].items():
            for target in dict.fromkeys(targets):
                if part[source] == part[target]:
                    yield source, target

    def kinds(self, source: int, target: int) -> str:
        """Return how `target` depends on `source`."""
        return next((kind for kind, edges in self._edges.items() if target in edges[source]), "?")


def _steps(operation: Operation) -> Iterator[tuple[str, Value, Any]]:
    """Yield what the transaction does; what it has read is in its result."""
    given = operation.result if operation.status is Status.OK else (operation.arguments or ((),))[0]
    if not isinstance(given, tuple):
        raise _Unreadable(f"{operation.words()} says no steps")
    for step in given:
        match step:
            case (str(what), key, value) if what in (APPEND, READ):
                yield what, key, value
            case _:
                raise _Unreadable(f"{text_of(step)} is no step of a transaction: append or r, a key, a value")


def _told(graph: _Dependencies, found: Sequence[int]) -> str:
    if len(found) < 2:
        return ""
    pairs = zip(found, [*found[1:], found[0]], strict=True)
    ways = [
        f"{graph.transactions[one].number} →{graph.kinds(one, two)}→ {graph.transactions[two].number}"
        for one, two in pairs
    ]
    return f" ({', '.join(ways)})"
