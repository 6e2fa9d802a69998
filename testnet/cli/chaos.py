"""`nectar testnet chaos`: faults from a seed on a testnet under traffic, and a report of whether all promises hold."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output, progress
from nectar_node.launcher import options
from nectar_node.launcher.file_transfer import interrupts
from nectar_node.launcher.local_network import DEFAULT_FOLDER
from testnet.chaos.journal import chaos_plan, write_chaos_journal
from testnet.chaos.nodes import RunningTestnet, running_testnet
from testnet.chaos.plan import check_minutes, draw_rounds
from testnet.chaos.report import ChaosReport, words
from testnet.chaos.run import run_chaos
from testnet.cli.hosts.forwarding import kept_in
from testnet.cli.plan_options import Seed
from testnet.faults.schedule import Schedule
from testnet.model.seeds import chosen
from testnet.runs.journal_files import journal_file, unless_empty

VIOLATED = 1
INTERRUPTED = 130


def chaos(
    minutes: Annotated[float, typer.Option(metavar="M", help="How long there are faults.")] = 5.0,
    seed: Seed = None,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="REPORT", dir_okay=False, help="Write the report there too."),
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Let faults come and go under traffic, and report the results.

    It uses the testnet in --dir if that runs, starts it for the time of the run if it is down, and makes one there if
    there is none; without --dir, in a temporary folder. The same seed gives the same faults. Ctrl-C ends it early, with
    a report. Exit code: 0 all promises held, 1 one did not, 130 Ctrl-C.
    """
    check_minutes(minutes)
    if file is not None:
        _check_file(file)
    drawn = chosen(seed)
    with (
        unless_empty(*([] if file is None else [file])),
        _testnet(directory) as place,
        interrupts() as wanted,
    ):
        title = f"chaos with seed {drawn}"
        with progress.display(output.console(sys.stderr), title) as shown:
            schedule = draw_rounds(place.nodes, 60 * minutes, drawn)
            report = run_chaos(place, drawn, 60 * minutes, schedule, shown, wanted)
        place.keep = bool(report.violations())
        if report.violations():
            _keep_journal(report, schedule)
        _publish(report, place, file, as_json)
        return VIOLATED if report.violations() else INTERRUPTED if wanted.count else 0


def _keep_journal(report: ChaosReport, schedule: Schedule) -> None:
    try:
        journal = journal_file(chaos_plan(report.seed, report.nodes, report.planned, schedule), ending="-real")
        write_chaos_journal(report, schedule, journal)
    except (BadInput, OSError) as error:  # the report matters more
        output.complain(f"There is no journal of this: {error}")
        return
    output.complain(f"The journal is {journal}: `nectar sim report` and `explain` read it, `replay` runs it.")


def _testnet(directory: Path) -> AbstractContextManager[RunningTestnet]:
    if (kept := kept_in(directory)) is None:
        return running_testnet(directory, output.complain)
    from testnet.cli.hosts.chaos import running_on_hosts

    return running_on_hosts(kept, directory, output.complain)


def _check_file(file: Path) -> None:
    """Check now, and not at the end, that the report can be written."""
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.") from error


def _publish(report: ChaosReport, place: RunningTestnet, file: Path | None, as_json: bool) -> None:
    def logs(node: str) -> str:
        if place.far is not None:
            return f"{place.network.command('testnet on')} {node} logs"
        return place.network.command("logs", "--node", node)

    text = words(report, logs)
    if as_json:
        text = json.dumps(report.value(), indent=2, ensure_ascii=False)
    print(output.printable(text), flush=True)
    if file is not None:
        try:
            file.write_text(text + "\n")
        except OSError as error:
            raise BadInput(f"{file} cannot be written: {error.strerror}.") from error
