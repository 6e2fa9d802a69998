"""A scenario that promises what no network keeps, for the report of a seed that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from testnet.faults.draw import crash
from testnet.model.lab import Lab, SentRequest
from testnet.model.rule import Fault
from testnet.scenarios.chat import CHAT, PROCESS
from testnet.scenarios.scenario import Plan, require
from testnet.scenarios.timing import answered, ended

NODES = ("ann.nec", "bob.nec", "cleo.nec")


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    said: list[SentRequest] = field(default_factory=list)

    def work(self) -> None:
        """Ann says a line each second."""
        for number in range(8):
            self.said.append(self.lab.begin("ann.nec", PROCESS, {"Say": f"line {number}"}, 60))
            self.lab.rest(1.0)
        self.lab.wait(ended(self.said), 90.0, "the outcome of every line")

    def check(self) -> None:
        """Everybody hears every line, whatever happens to the nodes."""
        for request in self.said:
            missed = (answered(request, "Said") or {})["missed"]
            require(not missed, f"{[each['node'] for each in missed]} missed a line")


def _begin(lab: Lab, plan: Plan) -> _Story:
    for node in plan.nodes:
        lab.ask(node, PROCESS, {"Join": {"members": list(plan.nodes)}}, 60)
    return _Story(lab, plan)


def _crash_of_another(nodes: Sequence[str], chance: Random) -> Fault:
    return crash(nodes[1:], chance)


WISHFUL = replace(
    CHAT,
    name="wishful",
    about="every line is heard",
    nodes=NODES,
    options=lambda names, chance: {},
    begin=_begin,
    drawers=(_crash_of_another,),
)
