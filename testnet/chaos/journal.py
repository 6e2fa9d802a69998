"""The journal of chaos on real nodes: its faults, the steps of its messages if there are traces, what was broken."""

from __future__ import annotations

from pathlib import Path

from testnet.chaos.report import ChaosReport
from testnet.faults.schedule import Schedule
from testnet.journal.entries import fault_begins, fault_ends
from testnet.journal.journal import NOBODY, OF_CHAOS, digest, line_of, time_of
from testnet.model.lab import Level
from testnet.real.trace_check import check_traces
from testnet.real.traces import TracePipes
from testnet.runs.result import VIOLATED, Result
from testnet.scenarios.scenario import Plan

MAX_STEPS = 200_000
"""Steps of messages in a journal, the last ones: some tens of megabytes."""


def chaos_plan(seed: int, nodes: tuple[str, ...], seconds: float, schedule: Schedule) -> Plan:
    """Return the plan of a run."""
    return Plan(OF_CHAOS, seed, nodes, {"seconds": seconds}, schedule)


def chaos_lines(report: ChaosReport, traces: TracePipes | None, began: float) -> tuple[str, ...]:
    """Return the lines of a run in which a promise was broken; it began at `began`, by CLOCK_MONOTONIC."""
    steps: list[str] = []
    lead = 0.0
    if traces is not None:
        steps = check_traces(traces, lambda _: True).journal[-MAX_STEPS:]
        lead = max(0.0, began - traces.began)
    lines = []
    for number, held in enumerate(report.faults, 1):
        if held.refused is not None:
            lines.append(line_of(held.began + lead, NOBODY, f"note not injected: {held.refused}"))
            continue
        lines.append(line_of(held.began + lead, NOBODY, fault_begins(number, held.step.fault)))
        if held.ended is not None:
            lines.append(line_of(held.ended + lead, NOBODY, fault_ends(number)))
    last = max([lead + report.seconds, *map(time_of, steps[-1:]), *map(time_of, lines)])
    more = [line_of(last, NOBODY, f"note {each}") for each in report.evidence()]
    broken = [line_of(last, NOBODY, f"violation {each}") for each in report.violations()]
    return tuple(sorted((*steps, *lines, *more, *broken), key=time_of))


def chaos_result(report: ChaosReport, schedule: Schedule) -> Result:
    """Return the result of a run, with its journal if a promise was broken."""
    violations = report.violations()
    plan = chaos_plan(report.seed, report.nodes, report.planned, schedule)
    seconds = time_of(report.journal[-1]) if report.journal else report.seconds
    result, text = (VIOLATED, "; ".join(violations)) if violations else ("passed", "")
    return Result(plan, report.journal, digest(report.journal), seconds, result, text, level=Level.LOOPBACK)


def write_chaos_journal(report: ChaosReport, schedule: Schedule, file: Path) -> None:
    """Write the journal of a run in which a promise was broken; raises OSError."""
    chaos_result(report, schedule).write(file)
