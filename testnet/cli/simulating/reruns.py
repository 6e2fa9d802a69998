"""Failures that are run again with fewer or shorter faults: of scenarios, of tests, in a lab or on real nodes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.console.progress import display
from testnet.faults.schedule import Step
from testnet.journal.journal import OF_CHAOS, Header, Journal, JournalEnd
from testnet.model.lab import Level
from testnet.runs.plans import plan_of, plan_untrusted
from testnet.runs.result import BROKEN
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sweep.verdict import RunVerdict, of_own_python
from testnet.sweep.workers import Workers
from testnet.testing.again import TestAgain, fails_alike, says_the_same
from testnet.testing.injections import KeptFault
from testnet.testing.origin import is_of_a_test

MAX_CHAOS_SECONDS = 7 * 24 * 3600.0
"""Seconds of chaos that are played again."""


class Player(Protocol):
    """Plays plans: `testnet.sweep.workers.Workers`, or real nodes."""

    def play(self, plan: Plan, journal: Path | None = None) -> RunVerdict:
        """Play a plan and wait for its verdict."""


class RealPlayer:
    """Plays plans on real nodes of this machine."""

    def __init__(self, scenario: Scenario, level: Level) -> None:
        self._scenario, self._level = scenario, level

    def play(self, plan: Plan, journal: Path | None = None) -> RunVerdict:
        """Play a plan and wait for its verdict. Ctrl-C raises KeyboardInterrupt when the nodes have ended."""
        from testnet.real.run import (
            run_real,
        )  # this loads trio, which would cost the other commands a tenth of a second

        result = run_real(plan, self._scenario, self._level)
        if journal is not None:
            result.write(journal)
        if result.result == "interrupted":
            raise KeyboardInterrupt
        return RunVerdict(**asdict(result.end), plan=plan)


class ChaosPlayer:
    """Plays chaos again, with the same faults, on a testnet that is made for it."""

    def play(self, plan: Plan, journal: Path | None = None) -> RunVerdict:
        """Play a plan and wait for its verdict. Ctrl-C raises KeyboardInterrupt when the nodes have ended."""
        # These load trio, which would cost the other commands a tenth of a second.
        from nectar_node.launcher.file_transfer import interrupts
        from testnet.chaos.journal import chaos_result
        from testnet.chaos.nodes import own_testnet
        from testnet.chaos.run import run_chaos

        seconds = plan.options["seconds"]
        with own_testnet(output.complain, plan.nodes) as place, interrupts() as wanted:
            with display(output.console(sys.stderr), f"chaos with seed {plan.seed}") as shown:
                report = run_chaos(place, plan.seed, seconds, plan.schedule, shown, wanted)
            if wanted.count:
                raise KeyboardInterrupt
        result = chaos_result(report, plan.schedule)
        if journal is not None:
            result.write(journal)
        return RunVerdict(**asdict(result.end), plan=plan)


@dataclass(frozen=True, slots=True)
class HeldFault:
    """A fault of a run that can be left out, or held for less time."""

    index: int
    """Its place in the schedule of the journal, from 0."""
    at: float
    """As the schedule has it."""
    held: float | None
    """Seconds; None: to the end."""


class Rerun(Protocol):
    """A failure, to be tried with other faults."""

    faults: tuple[HeldFault, ...]
    """All of the run."""

    def fails(self, faults: Sequence[HeldFault]) -> bool:
        """Run it with these faults alone, and return whether it fails in the same way."""


class TestRerun:
    """A failure of a test."""

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, journal: Journal, origin: str) -> None:
        """Raises BadInput for a journal whose test cannot be run here."""
        self.again = TestAgain(journal.header, origin)
        self._journal = journal
        self.faults = tuple(
            HeldFault(index, at, None if until is None else until - at)
            for index, (at, until) in enumerate(map(_times, journal.header.schedule[: len(self.again.faults)]))
        )

    def kept(self, faults: Sequence[HeldFault]) -> tuple[KeptFault, ...]:
        """Return these faults as the test is told of them."""
        found = []
        for fault in faults:
            kept, whole = self.again.faults[fault.index], self.faults[fault.index]
            late = kept.late + fault.at - whole.at
            shorter = fault.held is not None and (whole.held is None or fault.held < whole.held or late > kept.late)
            found.append(
                KeptFault(
                    kept.number,
                    round(late, 6),
                    round(fault.held, 6) if shorter and fault.held is not None else kept.held,
                )
            )
        return tuple(found)

    def fails(self, faults: Sequence[HeldFault], left_out: frozenset[int] | None = None) -> bool:
        """Run the test with these faults alone, without the requests `left_out` (None: those that the journal's run was
        without), and return whether it fails at the same line."""
        now = self.again.run(self.kept(faults), left_out=left_out)
        alike = fails_alike(self._journal, now)
        return alike and (not left_out or left_out == self.again.left_out or says_the_same(self._journal, now))


def _times(step: dict[str, object]) -> tuple[float, float | None]:
    at, until = step.get("at"), step.get("until")
    return (float(at) if isinstance(at, (int, float)) else 0.0), (
        float(until) if isinstance(until, (int, float)) else None
    )


class PlanRerun:
    """A failure of a scenario."""

    def __init__(self, plan: Plan, end: JournalEnd, player: Player) -> None:
        self._plan, self._player = plan, player
        self._failure = RunVerdict(**asdict(end), plan=plan)
        self.faults = tuple(
            HeldFault(index, step.at, None if step.until is None else step.until - step.at)
            for index, step in enumerate(plan.schedule)
        )

    def fails(self, faults: Sequence[HeldFault]) -> bool:
        """Play the plan with these faults alone, and return whether it fails in the same way."""
        steps = tuple(self._step(each) for each in faults)
        return self._player.play(replace(self._plan, schedule=steps)).kind == self._failure.kind

    def _step(self, fault: HeldFault) -> Step:
        until = None if fault.held is None else fault.at + fault.held
        return replace(self._plan.schedule[fault.index], at=fault.at, until=until)


def rerun_of(journal: Journal, origin: str, workers: Workers) -> Rerun:
    """Return how the failure in a journal is tried again; raises BadInput."""
    if is_of_a_test(journal.header):
        return TestRerun(journal, origin)
    player, plan, _ = played(journal.header, origin, workers)
    return PlanRerun(plan, journal.end, player)


def played(header: Header, origin: str, workers: Workers) -> tuple[Player, Plan, int]:
    """Return what plays the plan of a journal, the plan, and how many nodes it needs; raises BadInput."""
    if header.scenario == OF_CHAOS:
        plan = plan_untrusted(header, origin)
        check_minutes_of(plan, origin)
        return ChaosPlayer(), plan, len(plan.nodes)
    scenario, plan = plan_of(header, origin)
    level = level_of(header)
    return (workers if level is Level.SIMULATION else RealPlayer(scenario, level)), plan, scenario.least_nodes


def check_minutes_of(plan: Plan, origin: str) -> None:
    """Check the seconds of a chaos run in a journal; raises BadInput."""
    seconds = plan.options.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_CHAOS_SECONDS:
        raise BadInput(f"{origin} does not say for how long there was chaos: expected options with seconds.")
    if any(step.until is None for step in plan.schedule):
        raise BadInput(f"{origin} has a fault without an end, and those of chaos have one.")


def level_of(header: Header) -> Level:
    """Return the level of a journal; one that nobody knows counts as a simulation."""
    return next((each for each in Level if each.value == header.level), Level.SIMULATION)


def own_error(journal: Journal) -> str | None:
    """Say that a run has failed by a mistake in the Python of its test or scenario; None: it has not."""
    if journal.end.result != BROKEN:
        return None
    text = journal.end.text.splitlines()[0] if journal.end.text else ""
    if is_of_a_test(journal.header):
        place = journal.header.options.get("place")
        where = f" at {place['file']}:{place['line']}" if isinstance(place, dict) else ""
        return f"This is an error of the test's own Python{where}: {text}"
    if not of_own_python(journal.end, journal.header.scenario):
        return None
    return f"This is an error of the scenario's own Python: {text}"
