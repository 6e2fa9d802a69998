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
from rich.console import Console

from nectar_node.base.errors import BadInput
from nectar_node.cli.starting.replay import key_of
from nectar_node.console import output
from nectar_node.console.progress import display
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER
from testnet.cli.plan_options import Faults, Nodes, Output, Seed
from testnet.cli.simulating import failure_text, sim_text
from testnet.cli.simulating.exhausting import ExhaustOrder, check_faults, read_budget, report_exhausted
from testnet.cli.simulating.exhausting import exhaust as play_all
from testnet.cli.simulating.explaining import FaultTrials, words_of
from testnet.cli.simulating.reruns import level_of, own_error, played, rerun_of
from testnet.cli.simulating.shrinking import Task, shrink_plan
from testnet.cli.simulating.shrinking_tests import fault_words, shrink_test
from testnet.cli.simulating.sweeping import Findings, SweepOrder, find_failures
from testnet.faults import FAULTS
from testnet.faults.catalogue import about, parameter_names
from testnet.journal.journal import OF_CHAOS, Journal, read_journal_untrusted
from testnet.model.lab import Level
from testnet.model.seeds import MAX_SEED, chosen
from testnet.report.model import draw
from testnet.report.story import tell
from testnet.runs import result
from testnet.runs.journal_files import journal_file, unless_empty
from testnet.runs.plans import expand, ready_scenario, with_faults
from testnet.scenarios import SCENARIOS
from testnet.sweep.comparison import first_difference
from testnet.sweep.exhaust import STRIKES
from testnet.sweep.shrink import MAX_RUNS
from testnet.sweep.verdict import DIED, RunVerdict
from testnet.sweep.workers import Workers
from testnet.testing.again import TestAgain
from testnet.testing.origin import is_of_a_test

FAILED = 1
INTERRUPTED = 130
EXPLAIN_RUNS = 40
DEFAULT_JOBS = 2
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
    found = ready_scenario(scenario)
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
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=256, help="Processes that run at the same time. Default: 2.", show_default=False
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(metavar="dask://HOST:PORT", help="Play on a cluster, with the workers of this scheduler."),
    ] = None,
    nodes: Nodes = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Do not stop at the first failure.")] = False,
    guided: Annotated[
        bool, typer.Option("--guided", help="Vary the plans whose runs reach new ground, instead of drawing all anew.")
    ] = False,
    runs: MaxRuns = MAX_RUNS,
    as_json: options.AsJson = False,
) -> int:
    """Play a scenario with many seeds, and shrink what fails. Exit code: 0 all passed, 1 some failed."""
    found = ready_scenario(scenario)
    expand(found, first, nodes)  # a bad plan is reported before anything begins
    order = SweepOrder(found, range(first, first + seeds), nodes, keep_going, runs, guided)
    console = output.console(sys.stderr if as_json else sys.stdout)
    if on is None:
        with Workers(jobs or DEFAULT_JOBS) as workers:
            findings = find_failures(workers, order, console)
    elif jobs is not None:
        raise BadInput("--jobs counts processes here, and --on plays elsewhere: leave one of them out.")
    elif guided:
        raise BadInput("A guided sweep plays here, and --on plays elsewhere: leave one of them out.")
    else:
        findings = _on_cluster(on, order, console)
    sim_text.report_sweep(findings, as_json)
    return INTERRUPTED if findings.interrupted else FAILED if findings.tally.failures or findings.lost else 0


def _on_cluster(on: str, order: SweepOrder, console: Console) -> Findings:
    from testnet.cluster.dask_cluster import DaskCluster  # Dask takes a second to load

    with DaskCluster(on) as cluster:
        if not cluster.workers:
            output.complain(f"The scheduler at {on} has no workers yet: the sweep waits for them.")
        return find_failures(cluster, order, console)


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
    found, kinds, most = ready_scenario(scenario), check_faults(fault), read_budget(budget)
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
    """Run what a journal is of again, and compare line by line.

    That is a scenario, a test or chaos; what real nodes did is compared by its result. Exit code: 0 the same, 1
    different.
    """
    then = read_journal_untrusted(journal)
    with tempfile.TemporaryDirectory(prefix="nectar-") as folder:
        now = _again(then, journal, Path(folder) / "journal")
    if now is None:
        return FAILED
    if level_of(then.header) is not Level.SIMULATION:
        return sim_text.report_real_replay(then, now, as_json)
    difference = first_difference([each.words() for each in then.events], [each.words() for each in now.events])
    sim_text.report_replay(then, now, difference, as_json)
    return FAILED if difference else 0


def _again(then: Journal, origin: Path, file: Path) -> Journal | None:
    if is_of_a_test(then.header):
        return TestAgain(then.header, str(origin)).same()
    with Workers(1) as workers:
        player, plan, _ = played(then.header, str(origin), workers)
        verdict = player.play(plan, file)
    if verdict.result == DIED:
        output.complain(output.sentence(verdict.text))
        return None
    return read_journal_untrusted(file)


@app.command()
def shrink(
    journal: JournalFile,
    target: Output = None,
    runs: MaxRuns = MAX_RUNS,
    as_json: options.AsJson = False,
) -> int:
    """Cut what has failed down to what matters.

    That is a scenario, a test or chaos. Exit code: 0 done, 1 it no longer fails in the same way.
    """
    read = _failed(journal, "shrink")
    console = output.console(sys.stderr if as_json else sys.stdout)
    if is_of_a_test(read.header):
        of_test = shrink_test(read, str(journal), target, runs, console)
        failure_text.report_shrunk_test(of_test, as_json)
        return INTERRUPTED if of_test.interrupted else FAILED if of_test.after is None else 0
    with Workers(1) as workers:
        player, plan, least = played(read.header, str(journal), workers)
        task = Task(RunVerdict(**asdict(read.end), plan=plan), least, runs, target)
        first = player if read.header.scenario == OF_CHAOS else workers
        shrunk = shrink_plan(first, task, console, first)
        if shrunk.smallest is None and player is not first and not shrunk.interrupted:
            output.complain("In a simulation it does not go wrong in the same way: it is shrunk on real nodes.")
            shrunk = shrink_plan(player, task, console, player)
    sim_text.report_shrunk(shrunk, as_json)
    return INTERRUPTED if shrunk.interrupted else FAILED if shrunk.smallest is None else 0


def _failed(journal: Path, what: str) -> Journal:
    """Return a journal of a run that failed; raises BadInput for others, of which there is nothing to `what`."""
    read = read_journal_untrusted(journal)
    if read.end.result == result.INTERRUPTED:
        raise BadInput(f"{journal} is of a run that Ctrl-C ended: there is nothing to {what}.")
    if read.end.result == result.PASSED:
        raise BadInput(f"{journal} is of a run that passed: there is nothing to {what}.")
    own = own_error(read)
    if own is not None:
        raise BadInput(f"{output.sentence(own)} There is nothing to {what}: mend it.")
    return read


@app.command()
def explain(
    journal: JournalFile,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=0, help="The most runs that try what was needed; 0: only read.")
    ] = EXPLAIN_RUNS,
    as_json: options.AsJson = False,
) -> int:
    """Tell in words how a run came to fail.

    It says which messages and which faults led there, and tries what was needed. Exit code: 0.
    """
    read = _failed(journal, "explain")
    picture = draw(read)
    story = tell(read, picture)
    assert story is not None
    console = output.console(sys.stderr if as_json else sys.stdout)
    failure_text.print_story(read, story, as_json=as_json)
    needed: list[str] = []
    if runs:
        try:
            with Workers(1) as workers, display(console, "explaining") as shown:
                rerun = rerun_of(read, str(journal), workers)
                show = lambda done: shown.show(done, runs, f"{done} of at most {runs} runs")  # noqa: E731 - one line
                findings = FaultTrials(rerun, fault_words(read.header), runs, show).settle()
            needed = words_of(findings, picture.bands, "test" if is_of_a_test(read.header) else "run")
        except BadInput as error:
            needed = [f"What it needed cannot be tried: {error}"]
        except KeyboardInterrupt:
            needed = ["Stopped by Ctrl-C before it was known what it needed."]
    failure_text.print_needed(read, story, needed, as_json=as_json)
    return 0


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
