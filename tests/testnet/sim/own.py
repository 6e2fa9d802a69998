"""Scenarios that go wrong, each in its own way; the commands take them as `tests/testnet/sim/own.py:NAME`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

from testnet.faults.draw import crash, partition
from testnet.model.lab import Lab, NodePlan
from testnet.scenarios.scenario import Options, Plan, Scenario, require

HERE = Path(__file__).resolve()
ASK_HELLO = {"Ask": {"node": "b.nec", "name": "me", "timeout": 400}}


@dataclass(frozen=True, slots=True)
class _Story:
    lab: Lab
    plan: Plan
    what: Callable[[Lab, Plan], None]

    def work(self) -> None:
        self.lab.rest(5.0)

    def check(self) -> None:
        self.what(self.lab, self.plan)


def _topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
    return tuple(NodePlan(name) for name in names)


def _options(names: Sequence[str], chance: Random) -> Options:
    return {"numbers": [chance.randrange(100) for _ in range(chance.randint(0, 8))], "size": chance.randrange(1000)}


def _scenario(name: str, what: Callable[[Lab, Plan], None]) -> Scenario:
    return Scenario(
        name=name,
        about="a scenario that goes wrong",
        nodes=("a.nec", "b.nec"),
        topology=_topology,
        options=_options,
        begin=lambda lab, plan: _Story(lab, plan, what),
        drawers=(crash, partition),
        seconds=10.0,
        deadline=25.0,
    )


def fails(plan: Plan) -> bool:
    """Whether this plan makes FAILS fail."""
    killed = any(step.fault.words() == "kill b.nec" for step in plan.schedule)
    return killed and max(plan.options["numbers"], default=0) > 50


def _a_kill_and_a_large_number(lab: Lab, plan: Plan) -> None:
    require(not fails(plan), f"b.nec was killed, and {max(plan.options['numbers'], default=0)} is large")


def _never_ends(lab: Lab, plan: Plan) -> None:
    lab.pause("b.nec")
    lab.begin("a.nec", "our@hello:hello:sys", ASK_HELLO, 500)
    while True:
        lab.rest(1.0)


def _at_one_instant(lab: Lab, plan: Plan) -> None:
    def again() -> None:
        lab.at(0.0, again)

    again()
    lab.rest(1.0)


def _breaks(lab: Lab, plan: Plan) -> None:
    raise KeyError("nothing")


def _dies(lab: Lab, plan: Plan) -> None:
    if plan.seed == 3:
        os._exit(7)


_played = count()


def _differs(lab: Lab, plan: Plan) -> None:
    number = next(_played)
    lab.note(f"this is run {number}")
    require(False, f"run {number} fails")


FAILS = _scenario("fails", _a_kill_and_a_large_number)
STUCK = _scenario("stuck", _never_ends)
STILL = _scenario("still", _at_one_instant)
BREAKS = _scenario("breaks", _breaks)
DIES = _scenario("dies", _dies)
DIFFERS = _scenario("differs", _differs)
