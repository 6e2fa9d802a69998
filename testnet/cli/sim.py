"""`nectar sim`: scenarios in virtual time. This is the command line; the work is in `testnet.sim`.

Nothing here loads Wasmtime: every plan is played by a process of its own (`testnet.sweep.workers`), which also means
that Ctrl-C ends any run at once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from testnet.cli import sim_text
from testnet.cli.plan_options import Faults, Nodes, Output, Seed
from testnet.cli.shrinking import Task, shrink_plan
from testnet.cli.sweeping import SweepOrder, find_failures
from testnet.faults import FAULTS
from testnet.faults.catalogue import about, parameter_names
from testnet.journal.journal import read_journal_untrusted
from testnet.model.seeds import MAX_SEED, chosen
from testnet.runs import result
from testnet.runs.journal_files import journal_file, unless_empty
from testnet.runs.plans import expand, find_scenario, plan_of, with_faults
from testnet.scenarios import SCENARIOS
from testnet.sweep.comparison import first_difference
from testnet.sweep.shrink import MAX_RUNS
from testnet.sweep.verdict import DIED, RunVerdict
from testnet.sweep.workers import Workers

FAILED = 1
INTERRUPTED = 130
MAX_SEEDS = 1_000_000_000
"""The most seeds of one sweep."""

app = typer.Typer(help="Run scenarios in virtual time, replay and shrink what fails.", no_args_is_help=True)

ScenarioName = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="One that `nectar sim list` names, or path/to/file.py:NAME.")
]
JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="The journal of a run.")]
MaxRuns = Annotated[int, typer.Option("--runs", metavar="N", min=1, help="The most runs to shrink a plan with.")]


@app.command("list")
def list_(as_json: options.AsJson = False) -> int:
    """Show the scenarios, and the faults that can be in a schedule."""
    if as_json:
        output.print_json(
            {
                "scenarios": [
                    {"name": each.name, "about": each.about, "nodes": list(each.nodes), "seconds": each.seconds}
                    for each in SCENARIOS.values()
                ],
                "faults": [
                    {"kind": kind, "about": about(fault), "parameters": list(parameter_names(fault))}
                    for kind, fault in FAULTS.items()
                ],
            }
        )
        return 0
    scenarios = [(each.name, str(len(each.nodes)), each.about) for each in SCENARIOS.values()]
    output.print_table(("SCENARIO", "NODES", "WHAT IT SHOWS"), scenarios, ("SCENARIO",), ("NODES",))
    output.say("")
    faults = [(kind, about(fault), ", ".join(parameter_names(fault))) for kind, fault in FAULTS.items()]
    output.print_table(("FAULT", "WHAT IT DOES", "PARAMETERS"), faults, ("FAULT",), ("PARAMETERS",))
    return 0


@app.command()
def run(
    scenario: ScenarioName,
    nodes: Nodes = None,
    seed: Seed = None,
    faults: Faults = None,
    journal: Output = None,
    as_json: options.AsJson = False,
) -> int:
    """Play a scenario once. Exit code: 0 passed, 1 failed."""
    found = find_scenario(scenario)
    plan = expand(found, chosen(seed), nodes)
    if faults is not None:
        plan = with_faults(found, plan, faults)
    file = journal_file(plan, journal)
    if not as_json:
        sim_text.print_plan(plan, found.about)
    began = time.monotonic()
    with unless_empty(file), Workers(1) as workers:
        verdict = workers.play(plan, file)
    sim_text.report_run(verdict, file, time.monotonic() - began, as_json)
    return 0 if verdict.passed else FAILED


@app.command()
def sweep(
    scenario: ScenarioName,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, max=MAX_SEEDS, help="How many.")] = 1000,
    first: Annotated[int, typer.Option(metavar="N", min=0, max=MAX_SEED - MAX_SEEDS, help="The first of them.")] = 0,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Processes that run at the same time.")] = 2,
    nodes: Nodes = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Do not stop at the first failure.")] = False,
    guided: Annotated[
        bool, typer.Option("--guided", help="Vary the plans whose runs reach new ground, instead of drawing all anew.")
    ] = False,
    runs: MaxRuns = MAX_RUNS,
    as_json: options.AsJson = False,
) -> int:
    """Play a scenario with many seeds, and shrink what fails. Exit code: 0 all passed, 1 some failed."""
    found = find_scenario(scenario)
    expand(found, first, nodes)  # a bad plan is reported before anything begins
    order = SweepOrder(found, range(first, first + seeds), nodes, keep_going, runs, guided)
    with Workers(jobs) as workers:
        findings = find_failures(workers, order, output.console(sys.stderr if as_json else sys.stdout))
    sim_text.report_sweep(findings, as_json)
    return INTERRUPTED if findings.interrupted else FAILED if findings.tally.failures else 0


@app.command()
def replay(journal: JournalFile, as_json: options.AsJson = False) -> int:
    """Run the plan in a journal again, and compare line by line. Exit code: 0 the same, 1 different."""
    then = read_journal_untrusted(journal)
    _, plan = plan_of(then.header, str(journal))
    with tempfile.TemporaryDirectory(prefix="nectar-") as folder, Workers(1) as workers:
        verdict = workers.play(plan, Path(folder) / "journal")
        if verdict.result == DIED:
            output.complain(output.sentence(verdict.text))
            return FAILED
        now = read_journal_untrusted(Path(folder) / "journal")
    difference = first_difference([each.words() for each in then.events], [each.words() for each in now.events])
    sim_text.report_replay(then, now, difference, as_json)
    return FAILED if difference else 0


@app.command()
def shrink(
    journal: JournalFile,
    target: Output = None,
    runs: MaxRuns = MAX_RUNS,
    as_json: options.AsJson = False,
) -> int:
    """Cut the plan of a failed run down to what matters. Exit code: 0 done, 1 it no longer fails in the same way."""
    read = read_journal_untrusted(journal)
    scenario, plan = plan_of(read.header, str(journal))
    failure = RunVerdict(**asdict(read.end), plan=plan)
    if failure.result == result.INTERRUPTED:
        raise BadInput(f"{journal} is of a run that Ctrl-C ended: there is nothing to shrink.")
    if failure.passed:
        raise BadInput(f"{journal} is of a run that passed: there is nothing to shrink.")
    console = output.console(sys.stderr if as_json else sys.stdout)
    with Workers(1) as workers:
        shrunk = shrink_plan(workers, Task(failure, scenario.least_nodes, runs, target), console)
    sim_text.report_shrunk(shrunk, as_json)
    return INTERRUPTED if shrunk.interrupted else FAILED if shrunk.smallest is None else 0


@app.command()
def report(
    journal: JournalFile,
    target: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the page.")],
    as_json: options.AsJson = False,
) -> int:
    """Draw a journal as a page for a browser. It shows who sent what to whom, when, and which faults held."""
    from testnet.report import write_report  # this would cost the other commands a twentieth of a second

    write_report(read_journal_untrusted(journal), target, str(journal))
    output.tell({"page": str(target), "journal": str(journal)}, f"{target} shows {journal}.", as_json=as_json)
    return 0
