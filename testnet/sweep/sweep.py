"""One scenario with many seeds, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from testnet.scenarios.scenario import Plan
from testnet.sweep.players import Players
from testnet.sweep.verdict import Kind, RunVerdict

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
