"""The shortest sub-history that no order explains.

Leaving an operation out of a history may make the rest impossible: without a put, nobody can have read its value. So
nothing is left out, and all that is not needed is believed less instead. First an operation is only known to have
happened between its call and its return, with any result, or not at all. What is left of the whole is still
impossible, and mostly two or three operations. Then the others happen at any time after their call, any number of
times. Those of which that cannot be said either are part of the sub-history, too: without their times it could be
explained.

Where few are wanted, the other way is quicker: the last operations before the impossible return are mostly enough, and
a search that believes all others little is short. So windows of 2, 4, 8 operations and so on are tried first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from testnet.check.model import Model
from testnet.check.operation import NEVER, UNKNOWN, Instant, Operation, Status, Value, exact
from testnet.check.search import MAX_CONFIGURATIONS, AskedSteps, search
from testnet.check.verdict import VerdictKind

MAX_WORK = 2_000_000
"""Configurations and operations of all searches together: some seconds."""
ONE_SEARCH, SHORT_SEARCH = 100_000, 3_000
"""Configurations of one of them: of one in which all operations have times, and of one in which few have."""
WINDOW_SEARCH = 5_000
"""Configurations of one that knows a window alone."""
MOST_OTHERS, MORE_OTHERS = 2, 12
"""Operations of a name that stand for all that have to do with no value of a window: while it is searched, and in the
end."""
MOST_IN_WINDOW = 64
"""Operations of the longest window that is tried."""


def smallest_core(
    model: Model, operations: Sequence[Operation], furthest: Instant
) -> tuple[tuple[Operation, ...], int]:
    """Return the fewest of these operations of one object found that no order explains, and how many others were called
    before the last of them returned. `furthest` is how far a search has come with them (`SearchEnd`)."""
    shrinking = _Shrinking(model, _first_cut(model, operations, furthest))
    found = shrinking.of_a_window()
    if found:
        numbers = {each.number for each in found}
        return tuple(each for each in operations if each.number in numbers), len(shrinking.operations) - len(found)
    hard = shrinking.fewest([each for each in shrinking.operations if each.status is Status.OK], shrinking.without)
    shrinking.hard = hard
    numbers = {each.number for each in hard}
    others = [each for each in shrinking.operations if each.number not in numbers]
    changes = [
        each for each in others if each.status is Status.OK and not model.is_read(each.name, each.arguments, UNKNOWN)
    ]
    makers = shrinking.makers(hard)  # mostly it is those
    timed = shrinking.fewest(makers if shrinking.untimed(makers) else changes, shrinking.untimed)
    shown = numbers | {each.number for each in timed}
    return tuple(each for each in operations if each.number in shown), len(shrinking.operations) - len(shown)


@dataclass(slots=True)
class _Shrinking:
    model: Model
    operations: list[Operation]
    hard: list[Operation] = field(default_factory=list)
    work: int = 0
    ruling: VerdictKind = VerdictKind.UNDECIDED
    """Of the last search."""
    _steps: AskedSteps = field(init=False)
    _softened: dict[int, Operation] = field(init=False)
    """The operations that may change something, softened, by number."""
    _arguments: dict[int, frozenset[Value]] = field(init=False)
    """Their arguments."""

    def __post_init__(self) -> None:
        changes = [each for each in self.operations if not self.model.is_read(each.name, each.arguments, UNKNOWN)]
        self._steps = AskedSteps.of(self.model, self.operations)
        self._softened = {each.number: soften(each) for each in changes}
        self._arguments = {each.number: frozenset(map(exact, each.arguments)) for each in changes}

    def fewest(self, wanted: list[Operation], is_wrong_with: Callable[[Sequence[Operation]], bool]) -> list[Operation]:
        """Return the fewest of these operations found with which the history is still wrong. Mostly the last ones are
        enough; of these, first large parts are left out, then ever smaller ones."""
        last = 1
        while last < len(wanted) and self.work < MAX_WORK:
            if is_wrong_with(wanted[-last:]):
                wanted = wanted[-last:]
                break
            last *= 2
        size = len(wanted)
        while size >= 1:
            place = 0
            while place < len(wanted) and self.work < MAX_WORK:
                kept = wanted[:place] + wanted[place + size :]
                if is_wrong_with(kept):
                    wanted = kept
                else:
                    place += size
            size //= 2
        return wanted

    def of_a_window(self) -> list[Operation]:
        """Return the operations of a window before the end that suffice, and others of which the times do; none if none
        is found."""
        known = sorted((each for each in self.operations if each.status is Status.OK), key=lambda each: each.returned)
        size = 2
        while size <= MOST_IN_WINDOW and size < 2 * len(known):
            window = known[-size:]
            if self._explains(window, self.makers(window)):
                self.hard = self.fewest(window, lambda kept: self._explains(kept, self.makers(kept)))
                timed = self.fewest(self.makers(self.hard), lambda kept: self._explains(self.hard, kept))
                return [*self.hard, *timed] if self._explains(self.hard, timed, MORE_OTHERS, ONE_SEARCH) else []
            if self.ruling is VerdictKind.UNDECIDED:
                break  # an object with so many states has even more in a longer window
            size *= 2
        return []

    def _explains(
        self,
        hard: Sequence[Operation],
        timed: Sequence[Operation],
        most_others: int = MOST_OTHERS,
        limit: int = WINDOW_SEARCH,
    ) -> bool:
        """Whether the history is wrong with these, and the times of those. Of the others, those that have to do with
        no value of these stand for each other, as those do of an object that only compares its values: all of them
        would be too many."""
        numbers = {each.number for each in timed}
        kept = numbers | {each.number for each in hard}
        values = {exact(value) for each in (*hard, *timed) for value in (each.result, *each.arguments)}
        history: list[Operation] = []
        others: Counter[str] = Counter()
        for each in self.operations:
            if each.number in kept:
                history.append(each)
            elif each.number in self._softened:
                if values.isdisjoint(self._arguments[each.number]):
                    others[each.name] += 1
                    if others[each.name] > most_others:
                        continue
                history.append(self._softened[each.number])
        return self._is_wrong(history, numbers, limit, again=True)

    def makers(self, hard: Sequence[Operation]) -> list[Operation]:
        """Return what may have made the results of these."""
        numbers = {each.number for each in hard}
        results = {exact(each.result) for each in hard}
        return [
            each
            for each in self.operations
            if each.status is Status.OK
            and each.number not in numbers
            and each.number in self._softened
            and not results.isdisjoint(self._arguments[each.number])
        ]

    def without(self, hard: Sequence[Operation]) -> bool:
        """Whether the history is wrong if all but `hard` may have happened in their times or not."""
        kept = {each.number for each in hard}
        loose = {each.number for each in self.operations} - kept
        return self._is_wrong(self.operations, loose, ONE_SEARCH)

    def untimed(self, timed: Sequence[Operation]) -> bool:
        """Whether the history is wrong if of all but `hard` only `timed` have known times."""
        numbers = {each.number for each in timed}
        kept = {each.number for each in self.hard} | numbers
        history = [
            each if each.number in kept else self._softened[each.number]
            for each in self.operations
            if each.number in kept or each.number in self._softened
        ]
        return self._is_wrong(history, numbers, SHORT_SEARCH, again=True) or self._is_wrong(
            history, numbers, SHORT_SEARCH
        )

    def _is_wrong(
        self, history: Sequence[Operation], loose: Collection[int], limit: int, *, again: bool = False
    ) -> bool:
        found = search(self.model, history, limit, again=again, loose=loose, steps=self._steps)
        unknown = sum(each.status is Status.UNKNOWN for each in history)
        self.work += found.configurations * (1 + unknown // 4) + len(history)
        self.ruling = found.ruling
        return found.ruling is VerdictKind.VIOLATED


def soften(operation: Operation) -> Operation:
    """Return the operation as one of which nobody knows what came."""
    return replace(operation, status=Status.UNKNOWN, result=UNKNOWN, returned=NEVER)


def _first_cut(model: Model, operations: Sequence[Operation], furthest: Instant) -> list[Operation]:
    """Return the history up to the first return with which it is impossible: later ones explain nothing. That is none
    before the furthest that a search came to with the whole, and mostly that one."""
    returns = sorted(each.returned for each in operations if each.status is Status.OK and each.returned >= furthest)
    low, high, step = 0, len(returns) - 1, 0
    while low < high:
        middle = min(low + step, (low + high) // 2)
        if search(model, until(operations, returns[middle]), MAX_CONFIGURATIONS).ruling is VerdictKind.VIOLATED:
            high = middle
        else:
            low, step = middle + 1, 2 * step + 1
    return until(operations, returns[high])


def until(operations: Sequence[Operation], end: Instant) -> list[Operation]:
    """Return the history as it was known at that moment."""
    begun = [each for each in operations if each.called <= end]
    return [each if each.returned <= end else soften(each) for each in begun]
