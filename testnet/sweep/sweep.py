"""One scenario with many seeds, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from testnet.scenarios.scenario import Plan
from testnet.sweep.guided import GuidedSearch
from testnet.sweep.players import Players
from testnet.sweep.verdict import Kind, RunVerdict
from testnet.sweep.workers import Workers

_AHEAD = 2
"""The plans of a guided sweep that are under way, or wait for an earlier one, for each of several workers."""
TICK_SECONDS = 0.25
"""Seconds between two looks for verdicts."""


@dataclass(slots=True)
class SweepTally:
    """The results of a sweep so far."""

    wanted: int
    """Seeds."""
    passed: int = 0
    failures: list[RunVerdict] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Seeds that have been played."""
        return self.passed + len(self.failures)

    def add(self, verdict: RunVerdict) -> None:
        """Add a verdict."""
        if verdict.passed:
            self.passed += 1
        else:
            self.failures.append(verdict)

    def kinds(self) -> dict[Kind, list[RunVerdict]]:
        """Group the failures that are likely to have one cause."""
        kinds: dict[Kind, list[RunVerdict]] = {}
        for verdict in sorted(self.failures, key=lambda verdict: verdict.plan.seed):
            kinds.setdefault(verdict.kind, []).append(verdict)
        return kinds


def sweep(
    players: Players, plans: Iterator[Plan], tally: SweepTally, keep_going: bool, show: Callable[[], None]
) -> None:
    """Play the plans; without `keep_going` until one fails. Plans that have begun by then are finished, so that the
    failure with the lowest seed is the same in every run. `show` is called at least four times a second."""
    more = True
    while more or players.busy:
        while more and players.free:
            plan = next(plans, None)
            more = plan is not None
            if plan is not None:
                players.begin(plan)
        for verdict in players.verdicts(TICK_SECONDS):
            tally.add(verdict)
        more = more and (keep_going or not tally.failures)
        show()


def sweep_guided(
    workers: Workers, search: GuidedSearch, tally: SweepTally, keep_going: bool, show: Callable[[], None]
) -> None:
    """Play as many plans as are wanted, each made from the ground that those before it have reached.

    With several workers a plan does not wait for the latest ones: it is made from the verdicts of all plans but the
    last few, taken in the order of the plans, whichever came first. So as many workers play the same plans each time.
    Without `keep_going` no plan is begun after the first failure. `show` is called as by `sweep`.
    """
    ahead = 1 if workers.count == 1 else _AHEAD * workers.count
    under_way: deque[Plan] = deque()
    come: dict[int, RunVerdict] = {}
    """The verdicts of plans in `under_way`, by their identity."""
    begun = 0
    while True:
        more = begun < tally.wanted and (keep_going or not tally.failures)
        if more and len(under_way) < ahead and workers.free:
            plan = search.next_plan()
            under_way.append(plan)
            workers.begin(plan, ground=True)
            begun += 1
        elif under_way and id(under_way[0]) in come and (len(under_way) == ahead or not more):
            verdict = come.pop(id(under_way.popleft()))
            tally.add(verdict)
            if verdict.passed:
                search.learn(verdict.plan, verdict.ground)
        elif workers.busy:
            for verdict in workers.verdicts(TICK_SECONDS):
                come[id(verdict.plan)] = verdict
            show()
        else:
            show()
            return
