"""`nectar sim`: scenarios in virtual time. This is the command line; the work is in `testnet.sim`.

Nothing here loads Wasmtime: every plan is played by a process of its own (`testnet.sweep.workers`), which also means
that Ctrl-C ends any run at once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.cli.starting.replay import key_of
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER
from testnet.cli import sim_text
from testnet.cli.exhausting import ExhaustOrder, check_faults, read_budget, report_exhausted
from testnet.cli.exhausting import exhaust as play_all
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
from testnet.sweep.exhaust import STRIKES
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
    runs: MaxRuns = MAX_RUNS,
    as_json: options.AsJson = False,
) -> int:
    """Play a scenario with many seeds, and shrink what fails. Exit code: 0 all passed, 1 some failed."""
    found = find_scenario(scenario)
    expand(found, first, nodes)  # a bad plan is reported before anything begins
    order = SweepOrder(found, range(first, first + seeds), nodes, keep_going, runs)
    with Workers(jobs) as workers:
        findings = find_failures(workers, order, output.console(sys.stderr if as_json else sys.stdout))
    sim_text.report_sweep(findings, as_json)
    return INTERRUPTED if findings.interrupted else FAILED if findings.tally.failures else 0


@app.command()
def exhaust(
    scenario: ScenarioName,
    fault: Annotated[
        list[str],
        typer.Option("--fault", metavar="FAULT", help=f"{', '.join(STRIKES)}; may be given several times."),
    ],
    nodes: Nodes = None,
    seed: Seed = None,
    faults: Faults = None,
    with_pairs: Annotated[bool, typer.Option("--pairs", help="Then also with two faults at once.")] = False,
    budget: Annotated[
        str | None, typer.Option(metavar="N|TIME", help="The most runs, or a time such as 90s, 10m or 2h.")
    ] = None,
    lasts: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.001, max=60.0, help="How long crashes, power cuts and pauses last."),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Processes that run at the same time.")] = 2,
    as_json: options.AsJson = False,
) -> int:
    """Play one run again and again, with a fault at each of its events. Exit code: 0 all passed, 1 some failed.

    The run has the seed's options, and no faults but those of --faults.
    """
    found, kinds, most = find_scenario(scenario), check_faults(fault), read_budget(budget)
    plan = replace(expand(found, chosen(seed), nodes), schedule=())
    if faults is not None:
        plan = with_faults(found, plan, faults)
    if not as_json:
        sim_text.print_plan(plan, found.about)
        output.say("")
    with Workers(jobs) as workers:
        order = ExhaustOrder(plan, kinds, lasts, with_pairs, most)
        exhausted = play_all(workers, order, output.console(sys.stderr if as_json else sys.stdout))
    report_exhausted(exhausted, as_json)
    failed = exhausted.tally.failures or not exhausted.plain.passed
    return INTERRUPTED if exhausted.interrupted else FAILED if failed else 0


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
    journals: Annotated[
        list[Path],
        typer.Argument(metavar="JOURNAL", help="The journal of a run, or folders of `nectar boot --record`."),
    ],
    target: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the page.")],
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Draw a journal as a page for a browser. It shows who sent what to whom, when, and which faults held.

    Recordings are replayed for that, the last boot of each node in the folders.
    """
    from testnet.report import write_report  # this would cost the other commands a twentieth of a second

    journal = journals[0]
    if journal.is_dir():
        from testnet.real.recorded import journal_of, recorded_nodes

        drawn = journal_of(recorded_nodes(journals, partial(key_of, directory)))
    elif len(journals) > 1:
        raise BadInput("A page shows one journal, or the recordings in any number of folders.")
    else:
        drawn = read_journal_untrusted(journal)
    write_report(drawn, target, str(journal))
    shown = ", ".join(map(str, journals))
    output.tell({"page": str(target), "journal": shown}, f"{target} shows {shown}.", as_json=as_json)
    return 0
