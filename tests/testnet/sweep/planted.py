"""A scenario whose bug needs two conditions: `a.nec` is paused just when `b.nec` has booted again after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testnet.faults.draw import crash, latency, loss, partition, pause
from testnet.model.lab import Lab, NodePlan
from testnet.scenarios.scenario import Plan, Scenario, require

HERE = Path(__file__).resolve()
WITHIN = 0.5
"""Seconds after the boot."""


def is_caught(plan: Plan) -> bool:
    """Return whether the bug shows."""
    boots = [step.until for step in plan.schedule if step.fault.words() == "kill b.nec"]
    pauses = [step.at for step in plan.schedule if step.fault.words() == "pause a.nec"]
    return any(boot is not None and boot <= at <= boot + WITHIN for boot in boots for at in pauses)


@dataclass(frozen=True, slots=True)
class _Story:
    plan: Plan

    def work(self) -> None:
        """Nothing."""

    def check(self) -> None:
        require(not is_caught(self.plan), "a.nec was paused just when b.nec booted")


def _begin(lab: Lab, plan: Plan) -> _Story:
    return _Story(plan)


PLANTED = Scenario(
    name="planted",
    about="a pause just after a boot is too much",
    nodes=("a.nec", "b.nec"),
    topology=lambda names: tuple(NodePlan(name) for name in names),
    options=lambda names, chance: {"numbers": [chance.randrange(9) for _ in range(chance.randint(0, 4))]},
    begin=_begin,
    drawers=(crash, pause, partition, latency, loss),
    seconds=10.0,
)
