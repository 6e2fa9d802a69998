"""The search for a linearization: it agrees with brute force, and ends by its bound."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from testnet.check import (
    CompareAndSetModel,
    CounterModel,
    KeyValueModel,
    Linearizable,
    LockModel,
    Model,
    Operation,
    QueueModel,
    RegisterModel,
    SetModel,
    Status,
    VerdictKind,
)
from testnet.check.core import until
from testnet.check.search import search
from tests.testnet.check.histories import by_brute_force, of_a_real_object

CALLS: dict[str, tuple[Model, list[tuple[str, tuple[Any, ...]]]]] = {
    "register": (RegisterModel(), [("read", ()), ("write", (1,)), ("write", (2,))]),
    "compare and set": (CompareAndSetModel(0), [("read", ()), ("write", (1,)), ("cas", (1, 2)), ("cas", (2, 1))]),
    "key-value": (KeyValueModel(), [("get", ("a",)), ("put", ("a", 1)), ("put", ("a", 2)), ("delete", ("a",))]),
    "queue": (QueueModel(), [("enqueue", (1,)), ("enqueue", (2,)), ("dequeue", ()), ("dequeue", ())]),
    "set": (SetModel(), [("add", (1,)), ("add", (2,)), ("remove", (1,)), ("contains", (1,)), ("read", ())]),
    "lock": (LockModel(), [("acquire", ("a",)), ("acquire", ("b",)), ("release", ("a",)), ("release", ("b",))]),
    "counter": (CounterModel(), [("add", (1,)), ("add", (1,)), ("add", (2,)), ("read", ())]),
}


@pytest.mark.parametrize("kind", CALLS)
def test_short_random_histories_have_the_verdict_of_brute_force(kind: str) -> None:
    model, calls = CALLS[kind]
    seen = set()
    for seed in range(150):
        chance = Random(f"{kind}/{seed}")
        some = [chance.choice(calls) for _ in range(6)]
        found = of_a_real_object(model, some, 3, chance, lost=0.25)
        for swap in (False, True):
            if swap:  # results of two operations of one name change places
                found = with_results_swapped(found, chance)
            right = by_brute_force(model, found)
            seen.add(right)
            text = f"{kind}, seed {seed}: " + "; ".join(each.line() for each in found)
            assert (search(model, found).ruling is VerdictKind.HOLDS) == right, text
            assert bool(Linearizable(model).check(found)) == right, text
    assert seen == {True, False}


@pytest.mark.parametrize("kind", CALLS)
def test_what_had_returned_before_the_furthest_of_a_search_can_be_explained(kind: str) -> None:
    model, calls = CALLS[kind]
    many = 0
    for seed in range(60):
        chance = Random(f"furthest/{kind}/{seed}")
        found = of_a_real_object(model, [chance.choice(calls) for _ in range(8)], 3, chance, lost=0.1)
        found = with_results_swapped(found, chance)
        end = search(model, found)
        if end.ruling is VerdictKind.VIOLATED:
            many += 1
            for each in found:
                if each.returned < end.furthest:
                    so_far = search(model, until(found, each.returned))
                    assert so_far.ruling is VerdictKind.HOLDS, f"{kind}, seed {seed}, until {each.line()}"
    assert many


def with_results_swapped(found: list[Operation], chance: Random) -> list[Operation]:
    known = [each for each in found if each.status is Status.OK]
    for _ in range(3):
        if len(known) < 2:
            break
        one, two = chance.sample(known, 2)
        if one.name == two.name:
            found = [
                replace(each, result=two.result if each is one else one.result) if each in (one, two) else each
                for each in found
            ]
            break
    return found
