"""A scenario with a component that uses WASI 0.2 alone: it sleeps, draws numbers, reads clocks and writes files, while
its machine crashes. Run as a program it plays one seed and prints the journal's digest."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from testnet.faults.draw import crash
from testnet.model.lab import Lab, NodePlan, SentRequest
from testnet.runs.plans import expand
from testnet.scenarios.scenario import Options, Plan, Scenario
from testnet.scenarios.timing import in_time
from testnet.sim.programs import Programs
from testnet.sim.run import Result, run
from tests.testnet.sim.ledger import lay_down

PROCESS = "our@native:native:some.nec"
NODE = "a.nec"
ORDERS = ("sleep 700", "random", "time", "write /file text", "read /file", "list /", "race 500 300 900", "print a line")


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    asked: list[SentRequest] = field(default_factory=list)

    def work(self) -> None:
        """Order one thing after the other."""
        for number, _ in enumerate(in_time(self.lab, self.plan.options["times"])):
            if self.lab.ready(NODE):
                order = ORDERS[number % len(ORDERS)]
                self.asked.append(self.lab.begin(NODE, PROCESS, order, 10))
        self.lab.rest(11.0)

    def check(self) -> None:
        """Nothing more: what is compared is the journal."""

    def outcomes(self) -> dict[str, str]:
        """What became of each order."""
        return {str(i): repr(request.outcome) for i, request in enumerate(self.asked)}


def _options(_: object, chance: Random) -> Options:
    return {"times": sorted([round(chance.uniform(0.0, 20.0), 3)] for _ in range(24))}


def native(package: Path) -> Scenario:
    """The scenario, with the package laid down there."""
    return Scenario(
        name="native",
        about="a component's clocks, randomness, sleeps and files are those of the seed",
        nodes=(NODE, "b.nec"),
        topology=lambda names: tuple(NodePlan(name, (package,) if name == NODE else ()) for name in names),
        options=_options,
        begin=_Story,
        drawers=(crash,),
    )


def play(folder: Path, seed: int) -> Result:
    """Play one seed."""
    scenario = native(lay_down(folder / "native", "native.wasm", "native"))
    return run(expand(scenario, seed, len(scenario.nodes)), Programs(), scenario=scenario)


if __name__ == "__main__":
    print(play(Path(sys.argv[1]), int(sys.argv[2])).digest)
