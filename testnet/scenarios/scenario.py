"""Scenarios: a topology, work, and what must hold afterwards; the same code at every level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, runtime_checkable

from testnet.faults.draw import Drawer, draw_schedule
from testnet.faults.schedule import Schedule
from testnet.model.invariants import Violation
from testnet.model.lab import Lab, NodePlan

__all__ = ["MAX_NODES", "Plan", "Scenario", "Story", "Violation", "draw_plan", "everywhere", "require"]

MAX_NODES = 200
"""The most nodes in one network."""

Options = dict[str, Any]
Outcomes = dict[str, str]
"""What came of each action, by its description. Times are left out, and so is what depends on chance where time is
real: the same plan gives the same outcomes at every level."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, in full: a seed alone means nothing any more once the code has changed."""

    scenario: str
    seed: int
    nodes: tuple[str, ...]
    options: Options
    """Sizes, counts, pauses: JSON values."""
    schedule: Schedule = ()

    def value(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "nodes": list(self.nodes),
            "options": self.options,
            "schedule": [step.value() for step in self.schedule],
        }


class Story(Protocol):
    """One run of a scenario; its methods raise Violation and OutOfTime."""

    def work(self) -> None:
        """Do what happens while there are faults; may wait."""

    def check(self) -> None:
        """Check what must hold when the faults have ended and the network has healed."""


@runtime_checkable
class Telling(Story, Protocol):
    """A story that says what it came to, so that its runs at several levels can be compared."""

    def outcomes(self) -> Outcomes:
        """Return the outcomes, after `check`."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario, as data and two functions."""

    name: str
    about: str
    """One sentence for the list."""
    nodes: tuple[str, ...]
    """The names of its nodes; further ones are `node6.nec` and so on."""
    topology: Callable[[Sequence[str]], tuple[NodePlan, ...]]
    """Makes the nodes of these names; they are booted in this order."""
    options: Callable[[Sequence[str], Random], Options]
    """Drawn anew for each seed."""
    begin: Callable[[Lab, Plan], Story]
    """When all nodes are ready."""
    drawers: tuple[Drawer, ...] = ()
    """Drawers of faults that it must withstand."""
    draw: Callable[[Sequence[str], float, Random], Schedule] | None = None
    """Draws its faults, of nodes with these names and within so many seconds, in place of `drawers`."""
    seconds: float = 20.0
    """How long there are faults, in seconds from the beginning of the work."""
    heals_within: float = 60.0
    """Seconds after the last fault in which all running nodes reach each other again."""
    deadline: float = 600.0
    """Seconds from the start in which everything is over."""
    least_nodes: int = field(default=2)
    most_nodes: int = MAX_NODES
    """The most nodes that its packages can keep account of."""

    def names(self, count: int | None) -> tuple[str, ...]:
        """Return that many names of nodes, or the usual number."""
        count = len(self.nodes) if count is None else count
        more = tuple(f"node{number}.nec" for number in range(len(self.nodes) + 1, count + 1))
        return (*self.nodes[:count], *more)


def everywhere(*packages: str) -> Callable[[Sequence[str]], tuple[NodePlan, ...]]:
    """Return a topology of nodes that all run these packages, and reach each other directly."""
    return lambda names: tuple(NodePlan(name, packages) for name in names)


def draw_plan(scenario: Scenario, seed: int, nodes: int | None = None) -> Plan:
    """Expand a seed. Most faults are left out of most runs, so that what a few do together is seen as well."""
    names = scenario.names(nodes)
    options = scenario.options(names, Random(f"{seed}/options"))
    chance = Random(f"{seed}/schedule")
    if scenario.draw is not None:
        schedule = scenario.draw(names, scenario.seconds, chance)
    else:
        schedule = draw_schedule(scenario.drawers, names, scenario.seconds, chance)
    return Plan(scenario.name, seed, names, options, schedule)


def require(holds: bool, text: str) -> None:
    """Raise Violation with `text` unless it holds."""
    if not holds:
        raise Violation(text)
