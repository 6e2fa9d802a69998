"""One budget for all that waits: what a holder may have, whatever others hold; nobody stands still (G23, G24)."""

from __future__ import annotations

import random

import pytest

from kernel.contract.address import ProcessId
from nectar_node.contract.memory_budget import GUARANTEED_BYTES, HolderAccount, HolderStatus, MemoryBudget

MIB = 1 << 20
LARGEST_MESSAGE = 75 * MIB


def fill(account: HolderAccount, piece: int) -> int:
    """A holder takes all that it gets, so many bytes at a time; what it has then."""
    while account.may_add(piece):
        account.add(piece)
    return account.used


def test_while_little_is_used_nobody_is_refused_and_the_largest_message_has_room() -> None:
    budget = MemoryBudget(2048 * MIB)
    assert fill(budget.of_node("greedy.nec"), MIB) == 512 * MIB
    budget = MemoryBudget(1024 * MIB)
    fill(budget.of_node("greedy.nec"), MIB)
    assert not budget.of_node("greedy.nec").may_add(MIB)
    assert budget.of_node("honest.nec").may_add(LARGEST_MESSAGE)


@pytest.mark.parametrize("greedy", [1, 10, 50, 200])
def test_whatever_others_hold_there_is_a_share_for_the_next_one(greedy: int) -> None:
    budget = MemoryBudget(2048 * MIB)
    for number in range(greedy):
        fill(budget.of_node(f"greedy{number}.nec"), 64 << 10)
    share = fill(budget.of_node("honest.nec"), 4096)
    assert budget.used < budget.capacity
    assert share >= {1: 60 * MIB, 10: 20 * MIB, 50: 3 * MIB, 200: 256 << 10}[greedy]


def test_everybody_has_a_guaranteed_minimum_and_the_largest_holder_is_named_first() -> None:
    budget = MemoryBudget(64 * MIB)
    budget.of_process(ProcessId("a", "greedy", "pub")).add(64 * MIB)
    account = budget.of_node("honest.nec")
    assert fill(account, 1024) == GUARANTEED_BYTES
    assert not account.has_room()
    budget = MemoryBudget(MIB)
    budget.of_node("little.nec").add(1)
    budget.of_node("much.nec").add(1000)
    assert [holding.name for holding in budget.holdings()] == ["much.nec", "little.nec"]
    assert (budget.of("peer", "much.nec"), budget.of("peer", "nobody.nec")) == (1000, 0)


def test_many_names_or_processes_are_not_many_shares() -> None:
    budget = MemoryBudget(1024 * MIB)
    for number in range(1000):
        fill(budget.of_node(f"greedy{number}.nec"), MIB)
    assert budget.used <= 768 * MIB
    assert fill(budget.of_process(ProcessId("inbox", "honest", "pub")), 4096) >= 8 * MIB
    budget = MemoryBudget(1024 * MIB)
    for number in range(1000):
        fill(budget.of_process(ProcessId(f"p{number}", "greedy", "pub")), MIB)
    assert budget.used <= 512 * MIB
    assert fill(budget.of_process(ProcessId("inbox", "honest", "pub")), 4096) >= 32 * MIB


def test_all_lives_of_a_process_have_one_account_and_nothing_is_kept_of_who_has_nothing() -> None:
    budget = MemoryBudget(MIB)
    process = ProcessId("a", "b", "c")
    first = budget.of_process(process)
    assert budget.of_process(process) is first
    first.add(100)
    del first
    assert budget.holdings() == [HolderStatus("process", "a:b:c", 100)]
    budget.of_process(process).remove(100)
    assert (budget.holdings(), budget.used, len(budget._accounts), len(budget._packages)) == ([], 0, 0, 0)


def test_nothing_gets_lost_in_the_books() -> None:
    rng = random.Random(7)
    budget = MemoryBudget(10 * MIB)
    held: list[tuple[HolderAccount, int]] = []
    for _ in range(3000):
        if held and rng.random() < 0.5:
            account, size = held.pop(rng.randrange(len(held)))
            account.remove(size)
        else:
            account = budget.of_node(f"n{rng.randrange(5)}.nec")
            if rng.random() < 0.3:
                account = budget.of_process(ProcessId(f"p{rng.randrange(5)}", "package", "pub"))
            size = rng.randrange(100_000)
            if account.may_add(size):
                account.add(size)
                held.append((account, size))
    assert budget.used == sum(size for _, size in held) == sum(holding.bytes for holding in budget.holdings())
    assert budget.used <= budget.capacity + 10 * GUARANTEED_BYTES
