"""Plays a run with a fault at each of its events, shows the progress, and prints what was covered."""

from __future__ import annotations

import math
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.console.progress import display
from testnet.cli.simulating import sim_text
from testnet.model.unknown import unknown
from testnet.runs.journal_files import journal_file
from testnet.scenarios.scenario import Plan
from testnet.sweep.exhaust import STRIKES, ExhaustTally, Strike, pairs, seen_untrusted, strikes
from testnet.sweep.sweep import sweep
from testnet.sweep.verdict import RunVerdict
from testnet.sweep.workers import Workers

MAX_JOURNALS = 5
"""Kinds of failures of which a journal is written, one of each."""
PAIRS = 1000
"""Runs with two faults, where no budget says how many."""
_BUDGET = re.compile(r"([1-9][0-9]{0,8})([smh]?)", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class ExhaustBudget:
    """How much may be played."""

    runs: float = math.inf
    seconds: float = math.inf


def read_budget(text: str | None) -> ExhaustBudget:
    """Return the budget of an option: "500" runs, or a time such as "90s", "10m", "2h". Raises BadInput."""
    if text is None:
        return ExhaustBudget()
    found = _BUDGET.fullmatch(text)
    if found is None:
        raise BadInput(f"--budget {text}: say a number of runs, such as 500, or a time, such as 90s, 10m or 2h.")
    number, unit = int(found[1]), found[2]
    return ExhaustBudget(seconds=number * _UNITS[unit]) if unit else ExhaustBudget(runs=number)


def check_faults(names: Sequence[str]) -> list[str]:
    """Return the faults, each once. Raises BadInput for one that cannot be at an event."""
    for name in names:
        if name not in STRIKES:
            raise BadInput(unknown("fault", name, STRIKES))
    return list(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class ExhaustOrder:
    """What is to be played."""

    plan: Plan
    faults: Sequence[str]
    lasts: float | None
    """Seconds for which faults of nodes hold; None: what is usual."""
    with_pairs: bool
    budget: ExhaustBudget


@dataclass(slots=True)
class Exhausted:
    """What has been played."""

    plan: Plan
    """Without any of the faults."""
    plain: RunVerdict
    """The run without them."""
    tally: ExhaustTally = field(default_factory=lambda: ExhaustTally(0))
    events: int = 0
    pairs_wanted: int = 0
    journals: list[tuple[RunVerdict, Path]] = field(default_factory=list)
    """One failure of each kind as played again, with its journal."""
    seconds: float = 0.0
    plain_seconds: float = 0.0
    interrupted: bool = False
    """Whether Ctrl-C ended it."""


def exhaust(workers: Workers, order: ExhaustOrder, console: Console) -> Exhausted:
    """Play the run, then with the faults, and write journals of what fails. Ctrl-C ends it with what there is."""
    with tempfile.TemporaryDirectory(prefix="nectar-") as folder:
        file = Path(folder) / "events"
        plain = workers.play(order.plan, points=file)
        if not plain.passed:
            return Exhausted(order.plan, plain)
        seen = seen_untrusted(file.read_text())
    exhausted = Exhausted(order.plan, plain, events=len(seen))
    found = [strike for fault in order.faults for strike in strikes(seen, fault, order.lasts)]
    found.sort(key=lambda strike: strike.step.at)
    try:
        _play(workers, order, found, exhausted, console)
        _write_journals(workers, exhausted)
    except KeyboardInterrupt:
        exhausted.interrupted = True
    return exhausted


def _play(
    workers: Workers, order: ExhaustOrder, found: Sequence[Strike], exhausted: Exhausted, console: Console
) -> None:
    tally, budget = exhausted.tally, order.budget
    tally.expect(found)
    # A budget that ends it early has covered all of the run somewhat, and not its beginning alone.
    singles = Random(f"{order.plan.seed}/exhaust").sample(list(found), len(found))
    if order.with_pairs:
        rest = PAIRS if budget.runs == math.inf else max(0, int(budget.runs) - len(found))
        exhausted.pairs_wanted = min(math.comb(len(found), 2), rest)
    wanted = min(len(found) + exhausted.pairs_wanted, budget.runs)
    tally.wanted = int(wanted)
    began = time.monotonic()

    def plans() -> Iterator[Plan]:
        left = tally.wanted
        drawn = pairs(found, Random(f"{order.plan.seed}/pairs"), exhausted.pairs_wanted)
        for strike in (*((each,) for each in singles), *(() if not order.with_pairs else drawn)):
            if left == 0 or time.monotonic() - began > budget.seconds:
                return
            left -= 1
            yield tally.begin(order.plan, *strike)

    title = order.plan.scenario.rpartition("/")[2]
    try:
        with display(console, title) as shown:
            sweep(workers, plans(), tally, True, lambda: shown.show(*progress(tally, time.monotonic() - began)))
    finally:
        exhausted.seconds = time.monotonic() - began


def progress(tally: ExhaustTally, seconds: float) -> tuple[int, int, str]:
    """Return the progress after so many seconds, for a display: done, in all, in words."""
    rate = tally.done / seconds if seconds > 0 else 0.0
    left = tally.wanted - tally.done
    expected = f", {output.duration(left / rate)} left" if 0 < tally.done < tally.wanted else ""
    text = f"{tally.done:,} of {tally.wanted:,} runs, {len(tally.failures)} failed, {rate:.1f}/s{expected}"
    return tally.done, tally.wanted, text


def _write_journals(workers: Workers, exhausted: Exhausted) -> None:
    for number, verdicts in enumerate(list(exhausted.tally.kinds().values())[:MAX_JOURNALS], 1):
        fewest = min(verdicts, key=lambda verdict: (len(verdict.plan.schedule), verdict.plan.schedule[-1].at))
        file = journal_file(fewest.plan, ending=f"-exhaust-{number}")
        exhausted.journals.append((workers.play(fewest.plan, file), file))


def report_exhausted(exhausted: Exhausted, as_json: bool) -> None:
    """Print what failed, what to type next, and what was covered."""
    if as_json:
        output.print_json(_value(exhausted))
        return
    plain, tally = exhausted.plain, exhausted.tally
    if not plain.passed:
        sim_text.field("result", plain.result, output.one_line(plain.text))
        sim_text.tell("The run fails without any fault at an event already, so none was tried.")
        return
    kinds = list(tally.kinds().values())
    for verdicts, (verdict, journal) in zip(kinds, exhausted.journals, strict=False):
        _report_failure(verdicts, verdict, journal)
    rows = [
        (*group, *(f"{count:,}" for count in (each.points, each.points - each.runs, each.played, each.failed)))
        for group, each in sorted(tally.groups.items())
    ]
    names = ("FAULT", "NODE", "EVENT", "RECORD", "POINTS", "SAME", "PLAYED", "FAILED")
    output.print_table(names, rows, ("FAULT",), ("POINTS", "SAME", "PLAYED", "FAILED"))
    output.say("")
    sim_text.tell(_summary(exhausted))


def _report_failure(verdicts: Sequence[RunVerdict], verdict: RunVerdict, journal: Path) -> None:
    first = verdicts[0]
    sim_text.field(verdict.result, output.one_line(verdict.text))
    if verdict.kind != first.kind:
        sim_text.field(
            "again", "Played again, it went otherwise than before:", first.result, output.one_line(first.text)
        )
    sim_text.field("faults", *(step.words() for step in verdict.plan.schedule))
    if len(verdicts) > 1:
        sim_text.field("alike", f"{len(verdicts) - 1:,} more runs")
    sim_text.whole("journal", str(journal))
    for name in ("replay", "shrink", "explain"):
        sim_text.whole(name, sim_text.command(name, journal))
    sim_text.whole("report", f"{sim_text.command('report', journal)} -o report.html")
    output.say("")


def _summary(exhausted: Exhausted) -> str:
    tally = exhausted.tally
    runs = sum(each.runs for each in tally.groups.values())
    points = sum(each.points for each in tally.groups.values())
    played = sum(each.played for each in tally.groups.values())
    failed = len(tally.failures)
    words = (
        f"{'Stopped by Ctrl-C: ' if exhausted.interrupted else ''}{exhausted.events:,} events have {points:,} points, "
        f"of which {runs:,} differ; {played:,} of these were played"
    )
    if exhausted.pairs_wanted:
        words += f", and {tally.pairs_played:,} pairs"
    return f"{words}: {tally.passed:,} runs passed, {failed:,} failed, in {output.duration(exhausted.seconds)}."


def _value(exhausted: Exhausted) -> dict[str, Any]:
    tally = exhausted.tally
    groups = [
        {"fault": fault, "node": node, "event": kind, "record": what, "points": each.points, "runs": each.runs}
        | {"played": each.played, "failed": each.failed}
        for (fault, node, kind, what), each in sorted(tally.groups.items())
    ]
    return {
        "plan": exhausted.plan.value(),
        "plain": sim_text.verdict_value(exhausted.plain),
        "events": exhausted.events,
        "covered": groups,
        "pairs": tally.pairs_played,
        "passed": tally.passed,
        "failed": [sim_text.verdict_value(each) for each in tally.failures],
        "journals": [str(journal) for _, journal in exhausted.journals],
        "seconds": round(exhausted.seconds, 3),
        "interrupted": exhausted.interrupted,
    }
