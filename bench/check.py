"""`check`: a key-value history of 10,000 operations by 20 clients is checked for linearizability.

The reference is the search as Wing and Gong wrote it down, with Lowe's memory of dead ends and the keys apart, and none
of what `testnet.check.search` adds, on the same history.
"""

from __future__ import annotations

import time
from random import Random

from bench.measure import Reference, Result, absolute, in_turns
from testnet.check import KeyValueModel, Linearizable
from testnet.check.linearizable import partition
from testnet.check.operation import UNKNOWN, Instant, Operation, Status

OPERATIONS, CLIENTS, KEYS = 10_000, 20, 100
GOAL_SECONDS = 5.0


def history(seed: int = 1) -> list[Operation]:
    """Return what clients of a correct store see, all of them busy all the time."""
    chance = Random(seed)
    free = [0.0] * CLIENTS
    calls = []
    for number in range(OPERATIONS):
        client = min(range(CLIENTS), key=free.__getitem__)
        called = free[client] + 0.2 * chance.random()
        taken = called + chance.random()
        free[client] = taken + chance.random()
        calls.append((taken, called, free[client], client, f"k{chance.randrange(KEYS)}", chance.random() < 0.5, number))
    there: dict[str, int] = {}
    done = []
    for _, called, returned, client, key, reads, number in sorted(calls):
        if not reads:
            there[key] = number
        what = ("get", (key,), there.get(key)) if reads else ("put", (key, number), None)
        done.append((called, returned, client, what))
    return [
        Operation(number, f"c{client}", name, arguments, Status.OK, result, Instant(called, 0), Instant(returned, 0))
        for number, (called, returned, client, (name, arguments, result)) in enumerate(sorted(done))
    ]


def run() -> list[Result]:
    """Measure both."""
    those = history()

    def ours() -> float:
        began = time.process_time()
        assert Linearizable(KeyValueModel()).check(those)
        return time.process_time() - began

    def theirs() -> float:
        began = time.process_time()
        assert all(plain_search(part) for part in partition(KeyValueModel(), those))
        return time.process_time() - began

    mine, others = in_turns(ours, theirs)
    plain = Reference.of("the search as it was published, on the same history", others, "seconds")
    return [absolute("check", mine, "seconds", GOAL_SECONDS, plain)]


def plain_search(operations: list[Operation]) -> bool:
    """Return whether an order explains the operations of one key: Wing and Gong's search with Lowe's memory."""
    events = sorted(
        [(each.called, 0, number) for number, each in enumerate(operations)]
        + [(each.returned, 1, number) for number, each in enumerate(operations)]
    )
    model = KeyValueModel()
    state, done = model.initial, 0
    seen = set()
    stack: list[tuple[int, int, object]] = []
    left = list(events)
    place = 0
    while left:
        _, is_return, number = left[place]
        if not is_return:
            each = operations[number]
            after = model.step(state, each.name, each.arguments, each.result if each.name == "get" else UNKNOWN)
            key = (done | 1 << number, after)
            if type(after) in (int, type(None)) and key not in seen:
                seen.add(key)
                stack.append((number, done, state))
                state, done = after, done | 1 << number
                left = [event for event in left if event[2] != number]
                place = 0
                continue
            place += 1
        else:
            if not stack:
                return False
            number, done, state = stack.pop()
            left = [event for event in events if not done >> event[2] & 1]
            place = next(at for at, event in enumerate(left) if event[2] == number) + 1
    return True
