"""Plays a plan in a simulation, and writes its journal."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from kernel.router.kernel import Kernel
from nectar_node.driver.trace_file import standing
from testnet.journal.ground import Ground
from testnet.journal.journal import NOBODY
from testnet.model.invariants import Violation, Watch
from testnet.model.lab import Lab
from testnet.model.points import Points
from testnet.runs.play import play, what_went_wrong
from testnet.runs.result import BROKEN, DEADLINE, PASSED, VIOLATED, Result
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Outcomes, Plan, Scenario, Story
from testnet.sim.node import SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

__all__ = ["BROKEN", "DEADLINE", "PASSED", "VIOLATED", "Result", "finish", "run", "try_out"]

SETTLES_WITHIN = 60.0
"""Seconds in which whatever is on its way between nodes arrives, or is given up."""
_COLLECT_AFTER = 20_000
"""Objects until garbage is looked for, instead of Python's 700. Almost all that a run makes is either gone at once or
there until its end, and with a hundred nodes to look through that took a fifth of the time."""


def run(
    plan: Plan,
    engine: Programs,
    scenario: Scenario | None = None,
    *,
    journal: bool = True,
    points: Points | None = None,
    ground: Ground | None = None,
) -> Result:
    """Play a plan and return its result, which also holds a failure. `scenario` may be one that is not in SCENARIOS.

    Without a `journal` its result has neither lines nor a digest. `points` takes its events, and `ground` notes what
    ground the run reaches.
    """
    with _seldom_collecting():
        return _played(plan, engine, scenario or SCENARIOS[plan.scenario], points, ground, journal=journal)


def _played(
    plan: Plan, engine: Programs, scenario: Scenario, points: Points | None, ground: Ground | None, *, journal: bool
) -> Result:
    """Play a plan: when this returns, nothing refers to the simulation any more, and it can be collected."""
    with closing(Simulation(plan.seed, engine, watches=True, journal=journal)) as simulation:
        simulation.points = points or simulation.points
        if ground is not None:
            scenario = _noting(ground, simulation, scenario)
        return _run(plan, simulation, scenario)


def _noting(ground: Ground, simulation: Simulation, scenario: Scenario) -> Scenario:
    """Return the scenario, which lets `ground` know when faults can begin."""
    simulation.recording.ground = ground

    def begin(lab: Lab, plan: Plan) -> Story:
        story = scenario.begin(lab, plan)
        ground.began = simulation.now
        return story

    return replace(scenario, begin=begin)


def try_out(
    plan: Plan,
    engine: Programs,
    scenario: Scenario | None = None,
    *,
    ground: Ground | None = None,
    noting: Programs | None = None,
) -> Result:
    """Play a plan without a journal, and again with one if it fails. The second run must be the same as the first: its
    result says so otherwise, since nobody could replay it.

    `ground` notes what ground the first run reaches, with guests of `noting`, if that is given. Guests of `noting` may
    differ in where a stack overflows and in the lines of a trap: then what counts is what those of `engine` do.
    """
    first = run(
        plan, noting or engine, scenario, journal=False, points=None if ground is None else ground.points, ground=ground
    )
    if first.result == PASSED:
        return first
    again = run(plan, engine, scenario)
    if noting is not None and again.fingerprint != first.fingerprint:
        first = run(plan, engine, scenario, journal=False)
    if again.fingerprint == first.fingerprint:
        return again
    text = f"it was played twice, and the two runs differ; the first one {first.result}: {first.text}"
    return replace(again, result=BROKEN, text=text, outcomes={})


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for garbage seldom within a run, and once behind it: all that it has made is garbage then, and young."""
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], _COLLECT_AFTER) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        if usual[0]:
            gc.collect(1)
        gc.set_threshold(*usual)


def _run(plan: Plan, simulation: Simulation, scenario: Scenario) -> Result:
    simulation.deadline = scenario.deadline
    watch = Watch(lambda name: _kernel(simulation, name))
    simulation.watch(watch)
    result, text = PASSED, ""
    outcomes: Outcomes = {}
    try:
        outcomes = play(simulation, scenario, plan)
        _settle(simulation)
        finish(simulation, watch)
    except Exception as error:  # any error is reported with the plan that leads to it
        result, text = what_went_wrong(error)
        text = watch.with_outstanding(text) if result == DEADLINE else text
    if text:
        simulation.record(NOBODY, f"violation {text}")
    recording, lines = simulation.recording, tuple(simulation.journal)
    hashed = simulation.digest() if recording.kept else ""
    return Result(plan, lines, hashed, simulation.now, result, text, outcomes, fingerprint=recording.fingerprint)


def finish(simulation: Simulation, watch: Watch) -> None:
    """Check that no request of any node has been forgotten; raises Violation."""
    for node in simulation.nodes.values():
        watch.finish(node.life, standing(node.core.kernel, _on_their_way(node)))


def _kernel(simulation: Simulation, name: str) -> Kernel | None:
    node = simulation.nodes.get(name)
    return node.core.kernel if node is not None else None


def _settle(simulation: Simulation) -> None:
    """Let the healed network come to rest; raises Violation if messages stay in flight."""
    simulation.deadline = simulation.now + 2 * SETTLES_WITHIN
    limit = simulation.now + SETTLES_WITHIN
    while waiting := [node for node in simulation.nodes.values() if _on_their_way(node)]:
        if simulation.now >= limit:
            left = ", ".join(f"{_on_their_way(node)} from {node.host}" for node in waiting)
            text = f"G24: {SETTLES_WITHIN:g} s after all was over there are messages on their way: {left}"
            raise Violation(text)
        simulation.rest(0.1)


def _on_their_way(node: SimNode) -> int:
    return node.core.network.statistics()["outgoing_messages"]
