"""Plays a plan in a simulation, and writes down what happened."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from testnet.invariants import Violation, Watch
from testnet.lab import OutOfTime
from testnet.play import play
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sim.journal import End, write_journal
from testnet.sim.lab import SimLab
from testnet.sim.programs import Programs
from testnet.sim.simulation import NOBODY, Simulation

PASSED, VIOLATED, DEADLINE, BROKEN = "passed", "violated", "deadline", "broken"
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
    """passed, violated, deadline, or broken: an error of the code itself came out of it."""
    text: str = ""
    """What was violated, did not come to an end, or broke."""

    @property
    def end(self) -> End:
        """The last line of the journal."""
        return End(self.digest, len(self.journal), round(self.seconds, 9), self.result, self.text)

    def write(self, path: Path) -> None:
        """The journal as a file; raises OSError."""
        write_journal(path, self.plan.value(), self.journal, self.end)


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
    except Exception as error:  # whatever it is, it must be told with the plan that leads to it
        result, text = BROKEN, _with_place(error)
    if text:
        simulation.note(NOBODY, f"violation {text}")
    return Result(plan, tuple(simulation.journal), simulation.digest(), simulation.now, result, text)


def _with_outstanding(text: str, watch: Watch) -> str:
    waiting = watch.outstanding()
    shown = waiting[:MAX_OUTSTANDING_SHOWN]
    if len(waiting) > len(shown):
        shown.append(f"and {len(waiting) - len(shown)} more")
    return f"{text}. Outstanding: {'; '.join(shown) or 'nothing'}."


def _with_place(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"
