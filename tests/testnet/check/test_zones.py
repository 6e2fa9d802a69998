"""Registers whose writes differ are decided without a search, with the same verdicts, and the same values of JSON."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from testnet.check import (
    WRONG,
    CompareAndSetModel,
    Converges,
    Guarantee,
    KeyValueModel,
    Linearizable,
    Model,
    MonotonicReads,
    NoLostUpdate,
    Operation,
    RegisterModel,
    Status,
    VerdictKind,
)
from testnet.check.search import search
from testnet.check.zones import clash
from tests.testnet.check.histories import by_brute_force, history, of_a_real_object


def busy(count: int, clients: int, seed: int) -> list[Operation]:
    """Return the history of one register that many ask all the time; each write has a value of its own."""
    chance = Random(seed)
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("read", ()) if chance.random() < 0.5 else ("write", (number,)) for number in range(count)
    ]
    return of_a_real_object(RegisterModel(), calls, clients, chance)


def with_a_stale_read(found: list[Operation], seconds: float, after: float = 0.5) -> list[Operation]:
    """Let a read that comes after this share of the history have the result of one that had ended so long before."""
    reads = [each for each in found if each.name == "read"]
    late = next(each for each in reads if each.number > len(found) * after)
    early = [each for each in reads if each.returned.time < late.called.time - seconds][-1]
    assert early.result != late.result
    return [replace(each, result=early.result) if each is late else each for each in found]


def test_a_register_has_the_verdict_of_the_search_and_of_brute_force() -> None:
    seen = set()
    for seed in range(600):
        chance = Random(seed)
        size = chance.choice((3, 4, 5, 6, 20))
        calls: list[tuple[str, tuple[Any, ...]]] = [
            ("read", ()) if chance.random() < 0.6 else ("write", (number,)) for number in range(size)
        ]
        found = of_a_real_object(RegisterModel(), calls, chance.choice((1, 2, 3, 5)), chance, lost=0.25)
        for each in list(found) if chance.random() < 0.7 else ():
            if each.name == "read" and each.status is Status.OK and chance.random() < 0.2:
                found[each.number] = replace(each, result=chance.choice([None, *range(size)]))
        core = clash(RegisterModel(), found)
        assert core is not None
        text = f"seed {seed}: " + "; ".join(each.line() for each in found)
        right = search(RegisterModel(), found).ruling is VerdictKind.HOLDS
        assert (not core) == right, text
        if size < 6:
            assert by_brute_force(RegisterModel(), found) == right, text
        if core and not any(each.status is Status.UNKNOWN for each in found):
            # What is shown is wrong by itself, if nobody else writes what was read.
            named = {each.number for each in core}
            loose = [each.number for each in found if each.number not in named and each.name == "read"]
            assert search(RegisterModel(), found, loose=loose).ruling is VerdictKind.VIOLATED, text
        seen.add(right)
    assert seen == {True, False}


@pytest.mark.parametrize("seed", range(3))
def test_one_key_that_twenty_clients_ask_all_the_time_is_decided(seed: int) -> None:
    found = busy(10_000, 20, seed)
    assert Linearizable(RegisterModel()).check(found)
    verdict = Linearizable(RegisterModel()).check(with_a_stale_read(found, 5.0))
    assert verdict.ruling is VerdictKind.VIOLATED
    assert len(verdict.operations) <= 6, verdict.words()


@pytest.mark.parametrize("seed", range(3))
def test_of_a_register_with_compare_and_set_few_operations_are_shown(seed: int) -> None:
    found = busy(300, 5, seed)
    found.append(replace(found[-1], number=300, name="cas", arguments=("never", "new"), result=False))
    verdict = Linearizable(CompareAndSetModel()).check(with_a_stale_read(found, 10.0))
    assert verdict.ruling is VerdictKind.VIOLATED
    assert len(verdict.operations) <= 6, verdict.words()


def test_a_model_that_only_looks_like_a_register_is_searched() -> None:
    class Rounded(RegisterModel):
        """Keeps whole numbers alone."""

        def step(self, state: Any, name: str, arguments: tuple[Any, ...], result: Any) -> Any:
            return super().step(state, name, tuple(map(int, arguments)), result)

    class Lenient(RegisterModel):
        """Any read is right."""

        def step(self, state: Any, name: str, arguments: tuple[Any, ...], result: Any) -> Any:
            found = super().step(state, name, arguments, result)
            return state if found is WRONG else found

    rounds = history(("a", "write", (1.5,), None, 0, 1), ("a", "read", (), 1, 2, 3))
    assert clash(Rounded(), rounds) is None
    assert Linearizable(Rounded()).check(rounds)
    lies = history(("a", "write", (1,), None, 0, 1), ("a", "read", (), 7, 2, 3))
    assert clash(Lenient(), lies) is None
    assert Linearizable(Lenient()).check(lies)


@pytest.mark.parametrize("model", [RegisterModel(), CompareAndSetModel()])
def test_true_is_not_one(model: Model) -> None:
    for written, read in ((1, True), (True, 1), ((0,), (False,))):
        found = history(("a", "write", (written,), None, 0, 1), ("a", "read", (), read, 2, 3))
        assert Linearizable(model).check(found).ruling is VerdictKind.VIOLATED
        assert search(model, found).ruling is VerdictKind.VIOLATED


@pytest.mark.parametrize(
    ("promise", "name", "written", "read"),
    [(MonotonicReads(), "write", 1, True), (NoLostUpdate(), "add", 1, (True,)), (Converges(0.0), "read", None, None)],
)
def test_true_is_not_one_for_weaker_promises(promise: Guarantee, name: str, written: Any, read: Any) -> None:
    rows = [("a", name, (written,), None, 0, 1), ("b", "read", (), read, 2, 3)]
    if name == "read":
        rows = [("a", "read", (), 1, 10, 11), ("b", "read", (), True, 10, 11)]
    assert promise.check(history(*rows), 1.0).ruling is VerdictKind.VIOLATED


def test_keys_that_are_true_and_one_are_two() -> None:
    rows = [("a", "put", (True, "x"), None, 0, 1), ("a", "get", (1,), None, 2, 3), ("a", "get", (True,), "x", 4, 5)]
    assert Linearizable(KeyValueModel()).check(history(*rows))


def test_a_search_that_explodes_is_given_up_within_its_memory() -> None:
    chance = Random(2)
    calls = [("read", ()) if chance.random() < 0.5 else ("write", (chance.randrange(50),)) for _ in range(1000)]
    found = of_a_real_object(RegisterModel(), calls, 25, chance)
    tracemalloc.start()
    try:
        assert search(RegisterModel(), found, 20_000).ruling is VerdictKind.UNDECIDED
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 20_000 * 400, f"{used:,} bytes for 20,000 configurations"
