"""Plays a scenario in a lab, at any level: boots the nodes, lets the faults come and go, heals the network, checks."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

from testnet.faults.crash import Crash
from testnet.faults.schedule import Step
from testnet.faults.unsynced import Unsynced
from testnet.model.fields import nodes_of
from testnet.model.invariants import Violation
from testnet.model.lab import Lab, NodePlan, OutOfTime, SentRequest
from testnet.model.points import AFTER, BEFORE, Point, Pointed
from testnet.model.rule import FaultFailed, NotAtThisLevel
from testnet.runs.result import BROKEN, DEADLINE, VIOLATED
from testnet.scenarios.scenario import Outcomes, Plan, Scenario, Telling
from testnet.scenarios.timing import ended

HELLO = "our@hello:hello:sys"
"""A package of every node of every scenario, with which nodes test whether they reach each other."""
_ASK_SECONDS = 10
EVERY_PAIR = 16
"""Nodes, up to which each greets each of the others when the network must have healed: 240 greetings."""


def play(lab: Lab, scenario: Scenario, plan: Plan) -> Outcomes:
    """Play the plan from the first boot to the last check and return the outcomes. Raises Violation and OutOfTime."""
    lab.boot(*(_with_hello(node) for node in scenario.topology(plan.nodes)))
    story = scenario.begin(lab, plan)
    began = lab.now
    planned = PlannedFaults(lab)
    for step in plan.schedule:
        planned.expect(step)
    planned.begin()
    story.work()
    lab.rest(max(0.0, began + scenario.seconds - lab.now))
    planned.clear(plan.nodes)
    heal(lab, plan.nodes, scenario.heals_within, affected(plan))
    story.check()
    judge_histories(lab)
    return story.outcomes() if isinstance(story, Telling) else {}


def judge_histories(lab: Lab) -> None:
    """Check what is promised of the operations that were recorded; raises Violation."""
    if (text := lab.histories.judge()) is not None:
        raise Violation(text)


def what_went_wrong(error: Exception) -> tuple[str, str]:
    """Return the result of a run that has raised `error`, and a text."""
    match error:
        case Violation():
            return VIOLATED, str(error)
        case OutOfTime():
            return DEADLINE, str(error)
    cause = error.__cause__ if isinstance(error, FaultFailed) and error.__cause__ is not None else error
    place = traceback.extract_tb(cause.__traceback__)[-1]
    return BROKEN, f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"


def _with_hello(node: NodePlan) -> NodePlan:
    """Add the package that healing is checked with; a second copy would replace the first and its outcomes."""
    if "hello" in node.packages:
        return node
    return replace(node, packages=(*node.packages, "hello"))


class PlannedFaults:
    """The faults of a schedule, as they come and go."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._holding: dict[int, Step] = {}
        """The faults that hold, by number."""
        self._over = False

    def expect(self, step: Step) -> None:
        """Schedule a fault to begin and end at its times, counted from now, or at its event."""
        if step.event is not None and isinstance(self._lab, Pointed):
            self._expect_at(step, step.event, self._lab)
        else:
            self._lab.at(step.at, lambda: self._come(step))

    def _expect_at(self, step: Step, event: Point, lab: Pointed) -> None:
        lab.points.wanted = True
        if step.is_of_event:
            lab.points.at(event._replace(side=BEFORE), lambda: self._come(step))
            lab.points.at(event._replace(side=AFTER), lambda: self._end_of(step))
            return
        ends = isinstance(step.fault, Crash | Unsynced) and step.fault.node == event.node
        lab.points.at(event, lambda: lab.strike(event.node, lambda: self._come(step), ends=ends))

    def begin(self) -> None:
        """Count the events from now on, where the lab can."""
        if isinstance(self._lab, Pointed):
            self._lab.points.begin(self._lab.now)

    def _come(self, step: Step) -> None:
        if self._over:
            return
        try:
            number = self._lab.inject(step.fault)
        except NotAtThisLevel as error:
            self._lab.note(f"left out: {error}")
            return
        self._holding[number] = step
        if step.until is not None and not step.is_of_event:
            self._lab.at(step.until - step.at, lambda: self._go(number))

    def _end_of(self, step: Step) -> None:
        for number in [number for number, each in self._holding.items() if each is step]:
            self._go(number)

    def _go(self, number: int) -> None:
        if self._holding.pop(number, None) is not None:
            self._lab.withdraw(number)

    def clear(self, nodes: Sequence[str]) -> None:
        """End all faults, cancel those to come, and boot nodes that have crashed."""
        self._over = True
        if isinstance(self._lab, Pointed):
            self._lab.points.end()
        for number in list(self._holding):
            self._go(number)
        for name in nodes:
            self._lab.start(name)
        self._lab.histories.calm()


def affected(plan: Plan) -> frozenset[str]:
    """Return the nodes that faults of the plan concern."""
    return frozenset(name for step in plan.schedule for name in nodes_of(step.fault))


def to_reach(nodes: Sequence[str], affected: Collection[str]) -> list[tuple[str, str]]:
    """Return the pairs of nodes that must reach each other: all pairs, as long as they are few. In a large network,
    that would be most of the work, and thousands of connections that are not needed otherwise. There each node must
    reach the nodes 1, 2, 4, 8 … positions after it, and nodes that a fault concerned must reach, and be reached by,
    all."""
    everybody = list(permutations(nodes, 2))
    if len(nodes) <= EVERY_PAIR:
        return everybody
    distances = {1 << power for power in range(len(nodes).bit_length())}
    place = {name: number for number, name in enumerate(nodes)}
    return [
        (source, target)
        for source, target in everybody
        if source in affected or target in affected or (place[target] - place[source]) % len(nodes) in distances
    ]


def heal(lab: Lab, nodes: Sequence[str], within: float, affected: Collection[str] = ()) -> None:
    """Check that these nodes reach each other, as `to_reach` says, within so many seconds; raises OutOfTime, which says
    who does not."""
    limit = lab.now + within
    missing = to_reach(nodes, affected)
    while missing:
        greetings = [(pair, _greet(lab, *pair, limit)) for pair in missing]
        lab.wait(ended(each for _, each in greetings), _ASK_SECONDS + 5.0, "any outcome of a greeting")
        missing = [pair for pair, each in greetings if not _greeted(each)]
        if missing and lab.now >= limit:
            pairs = ", ".join(f"{source} does not reach {target}" for source, target in missing)
            raise OutOfTime(f"{within:g} s after the last fault the network has not healed: {pairs}")
        if missing:
            lab.rest(0.5)


def _greet(lab: Lab, source: str, target: str, limit: float) -> SentRequest:
    patience = max(1, min(_ASK_SECONDS, round(limit - lab.now)))
    body = {"Ask": {"node": target, "name": "heal", "timeout": patience}}
    return lab.begin(source, HELLO, body, patience + 2)


def _greeted(request: SentRequest) -> bool:
    outcome = request.outcome
    return outcome is not None and outcome.kind == "response" and "Answered" in outcome.body
