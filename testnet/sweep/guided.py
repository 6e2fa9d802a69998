"""Guided search: plans whose runs reached new ground are varied first.

Pure: it makes a plan, is told what ground its run reached, and makes the next one. The same sweep's seed and the same
answers lead to the same plans. A plan is new, drawn from the next seed, or a variation of one in the corpus: faults are
moved to moments at which its run was on rare ground, left out, aimed anew or added, two plans are spliced, and options
are drawn again. All of it stays within what the scenario itself can draw: its nodes, its drawers, their times, and as
many faults. Options, and schedules that a scenario draws whole, are taken as they are drawn: a part of them may be
nothing that it withstands. The corpus holds a bounded number of plans; one is chosen the more often, the fewer runs
have been on the ground that it found. See Böhme et al., "Coverage-based Greybox Fuzzing as Markov Chain" (2016), on
rare ground.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from testnet.faults.draw import MAX_DRAWN
from testnet.faults.schedule import Step, ordered
from testnet.model.rule import Fault
from testnet.scenarios.scenario import Plan, Scenario

MAX_CORPUS = 256
"""The most plans that are kept to be varied."""
MAX_MOMENTS = 256
"""The most places that are remembered of each."""
_FRESH = 0.2
"""The share of plans that are drawn from a seed, as those of any sweep."""
_FIRST_FRESH = 6
"""Plans that are drawn from seeds before any is varied."""
_LATEST = 0.8
"""The last moment at which a drawn fault begins, as a share of the scenario's seconds (`testnet.faults.draw`)."""
_OF_STEPS = {"add": 4, "move": 4, "aim": 2, "drop": 1, "splice": 2, "options": 3, "seed": 1}
"""What is changed of a plan whose faults are drawn one by one, and how often."""
_OF_WHOLES = {"schedule": 3, "options": 3, "seed": 2}
"""The same where a scenario draws the whole schedule, or has none."""
_OTHER_SEEDS = 1 << 31
"""Seeds below this one are drawn for options, schedules and runs of a variation."""
_ATTEMPTS = 40
"""Faults that are drawn at most to find one of the same kind."""
_BEGINS_THERE = 0.7
"""The share of faults that begin at a moment of rare ground; the others end there."""
_AT_ANOTHER = 0.4
"""The share of faults that meet the beginning or the end of another one."""
_NEAR = (0.0, 0.002, 0.01, 0.05, 0.2, 1.0)
"""Seconds by which a fault comes before or after a moment at most."""


@dataclass(slots=True)
class _Known:
    """A plan in the corpus."""

    plan: Plan
    found: tuple[tuple[int, float], ...]
    """Places that nobody had been at before, and when."""
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
            return self._expand(seed)
        return self._vary(self._choose())

    def learn(self, plan: Plan, ground: Sequence[Sequence[float]]) -> None:
        """Take what ground the run of a plan that passed has reached: places, and when."""
        found = tuple((int(place), at) for place, at in ground if int(place) not in self._visits)
        self._visits.update(int(place) for place, _ in ground)
        if not found:
            return
        if len(found) > MAX_MOMENTS:
            found = tuple(self._chance.sample(found, MAX_MOMENTS))
        self.corpus.append(_Known(plan, found))
        if len(self.corpus) > MAX_CORPUS:
            self.corpus.remove(min(self.corpus, key=self._worth))

    def _worth(self, known: _Known) -> float:
        rare = sum(1.0 / self._visits[place] for place, _ in known.found)
        return rare / (1 + known.chosen)

    def _choose(self) -> _Known:
        known = self._chance.choices(self.corpus, [self._worth(each) for each in self.corpus])[0]
        known.chosen += 1
        return known

    # --- variations -------------------------------------------------------------------------------------------------

    def _vary(self, known: _Known) -> Plan:
        plan = known.plan
        for _ in range(self._chance.choice((1, 2, 2, 3, 4, 6))):
            plan = self._change(plan, known)
        return plan

    def _change(self, plan: Plan, known: _Known) -> Plan:
        free = self._scenario.draw is None and bool(self._scenario.drawers)
        weights = _OF_STEPS if free else _OF_WHOLES
        change = self._chance.choices(list(weights), list(weights.values()))[0]
        match change:
            case "add":
                return self._with_steps(plan, [*plan.schedule, self._step(plan, known)])
            case "move":
                return self._changed_step(plan, lambda step: self._timed(step.fault, known))
            case "aim":
                return self._changed_step(plan, lambda step: replace(step, fault=self._aimed(step.fault, plan)))
            case "drop" if plan.schedule:
                gone = self._chance.randrange(len(plan.schedule))
                return replace(plan, schedule=plan.schedule[:gone] + plan.schedule[gone + 1 :])
            case "splice":
                other = self._chance.choice(self.corpus).plan
                return self._with_steps(plan, [*plan.schedule, *other.schedule])
            case "schedule":
                return replace(plan, schedule=self._expand(self._chance.randrange(_OTHER_SEEDS)).schedule)
            case "options":
                return replace(plan, options=self._expand(self._chance.randrange(_OTHER_SEEDS)).options)
            case "seed":
                return replace(plan, seed=self._chance.randrange(_OTHER_SEEDS))
        return plan

    def _with_steps(self, plan: Plan, steps: list[Step]) -> Plan:
        """Return the plan with these faults, or with as many of them as can be drawn."""
        if len(steps) > MAX_DRAWN:
            steps = self._chance.sample(steps, MAX_DRAWN)
        return replace(plan, schedule=ordered(steps))

    def _changed_step(self, plan: Plan, change: Callable[[Step], Step]) -> Plan:
        if not plan.schedule:
            return plan
        number = self._chance.randrange(len(plan.schedule))
        steps = list(plan.schedule)
        steps[number] = change(steps[number])
        return replace(plan, schedule=ordered(steps))

    def _step(self, plan: Plan, known: _Known) -> Step:
        return self._timed(self._chance.choice(self._scenario.drawers)(plan.nodes, self._chance), known)

    def _timed(self, fault: Fault, known: _Known) -> Step:
        """Return a fault that begins, or ends, near such a moment as `_moment` returns."""
        chance, seconds = self._chance, self._scenario.seconds
        moment = self._moment(known) + chance.uniform(-1.0, 1.0) * chance.choice(_NEAR)
        length = chance.expovariate(4.0 / seconds) * chance.choice((0.02, 0.2, 1.0))
        at = moment if chance.random() < _BEGINS_THERE else moment - length
        at = round(min(max(0.0, at), seconds * _LATEST), 3)
        return Step(at, round(min(seconds, at + length), 3), fault)

    def _moment(self, known: _Known) -> float:
        """Return when a fault of the plan begins or ends, or when its run was on rare ground."""
        edges = [at for step in known.plan.schedule for at in (step.at, step.until) if at is not None]
        if edges and self._chance.random() < _AT_ANOTHER:
            return self._chance.choice(edges)
        weights = [1.0 / self._visits[place] for place, _ in known.found]
        return self._chance.choices(known.found, weights)[0][1]

    def _aimed(self, fault: Fault, plan: Plan) -> Fault:
        """Return a fault of the same kind that the scenario draws for others, if it draws any within a few attempts."""
        drawn = (self._chance.choice(self._scenario.drawers)(plan.nodes, self._chance) for _ in range(_ATTEMPTS))
        return next((each for each in drawn if type(each) is type(fault)), fault)
