"""Freed memory is given back when a flood is over, and not while it may come again."""

from __future__ import annotations

import gc
import subprocess
import sys

from nectar_node.contract.memory_budget import DEFAULT_BYTES, LEAST_BYTES, MemoryBudget
from nectar_node.driver.allocator import (
    AFTERMATH_LOOKS,
    CALM_LOOKS,
    PACE,
    TRIMMED_BYTES,
    Ebb,
    Pace,
    collect_by_pace,
    default_budget,
)


def looks(ebb: Ebb, count: int) -> list[bool]:
    """What it says, asked so often."""
    return [ebb.is_due() for _ in range(count)]


def test_after_a_flood_it_is_due_after_a_while_and_once_more_later() -> None:
    budget = MemoryBudget(1 << 30)
    flood, ebb = budget.of_node("flood.nec"), Ebb(budget)
    flood.add(TRIMMED_BYTES + 1)
    assert looks(ebb, 3) == [False] * 3
    flood.remove(TRIMMED_BYTES)
    assert looks(ebb, CALM_LOOKS) == [False] * (CALM_LOOKS - 1) + [True]
    assert looks(ebb, AFTERMATH_LOOKS - 1) == [False] * (AFTERMATH_LOOKS - 2) + [True]  # what was left has gone by then
    assert looks(ebb, 100) == [False] * 100


def test_little_or_what_comes_and_goes_keeps_its_memory() -> None:
    budget = MemoryBudget(1 << 30)
    chunk, ebb = budget.of_node("sender.nec"), Ebb(budget)
    for _ in range(50):
        chunk.add(TRIMMED_BYTES * 2)
        assert not ebb.is_due()
        chunk.remove(TRIMMED_BYTES * 2)
        assert not ebb.is_due()
    budget = MemoryBudget(1 << 30)
    chunk, ebb = budget.of_node("sender.nec"), Ebb(budget)
    chunk.add(TRIMMED_BYTES - 1)
    assert not ebb.is_due()
    chunk.remove(TRIMMED_BYTES - 1)
    assert looks(ebb, 50) == [False] * 50


def test_the_default_budget_and_the_pace_of_looking_through_all_objects() -> None:
    assert LEAST_BYTES <= default_budget() <= DEFAULT_BYTES
    pace = Pace(10.0)
    assert pace.is_due(10.0)
    pace.collected(0.25, 11.0)
    assert not pace.is_due(11.0 + PACE * 0.25 - 0.01)
    assert pace.is_due(11.0 + PACE * 0.25)


def test_the_interpreter_does_not_begin_to_look_through_all_objects_by_itself() -> None:
    usual = gc.get_threshold()
    try:
        collect_by_pace()
        assert gc.get_threshold()[:2] == usual[:2]
        before = gc.get_stats()[2]["collections"]
        kept: list[list[object]] = [[] for _ in range(1_000_000)]
        assert gc.get_stats()[2]["collections"] == before
        del kept
    finally:
        gc.set_threshold(*usual)


FREED_ON_A_THREAD = """
import threading
from nectar_node.driver.allocator import give_back, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def work():
    blocks = [bytearray(b"x" * (20 << 20)) for _ in range(2)]
    del blocks
    before = resident()
    give_back()
    print(before - resident())

keep_freed_memory()
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_what_a_thread_has_freed_is_given_back() -> None:
    ended = subprocess.run([sys.executable, "-c", FREED_ON_A_THREAD], capture_output=True, text=True, check=True)
    assert int(ended.stdout) > 30 << 20
