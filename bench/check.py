"""`check`: a key-value history of 10,000 operations by 20 clients is checked for linearizability, and published ones.

The reference of the former is the search as Wing and Gong wrote it down, with Lowe's memory of dead ends and the keys
apart, and none of what `testnet.check.search` adds, on the same history. That of the latter is the same search in C
(`linearizable.c`), compiled here with zig: the algorithm of Porcupine, which is in Go.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from bench.measure import Reference, Result, absolute, in_turns, ratio
from testnet.check import CompareAndSetModel, KeyValueModel, Linearizable
from testnet.check.linearizable import partition
from testnet.check.model import Model
from testnet.check.operation import UNKNOWN, Instant, Operation, Status, Value
from tests.testnet.check.published_histories import etcd

OPERATIONS, CLIENTS, KEYS = 10_000, 20, 100
GOAL_SECONDS = 5.0
LINEARIZABLE = {2, 5, 7, 18}
PUBLISHED = {f"etcd_{number:03}.txt": number in LINEARIZABLE for number in range(22)}
"""Histories that Porcupine publishes, and whether they are linearizable."""
PUBLISHED_GOAL = 0.05
"""Of the speed of the compiled search."""
ROUNDS = 5


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
    return [absolute("check", mine, "seconds", GOAL_SECONDS, plain), _published()]


def _published() -> Result:
    """Measure all published histories in turns, ours and compiled, in operations a second of processor time."""
    model = CompareAndSetModel()
    those = {name: etcd(name) for name in PUBLISHED}
    count = sum(map(len, those.values()))
    each: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_search(Path(folder) / "linearizable")
        orders = {name: order(model, history) for name, history in those.items()}

        def ours() -> float:
            taken = 0.0
            for name, history in those.items():
                began = time.process_time()
                for _ in range(ROUNDS):
                    assert bool(Linearizable(model).check(history)) == PUBLISHED[name]
                each[name] = ((time.process_time() - began) / ROUNDS, 0.0)
                taken += each[name][0]
            return count / taken

        def theirs() -> float:
            taken = 0.0
            for name, text in orders.items():
                right, seconds = search_compiled(compiled, text)
                assert bool(right) == PUBLISHED[name]
                each[name] = (each[name][0], seconds)
                taken += seconds
            return count / taken

        mine, others = in_turns(ours, theirs)
    label = ("the search that Porcupine has, compiled from C", "operations a second")
    figure = ratio("check_published", mine, others, label, PUBLISHED_GOAL)
    figure.detail.update({name: round(other / one, 3) for name, (one, other) in each.items()})
    return figure


def compile_search(program: Path) -> Path:
    """Compile `linearizable.c`."""
    source = Path(__file__).with_name("linearizable.c")
    subprocess.run([sys.executable, "-m", "ziglang", "cc", "-O2", "-o", program, source], check=True)
    return program


def search_compiled(program: Path, text: str) -> tuple[int, float]:
    """Return how many objects of an order are linearizable, and the seconds that it took."""
    told = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout
    right, seconds = told.split()
    return int(right), float(seconds)


def order(model: Model, operations: Sequence[Operation]) -> str:
    """Return the text of a history of registers for the compiled search (`linearizable.c`)."""
    numbers: dict[Value, int] = {None: -1}

    def number(value: Value) -> int:
        return -2 if value is UNKNOWN else numbers.setdefault(value, len(numbers) - 1)

    objects = partition(model, operations)
    lines = [f"{ROUNDS} {len(objects)}"]
    for those in objects:
        lines.append(str(len(those)))
        for each in those:
            match each.name:
                case "read" | "get":
                    row = (0, 0, 0, number(each.result))
                case "write" | "put":
                    row = (1, number(each.arguments[-1]), 0, -2)
                case _:
                    old, new = each.arguments[-2:]
                    row = (2, number(old), number(new), -2 if each.result is UNKNOWN else int(each.result is True))
            lines.append(" ".join(map(str, row)))
        calls = [(each.called, 2 * place) for place, each in enumerate(those)]
        returns = [(each.returned, 2 * place + 1) for place, each in enumerate(those)]
        lines.append(" ".join(str(event) for _, event in sorted(calls + returns)))
    return "\n".join(lines)


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
