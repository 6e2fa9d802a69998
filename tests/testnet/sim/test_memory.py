"""What a run leaves behind."""

from __future__ import annotations

import gc
from pathlib import Path

from nectar_node.core.core import NodeCore
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import run

MIB = 1 << 10  # in KiB


def mapped() -> int:
    """KiB of addresses that this process has mapped."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmSize:")]
    return int(line.split()[1])


def test_a_run_gives_back_the_memory_of_its_guests_also_of_those_that_crashed() -> None:
    programs = Programs()
    plan = draw_plan(SCENARIOS["churn"], 22)
    run(plan, programs)
    before = mapped()
    run(plan, programs)
    assert mapped() - before < 4096 * MIB  # one guest that stays takes more


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
