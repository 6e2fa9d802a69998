"""What a run leaves behind."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import pytest

from nectar_node.core.core import NodeCore
from testnet.model.lab import Lab
from testnet.runs.result import PASSED
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan, Scenario, draw_plan, everywhere
from testnet.sim.programs import Programs
from testnet.sim.run import run

MIB = 1 << 10  # in KiB
PAGE_KIB = resource.getpagesize() >> 10


def mapped() -> int:
    """KiB of addresses that this process has mapped."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmSize:")]
    return int(line.split()[1])


def resident_kib() -> int:
    """KiB of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KIB


def test_a_run_gives_back_the_memory_of_its_guests_also_of_those_that_crashed() -> None:
    programs = Programs()
    plan = draw_plan(SCENARIOS["churn"], 22)
    run(plan, programs)
    before = mapped()
    run(plan, programs)
    assert mapped() - before < 4096 * MIB  # one guest that stays takes more


@pytest.fixture(autouse=True)
def _only_what_is_new_is_looked_at() -> None:
    """What other tests have left in this process takes seconds to go through."""
    gc.collect()
    gc.freeze()


def nodes() -> int:
    gc.collect()
    return sum(type(each) is NodeCore for each in gc.get_objects())


def test_no_node_of_a_run_is_there_after_it() -> None:
    before = nodes()
    run(draw_plan(SCENARIOS["store"], 1), Programs())
    assert nodes() <= before


def test_what_a_run_has_made_is_free_when_it_returns() -> None:
    programs, plan = Programs(), draw_plan(SCENARIOS["store"], 1)
    run(plan, programs)
    before = nodes()
    gc.disable()
    try:
        run(plan, programs)
        assert sum(type(each) is NodeCore for each in gc.get_objects()) <= before
    finally:
        gc.enable()


class Nothing:
    """Nothing happens but that a node boots, joins and ends."""

    def __init__(self, lab: Lab, plan: Plan) -> None: ...

    def work(self) -> None: ...

    def check(self) -> None: ...


BOOT = Scenario("boot", "a node boots", ("one.nec",), everywhere("hello"), lambda *_: {}, Nothing, seconds=0.1)


@pytest.mark.long
def test_ten_thousand_runs_in_one_process_take_no_more_memory_than_the_first_thousand() -> None:
    programs, after = Programs(), 0
    for seed in range(10_000):
        assert run(draw_plan(BOOT, seed), programs, BOOT, journal=False).result == PASSED, seed
        if seed == 1000:
            after = resident_kib()
    assert resident_kib() - after < 4 * MIB


def test_objects_are_as_many_after_ten_runs_as_after_five() -> None:
    programs, counts = Programs(), []
    gc.collect()
    gc.freeze()
    for seed in range(10):
        run(draw_plan(BOOT, seed), programs, BOOT, journal=False)
        gc.collect()
        counts.append(len(gc.get_objects()))
    # Each run leaves the key pairs of two nodes in a cache, which has a bound. Of some runs a few more objects stay
    # until the next one ends.
    assert min(counts[5:]) - min(counts[:5]) <= 5 * 20, counts  # one run makes thousands
