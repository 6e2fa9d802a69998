"""The text of a scenario of a user's own, with a fault in the same file, and a package `mine` beside it.

It fails, and says in its text which code played it.
"""

TEXT = '''
from dataclasses import dataclass

import testnet
from testnet.faults.schedule import Step
from testnet.model.lab import NodePlan
from testnet.scenarios.scenario import Scenario, require


@dataclass(frozen=True)
class Slow:
    """Delays nothing."""

    def words(self):
        return "slow"

    def judge(self, event, chance):
        return None


@dataclass
class Story:
    lab: object

    def work(self):
        self.lab.rest(1.0)

    def check(self):
        require(False, f"{testnet.__file__} and {__file__}")


MINE = Scenario(
    name="mine",
    about="A scenario of one's own.",
    nodes=("a.nec", "b.nec"),
    topology=lambda names: tuple(NodePlan(name, ("mine",)) for name in names),
    options=lambda names, chance: {},
    begin=lambda lab, plan: Story(lab),
    draw=lambda names, seconds, chance: (Step(0.5, 1.0, Slow()),),
    seconds=2.0,
)
'''
