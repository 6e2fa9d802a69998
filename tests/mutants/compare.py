"""`python -m tests.mutants --compare [NAME ...]`: in how many runs guided and random sweeps catch each mutant.

Both hunt from the same seeds on, one after the other, and each is told by its runs and by the processor time of its
process from the first run to the one that fails. A hunt that catches nothing counts as one run more than the most.
Mutants that a test has to catch have no seeds, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.mutants.mutant import Mutant
from tests.mutants.workshop import Finding, copied, hunt

MOST_RUNS = 100
"""Runs of one hunt."""
FIRSTS = (1, 10_001)
"""The seeds from which each mutant is hunted."""
HOWS = ("random", "guided")


@dataclass(frozen=True, slots=True)
class Hunts:
    """How a mutant was hunted from one seed on, in both ways."""

    mutant: Mutant
    first: int
    runs: dict[str, int]
    seconds: dict[str, float]

    def words(self) -> str:
        """Return a line for people."""
        each = (f"{how} {self.runs[how]} runs, {self.seconds[how]:.1f} s" for how in HOWS)
        return f"{self.mutant.name}, from seed {self.first} of {self.mutant.scenario}: {'; '.join(each)}"


def compare(mutants: Sequence[Mutant], jobs: int, console: Console) -> int:
    """Hunt them all, print a table, and return the exit code: 1 if guided hunts need more runs in all."""
    chosen = [mutant for mutant in mutants if not mutant.is_for_test]
    found: list[Hunts] = []
    with ThreadPoolExecutor(jobs) as pool:
        for hunts in pool.map(_hunts, chosen):
            for each in hunts:
                console.print(each.words(), highlight=False, soft_wrap=True)
            found += hunts
    console.print(_table(found))
    return 1 if sum(each.runs["guided"] - each.runs["random"] for each in found) > 0 else 0


def _hunts(mutant: Mutant) -> list[Hunts]:
    with copied(mutant) as folder:
        found = []
        for first in FIRSTS:
            each = {how: hunt(folder, mutant.scenario, MOST_RUNS, how, first) for how in HOWS}
            found.append(
                Hunts(mutant, first, {how: _runs(each[how]) for how in HOWS}, {how: each[how].seconds for how in HOWS})
            )
        return found


def _runs(finding: Finding) -> int:
    return finding.runs if finding.failed else finding.runs + 1


def hardest(found: Sequence[Hunts]) -> list[Hunts]:
    """Return the third of them for which random hunts need the most runs."""
    return sorted(found, key=lambda each: -each.runs["random"])[: max(1, len(found) // 3)]


def _table(found: Sequence[Hunts]) -> Table:
    table = Table("hunts", "way", "median of runs", "worst", "runs in all", "processor seconds in all")
    for name, some in ((f"all {len(found)}", found), ("the hardest third for random", hardest(found))):
        for how in HOWS:
            runs = [each.runs[how] for each in some]
            seconds = sum(each.seconds[how] for each in some)
            table.add_row(name, how, f"{median(runs):g}", str(max(runs)), str(sum(runs)), f"{seconds:.1f}")
    return table
