"""`python -m tests.levels [SCENARIO …]`: plays every plan at every level, and prints a table: outcome and seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from testnet.model.lab import Level
from testnet.runs.result import PASSED, Result
from testnet.sim.programs import Programs
from tests.levels.plans import PLANS
from tests.levels.playing import Played, differences, in_order_of_end, play_at, playing, settled, unavailable

Runs = dict[tuple[str, Level], Played]


def main(names: Sequence[str]) -> int:
    """Exit code: 0 all agree, 1 some do not, 2 there is no such plan."""
    if unknown := [name for name in names if name not in PLANS]:
        print(f"There is no plan of {unknown[0]}; there are {', '.join(PLANS)}.", file=sys.stderr)
        return 2
    levels = list(_levels())
    wanted = [(PLANS[name], level) for level in levels for name in names or PLANS]
    runs: Runs = {}
    with playing(wanted, Programs()) as futures:
        for name, level, played in in_order_of_end(futures):
            runs[name, level] = played
            print(f"{name}, {level.value}: {played.words}, {played.real_seconds:.0f} s", file=sys.stderr, flush=True)
    for (name, level), played in runs.items():
        if level is not Level.SIMULATION:
            runs[name, level] = settled(runs[name, Level.SIMULATION].result, played, partial(_again, name, level))
    faults = [line for name in names or PLANS for line in _faults(name, runs)]
    _print_table(names or list(PLANS), levels, runs)
    print("\n".join(faults) or f"All agree, at {len(levels)} levels.")
    return 1 if faults else 0


def _again(name: str, level: Level) -> Played:
    played = play_at(PLANS[name], level, Programs())
    print(f"{name}, {level.value}, again, alone: {played.words}", file=sys.stderr, flush=True)
    return played


def _levels() -> Iterator[Level]:
    for level in Level:
        if (why := unavailable(level)) is None:
            yield level
        else:
            print(f"Nothing is played in {level.value}: {why}")


def _faults(name: str, runs: Runs) -> list[str]:
    simulated = runs[name, Level.SIMULATION].result
    found = []
    for level in Level:
        if (played := runs.get((name, level))) is None:
            continue
        if played.result.result != PASSED:
            found.append(f"{name}, {level.value}: {played.words}")
        else:
            found += [f"{name}: {line}" for line in differences(simulated, played.result)]
    return found


def _print_table(names: Sequence[str], levels: Sequence[Level], runs: Runs) -> None:
    table = Table("SCENARIO", "OUTCOMES", *(level.value.upper() for level in levels), box=None)
    for name in names:
        simulated = runs[name, Level.SIMULATION].result
        cells = [_cell(simulated, runs[name, level]) for level in levels]
        table.add_row(name, str(len(simulated.outcomes)), *cells)
    Console().print(table)


def _cell(simulated: Result, played: Played) -> str:
    result = played.result
    words = result.result
    if result.result == PASSED and result is not simulated:
        words = "the same" if result.outcomes == simulated.outcomes else "NOT the same"
    return f"{words}, {played.real_seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
