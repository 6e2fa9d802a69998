"""Plays a plan in a simulation, and writes down what happened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from testnet.invariants import Violation, Watch
from testnet.lab import OutOfTime
from testnet.play import play
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sim.lab import SimLab
from testnet.sim.programs import Programs
from testnet.sim.simulation import NOBODY, Simulation

PASSED, VIOLATED, DEADLINE = "passed", "violated", "deadline"
MAX_OUTSTANDING_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Result:
    """How a run went."""

    plan: Plan
    journal: tuple[str, ...]
    """One line for each event."""
    digest: str
    """Of all of them."""
    seconds: float
    """Of virtual time."""
    result: str
    """passed, violated or deadline."""
    text: str = ""
    """What was violated, or did not come to an end."""

    def write(self, path: Path) -> None:
        """The journal as a file; see `testnet.sim.journal`."""
        end = {
            "digest": self.digest,
            "events": len(self.journal),
            "seconds": round(self.seconds, 9),
            "result": self.result,
            "text": self.text,
        }
        lines = [f"nectar-journal 1 {json.dumps(self.plan.value())}", *self.journal, f"end {json.dumps(end)}"]
        path.write_text("\n".join(lines) + "\n")


def run(plan: Plan, engine: Programs, scenario: Scenario | None = None) -> Result:
    """Play a plan; what goes wrong is in the result. `scenario`: one that is not among SCENARIOS."""
    scenario = scenario or SCENARIOS[plan.scenario]
    simulation = Simulation(plan.seed, engine, watches=True)
    simulation.deadline = scenario.deadline
    watch = Watch()
    simulation.watch(watch)
    result, text = PASSED, ""
    try:
        play(SimLab(simulation), scenario, plan)
        for node in simulation.nodes.values():
            watch.finish(node.life, node.core.kernel.processes)
    except Violation as error:
        result, text = VIOLATED, str(error)
    except OutOfTime as error:
        result, text = DEADLINE, _with_outstanding(str(error), watch)
    if text:
        simulation.note(NOBODY, f"violation {text}")
    return Result(plan, tuple(simulation.journal), simulation.digest(), simulation.now, result, text)


def _with_outstanding(text: str, watch: Watch) -> str:
    waiting = watch.outstanding()
    shown = waiting[:MAX_OUTSTANDING_SHOWN]
    if len(waiting) > len(shown):
        shown.append(f"and {len(waiting) - len(shown)} more")
    return f"{text}. Outstanding: {'; '.join(shown) or 'nothing'}."
