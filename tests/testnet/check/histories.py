"""Histories for tests: written by hand, of a real object, and checked by brute force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from random import Random
from typing import Any

from testnet.check.model import WRONG, Model
from testnet.check.operation import NEVER, UNKNOWN, Instant, Operation, Status, frozen

Row = tuple[Any, ...]
"""client, name, arguments, result (or UNKNOWN, or Status.FAILED), called, returned."""


def history(*rows: Row) -> list[Operation]:
    """Return the operations of rows, by the times of their calls."""
    found = []
    for number, (client, name, arguments, result, called, returned) in enumerate(sorted(rows, key=lambda row: row[4])):
        status = Status.UNKNOWN if result is UNKNOWN else Status.FAILED if result is Status.FAILED else Status.OK
        end = NEVER if status is Status.UNKNOWN else Instant(returned, 1)
        told = frozen(result) if status is Status.OK else UNKNOWN
        values = tuple(map(frozen, arguments))
        found.append(Operation(number, client, name, values, status, told, Instant(called, 0), end))
    return found


def by_brute_force(model: Model, operations: Sequence[Operation]) -> bool:
    """Whether any order explains the history: all subsets of unknown ones, in all orders."""
    known = [each for each in operations if each.status is Status.OK]
    unknown = [each for each in operations if each.status is Status.UNKNOWN]
    for number in range(1 << len(unknown)):
        chosen = [each for place, each in enumerate(unknown) if number >> place & 1]
        if any(_explains(model, order) for order in permutations([*known, *chosen])):
            return True
    return False


def _explains(model: Model, order: Iterable[Operation]) -> bool:
    state, before = model.initial, list[Operation]()
    for each in order:
        if any(each.is_before(other) for other in before):
            return False
        before.append(each)
        state = model.step(state, each.name, each.arguments, each.result)
        if state is WRONG:
            return False
    return True


def of_a_real_object(
    model: Model, calls: Sequence[tuple[str, tuple[Any, ...]]], clients: int, chance: Random, lost: float = 0.0
) -> list[Operation]:
    """Return the history of an object that takes each of these calls at one moment, between its call and its return; a
    share of `lost` has an unknown outcome."""
    free = [0.0] * clients
    begun = []
    for name, arguments in calls:
        client = min(range(clients), key=lambda each: free[each])
        called = free[client] + chance.random()
        taken = called + chance.random()
        free[client] = taken + chance.random()
        begun.append((taken, called, free[client], client, name, arguments, chance.random() < lost))
    state = model.initial
    rows: list[Row] = []
    for taken, called, returned, client, name, arguments, is_lost in sorted(begun):
        who = f"c{client}"
        if is_lost:
            if chance.random() < 0.5:
                state = model.step(state, name, arguments, UNKNOWN)
            rows.append((f"{who}-{taken}", name, arguments, UNKNOWN, called, None))
            continue
        result = result_in(model, state, name, arguments)
        state = model.step(state, name, arguments, result)
        rows.append((who, name, arguments, result, called, returned))
    return history(*rows)


def result_in(model: Model, state: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """Return the right result of an operation in a state: the one that the model takes."""
    options = [None, True, False, state]
    if isinstance(state, tuple) and state:
        options.append(state[0])
    if isinstance(state, int) and arguments and isinstance(arguments[0], int):
        options.append(state + arguments[0])
    if isinstance(state, frozenset):
        options.append(tuple(sorted(state)))
    right = [each for each in options if model.step(state, name, arguments, each) is not WRONG]
    return right[-1]
