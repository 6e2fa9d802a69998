"""A scenario whose run of seed 3 kills the worker of the cluster that plays it. Nothing but a cluster may play it."""

from __future__ import annotations

import os
import signal

from testnet.model.lab import Lab, NodePlan
from testnet.scenarios.scenario import Plan, Scenario


class _Story:
    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._plan = plan

    def work(self) -> None:
        if self._plan.seed == 3:
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(7)

    def check(self) -> None:
        pass


KILLS = Scenario(
    name="kills",
    about="a scenario that kills who plays it",
    nodes=("a.nec", "b.nec"),
    topology=lambda names: tuple(NodePlan(name) for name in names),
    options=lambda names, chance: {},
    begin=_Story,
    seconds=1.0,
)
