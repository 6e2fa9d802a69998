"""Plans that are played in a simulation: what their runs come to."""

from __future__ import annotations

from testnet.runs.result import PASSED, VIOLATED, Result
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import run


def passes(plan: Plan, programs: Programs, *, journal: bool = False) -> Result:
    """Its run, in which everything holds."""
    result = run(plan, programs, journal=journal)
    assert result.result == PASSED, (plan.scenario, plan.seed, result.text)
    return result


def violation(plan: Plan, programs: Programs) -> str:
    """What its run violates."""
    result = run(plan, programs, journal=False)
    assert result.result == VIOLATED, (plan.scenario, plan.seed, result.text)
    return result.text
