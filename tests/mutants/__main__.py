"""`python -m tests.mutants [NAME ...]`: break the implementation in every way of the table, or in those that are named,
and see that something notices each.

First the scenarios have to pass all those seeds on the sources as they are. Names may stand in the environment, too:
ONLY=name, or several with commas between. Exit code 1 if a mutant survives, its text is not in the sources any more, or
a scenario fails without any mutant; 2 if a name is no mutant's. With `--compare`, guided and random sweeps hunt the
same mutants, and the runs that each needs are counted (`compare`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.mutants.compare import compare
from tests.mutants.mutant import Mutant, PatternLost
from tests.mutants.table import MUTANTS
from tests.mutants.workshop import Finding, HuntFailed, copied, hunt, run_test

JOBS = 2
_SURVIVED = "[bold red]SURVIVED[/]"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant, or of a scenario without one."""

    good: bool
    words: str


def chosen(names: Collection[str]) -> list[Mutant]:
    """All mutants, or those named; raises ValueError for a name that is none."""
    known = {mutant.name for mutant in MUTANTS}
    unknown = sorted(set(names) - known)
    if unknown:
        close = get_close_matches(unknown[0], known, n=1)
        hint = f"do you mean {close[0]}?" if close else "their names are in tests/mutants/in_*.py."
        raise ValueError(f"There is no mutant {unknown[0]!r}: {hint}")
    return [mutant for mutant in MUTANTS if mutant.name in names or not names]


def seeds_of(mutants: Iterable[Mutant]) -> dict[str, int]:
    """How many seeds of each scenario have to pass without a mutant."""
    most: dict[str, int] = {}
    for mutant in mutants:
        if mutant.is_for_test:
            continue  # those run by themselves, without any mutant
        most[mutant.scenario] = max(mutant.seeds, most.get(mutant.scenario, 0))
    return most


def judge(mutant: Mutant) -> Verdict:
    """Whether its scenario notices."""
    try:
        with copied(mutant) as folder:
            if mutant.is_for_test:
                finding = run_test(folder, mutant.scenario)
            else:
                finding = hunt(folder, mutant.scenario, mutant.seeds)
    except (PatternLost, HuntFailed) as error:
        return Verdict(False, f"[bold red]{escape(str(error))}[/]")
    if not finding.failed:
        survived = mutant.scenario if mutant.is_for_test else f"{mutant.seeds} seeds of {mutant.scenario}"
        return Verdict(False, f"{_SURVIVED} {survived}")
    if mutant.is_for_test:
        return Verdict(True, f"{mutant.scenario.partition('::')[2]}: {escape(finding.words())}")
    return Verdict(True, f"{mutant.scenario}, seed {finding.seed}: {escape(finding.words())}")


def judge_unbroken(scenario: str, seeds: int) -> Verdict:
    """Whether a scenario passes where nothing is broken."""
    try:
        with copied() as folder:
            finding = hunt(folder, scenario, seeds)
    except HuntFailed as error:
        return Verdict(False, f"[bold red]{escape(str(error))}[/]")
    return Verdict(not finding.failed, _of_unbroken(scenario, seeds, finding))


def _of_unbroken(scenario: str, seeds: int, finding: Finding) -> str:
    if finding.failed:
        return f"[bold red]{scenario} fails at seed {finding.seed}[/] {escape(finding.words())}"
    return f"{scenario} passes {seeds} seeds"


def main(names: Collection[str]) -> int:
    """The exit code."""
    console = Console()
    try:
        mutants = chosen(names)
    except ValueError as error:
        console.print(escape(str(error)))
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(JOBS) as pool:
        console.print("Without a mutant:")
        unbroken = seeds_of(mutants)
        verdicts = []
        for verdict in pool.map(judge_unbroken, unbroken, unbroken.values()):
            console.print(f"  {verdict.words}")
            verdicts.append(verdict)
        caught = []
        for mutant, verdict in zip(mutants, pool.map(judge, mutants), strict=True):
            console.print(f"{mutant.name}: {verdict.words}", highlight=False)
            caught.append(verdict)
    console.print(_table(mutants, caught))
    count = sum(verdict.good for verdict in caught)
    console.print(f"{count} of {len(mutants)} caught in {time.monotonic() - began:.0f} s")
    return 0 if all(verdict.good for verdict in (*verdicts, *caught)) else 1


def _table(mutants: Sequence[Mutant], verdicts: Sequence[Verdict]) -> Table:
    table = Table("mutant", "what it breaks", "caught by", show_lines=True)
    for mutant, verdict in zip(mutants, verdicts, strict=True):
        table.add_row(mutant.name, mutant.breaks, verdict.words)
    return table


def main_compare(names: Collection[str]) -> int:
    """Return the exit code of `--compare`."""
    try:
        return compare(chosen(names), JOBS, Console())
    except (ValueError, HuntFailed, PatternLost) as error:
        Console().print(escape(str(error)))
        return 2


if __name__ == "__main__":
    if "--compare" in sys.argv:
        sys.exit(main_compare([name for name in sys.argv[1:] if name != "--compare"]))
    sys.exit(main([*sys.argv[1:], *filter(None, os.environ.get("ONLY", "").split(","))]))
