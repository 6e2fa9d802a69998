"""The shortest sub-history that no order explains.

Leaving an operation out of a history may make the rest impossible: without a put, nobody can have read its value. So
nothing is
left out; an operation that is not needed becomes one of unknown outcome instead, which may happen at any time after its
call, or never. What is still impossible then is so whatever these did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from testnet.check.model import Model
from testnet.check.operation import NEVER, UNKNOWN, Moment, Operation, Status
from testnet.check.search import MAX_CONFIGURATIONS, search
from testnet.check.verdict import Ruling

MAX_WORK = 1_000_000
"""Configurations and operations of all searches together: a second or two."""
ONE_SEARCH = 5_000
"""Configurations of one of them."""


def smallest_core(model: Model, operations: Sequence[Operation]) -> tuple[tuple[Operation, ...], int]:
    """Return the fewest of these operations of one object found that no order explains, and how many others were called
    before the last of them returned."""
    cut = _first_cut(model, operations)
    hard = [each for each in cut if each.status is Status.OK]
    soft = [each for each in cut if each.status is not Status.OK]
    work = 0
    size = max(1, len(hard) // 2)
    while size >= 1:
        place = 0
        while place < len(hard) and len(hard) > 1 and work < MAX_WORK:
            kept = hard[:place] + hard[place + size :]
            loose = _reachable(kept, [*soft, *map(soften, hard[place : place + size])])
            violated, spent = _still_wrong(model, [*kept, *loose]) if kept else (False, 0)
            work += spent
            if violated:
                hard, soft = kept, loose
            else:
                place += size
        size //= 2
    shown = {each.number for each in hard}
    return tuple(each for each in sorted(operations, key=lambda one: one.number) if each.number in shown), len(soft)


def soften(operation: Operation) -> Operation:
    """Return the operation as one of which nobody knows what came."""
    return replace(operation, status=Status.UNKNOWN, result=UNKNOWN, returned=NEVER)


def _first_cut(model: Model, operations: Sequence[Operation]) -> list[Operation]:
    """Return the history up to the first return with which it is impossible: later ones explain nothing."""
    returns = sorted(each.returned for each in operations if each.status is Status.OK)
    low, high = 0, len(returns) - 1
    while low < high:
        middle = (low + high) // 2
        if search(model, until(operations, returns[middle]), MAX_CONFIGURATIONS).ruling is Ruling.VIOLATED:
            high = middle
        else:
            low = middle + 1
    return until(operations, returns[high])


def until(operations: Sequence[Operation], end: Moment) -> list[Operation]:
    """Return the history as it was known at that moment."""
    begun = [each for each in operations if each.called <= end]
    return [each if each.returned <= end else soften(each) for each in begun]


def _reachable(hard: Sequence[Operation], soft: Sequence[Operation]) -> list[Operation]:
    """Leave out what was called when the last of `hard` had returned."""
    end = max((each.returned for each in hard), default=NEVER)
    return [each for each in soft if each.called <= end]


def _still_wrong(model: Model, operations: Sequence[Operation]) -> tuple[bool, int]:
    """Return whether no order explains them, as far as a short search can tell, and what that cost."""
    found = search(model, operations, ONE_SEARCH)
    spent = found.configurations + len(operations)
    if found.ruling is Ruling.UNDECIDED:
        # That explains more, and has fewer configurations: it does not matter any more which have happened.
        found = search(model, operations, ONE_SEARCH, again=True)
        spent += found.configurations + len(operations)
    return found.ruling is Ruling.VIOLATED, spent
