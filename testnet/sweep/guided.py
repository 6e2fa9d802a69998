"""Guided search: plans whose runs reached new ground are varied first, and faults are aimed at rare events.

Pure: it makes a plan, is told what ground its run reached, and makes the next one. The same sweep's seed and the same
answers lead to the same plans. A plan is new, drawn from the next seed, or a variation of one in the corpus. A
variation has a *pivot*, mostly an event at which that plan's run was on rare ground: what came before stays as it was,
so the run comes there again; a fault strikes at that very event, by its number; what came after is drawn anew in part.
Further faults come to where others begin or end, or to other rare events.

All of it stays within what the scenario itself can draw: its nodes, its drawers, their times, and as many faults.
Options, and schedules that a scenario draws whole, are taken as they are drawn: a part of them may be nothing that it
withstands. The corpus holds a bounded number of plans; one is chosen the more often, the fewer runs have been on the
ground that it found. See Böhme et al., "Coverage-based Greybox Fuzzing as Markov Chain" (2016), on rare ground.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from testnet.faults.draw import MAX_DRAWN
from testnet.faults.schedule import Step, ordered
from testnet.model.fields import nodes_of
from testnet.model.points import AFTER, Point
from testnet.model.rule import Fault
from testnet.scenarios.scenario import Plan, Scenario

MAX_CORPUS = 256
"""The most plans that are kept to be varied."""
MAX_MOMENTS = 256
"""The most places that are remembered of each."""
_FRESH = 0.5
"""The share of plans that are drawn from the next seed, with more faults: what is varied over and over has the options
of few plans."""
_FIRST_FRESH = 2
"""Plans that are drawn from seeds before any is varied."""
_LATEST = 0.8
"""The last moment at which a drawn fault begins, as a share of the scenario's seconds (`testnet.faults.draw`)."""
_OF_WHOLES = {"schedule": 3, "options": 3, "seed": 2}
"""What is changed where a scenario draws the whole schedule, or has none, and how often."""
_OTHER_SEEDS = 1 << 31
"""Seeds below this one are drawn for options, schedules and runs of a variation."""
_ATTEMPTS = 20
"""Faults that are drawn at most to find one that is about a node."""
_OTHER_OPTIONS, _OTHER_CHANCE = 0.25, 0.1
"""The share of variations with other options, and of those with another seed for all that is left to chance."""
_STAYS_AFTER = 0.4
"""The share of faults after the pivot that stay; all before it do."""
_ANYWHERE = 0.25
"""The share of pivots at any time. Ground is noted where a run reaches it first, and that is early in most runs."""
_ABOUT_THE_NODE = 0.7
"""The share of faults at an event that are about its node."""
_SPLICED = 0.15
"""The share of further faults that are taken from another plan."""
_AT_ANOTHER = 0.6
"""The share of further faults that meet the beginning or the end of another one."""
_FAULTS = (3, 4, 4, 5, 6)
"""How many faults a plan has at least."""
_NEAR = (0.0, 0.002, 0.01, 0.05, 0.2, 1.0)
"""Seconds by which a further fault comes before or after a moment at most."""


class _Moment(NamedTuple):
    """A place, and when a run was there first."""

    place: int
    at: float
    node: str = ""
    kind: str = ""
    """That of a numbered event; "": it has no number."""
    number: int = 0


@dataclass(slots=True)
class _Known:
    """A plan in the corpus."""

    plan: Plan
    found: tuple[_Moment, ...]
    """Places that nobody had been at before."""
    chosen: int = 0
    """How often it has been varied."""


class GuidedSearch:
    """Makes the plans of a sweep, one after another."""

    def __init__(self, scenario: Scenario, first: int, expand: Callable[[int], Plan]) -> None:
        """`first` is the sweep's seed, and the first of those from which plans are drawn; `expand` draws one."""
        self._scenario = scenario
        self._seed = first
        self._expand = expand
        self._chance = Random(f"{first}/guided")
        self._visits: Counter[int] = Counter()
        """The number of runs that have been at each place."""
        self.corpus: list[_Known] = []
        """The plans that are varied."""
        self._made = 0

    @property
    def places(self) -> int:
        """The number of places that any run has been at."""
        return len(self._visits)

    def next_plan(self) -> Plan:
        """Return the next plan to play."""
        self._made += 1
        if not self.corpus or self._made <= _FIRST_FRESH or self._chance.random() < _FRESH:
            seed, self._seed = self._seed, self._seed + 1
            return self._fuller(self._expand(seed))
        return self._vary(self._choose())

    def learn(self, plan: Plan, ground: Sequence[Sequence[Any]]) -> None:
        """Take what ground the run of a plan that passed has reached: of each place when, and at which event."""
        moments = [_Moment(*row) for row in ground]
        found = tuple(each for each in moments if each.place not in self._visits)
        self._visits.update(each.place for each in moments)
        if not found:
            return
        if len(found) > MAX_MOMENTS:
            found = tuple(self._chance.sample(found, MAX_MOMENTS))
        self.corpus.append(_Known(plan, found))
        if len(self.corpus) > MAX_CORPUS:
            self.corpus.remove(min(self.corpus, key=self._worth))

    def _worth(self, known: _Known) -> float:
        rare = sum(1.0 / self._visits[each.place] for each in known.found)
        return rare / (1 + known.chosen)

    def _choose(self) -> _Known:
        known = self._chance.choices(self.corpus, [self._worth(each) for each in self.corpus])[0]
        known.chosen += 1
        return known

    def _fuller(self, plan: Plan) -> Plan:
        """Return a drawn plan with more faults, once there is a corpus to aim them by: a run costs much the same with
        few and with many, and two that meet are what most plans lack."""
        steps = list(plan.schedule)
        if self.corpus and steps and self._draws_each:
            known = self._choose()
            for _ in range(self._chance.choice(_FAULTS) - len(steps)):
                steps.append(self._further(known, steps))
        return replace(plan, schedule=ordered(steps))

    @property
    def _draws_each(self) -> bool:
        """Whether the scenario draws its faults one by one, and not the whole schedule."""
        return self._scenario.draw is None and bool(self._scenario.drawers)

    # --- variations -------------------------------------------------------------------------------------------------

    def _vary(self, known: _Known) -> Plan:
        chance, plan = self._chance, known.plan
        if not self._draws_each:
            for _ in range(chance.choice((1, 2))):
                plan = self._with_other_whole(plan)
            return plan
        if chance.random() < _OTHER_OPTIONS:
            plan = replace(plan, options=self._expand(chance.randrange(_OTHER_SEEDS)).options)
        if chance.random() < _OTHER_CHANCE:
            plan = replace(plan, seed=chance.randrange(_OTHER_SEEDS))
        return replace(plan, schedule=self._varied(known, is_same=plan is known.plan))

    def _with_other_whole(self, plan: Plan) -> Plan:
        change = self._chance.choices(list(_OF_WHOLES), list(_OF_WHOLES.values()))[0]
        seed = self._chance.randrange(_OTHER_SEEDS)
        match change:
            case "schedule":
                return replace(plan, schedule=self._expand(seed).schedule)
            case "options":
                return replace(plan, options=self._expand(seed).options)
            case _:
                return replace(plan, seed=seed)

    def _varied(self, known: _Known, *, is_same: bool) -> tuple[Step, ...]:
        """Return a schedule with a fault at the pivot, and with others before and after it. `is_same`: but for the
        schedule, the plan is the known one, so the pivot's event comes again."""
        chance, plan = self._chance, known.plan
        pivot = self._moment(known)
        if chance.random() < _ANYWHERE:
            pivot = _Moment(-1, round(chance.uniform(0.0, self._scenario.seconds * _LATEST), 3))
        stays = [step for step in plan.schedule if step.at < pivot.at or chance.random() < _STAYS_AFTER]
        steps = [step if is_same else replace(step, event=None) for step in stays[: MAX_DRAWN - 2]]
        steps.append(self._struck(plan, pivot, is_same=is_same))
        for _ in range(max(1, chance.choice(_FAULTS) - len(steps))):
            steps.append(self._further(known, steps, pivot.at))
        return ordered(steps)

    def _struck(self, plan: Plan, moment: _Moment, *, is_same: bool) -> Step:
        """Return a fault that begins at an event, or at its time."""
        at = min(max(0.0, moment.at), self._scenario.seconds * _LATEST)
        fault, event = self._fault(plan, moment.node), None
        if is_same and moment.kind and at == moment.at and moment.node in plan.nodes:
            event = Point(AFTER, moment.kind, moment.number, moment.node)
        return Step(at, self._end(at), fault, event)

    def _further(self, known: _Known, steps: Sequence[Step], after: float = 0.0) -> Step:
        """Return a fault that meets another one or a rare event, or one of another plan; it does not come before the
        time `after`, so that all is as it was until then."""
        chance = self._chance
        others = [step for step in chance.choice(self.corpus).plan.schedule if step.at >= after]
        if others and chance.random() < _SPLICED:
            return replace(chance.choice(others), event=None)
        edges = [at for step in steps for at in (step.at, step.until) if at is not None and at >= after]
        node, moment = "", chance.choice(edges or [after])
        if chance.random() >= _AT_ANOTHER:
            rare = self._moment(known)
            node, moment = rare.node, max(after, rare.at)
        near = chance.uniform(-1.0, 1.0) * chance.choice(_NEAR)
        moment = moment + near if moment + near >= after else moment + abs(near)
        at = round(min(max(0.0, moment), self._scenario.seconds * _LATEST), 3)
        return Step(at, self._end(at), self._fault(known.plan, node))

    def _end(self, at: float) -> float:
        seconds = self._scenario.seconds
        length = self._chance.expovariate(4.0 / seconds) * self._chance.choice((0.02, 0.2, 1.0))
        return max(at, round(min(seconds, at + max(0.001, length)), 3))

    def _moment(self, known: _Known) -> _Moment:
        """Return when the plan's run was on rare ground."""
        weights = [1.0 / self._visits[each.place] for each in known.found]
        return self._chance.choices(known.found, weights)[0]

    def _fault(self, plan: Plan, node: str) -> Fault:
        """Return a fault; mostly one about that node, if the scenario draws any within a few attempts."""
        drawn = self._chance.choice(self._scenario.drawers)(plan.nodes, self._chance)
        if node and self._chance.random() < _ABOUT_THE_NODE:
            for _ in range(_ATTEMPTS):
                if node in nodes_of(drawn):
                    break
                drawn = self._chance.choice(self._scenario.drawers)(plan.nodes, self._chance)
        return drawn
