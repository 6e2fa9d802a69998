"""`nectar testnet play`: a scenario with real nodes, which are started for it and removed afterwards."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from testnet.cli.plan_options import Faults, Nodes, Output, Seed
from testnet.cli.signals import handled
from testnet.cli.simulating import sim_text
from testnet.journal.journal import read_journal_untrusted
from testnet.model.lab import Level
from testnet.model.seeds import chosen
from testnet.real.nodes import namespaces
from testnet.runs.journal_files import journal_file, unless_empty
from testnet.runs.plans import expand, plan_of, ready_scenario, with_faults
from testnet.runs.result import INTERRUPTED, PASSED, Result
from testnet.scenarios.scenario import Plan, Scenario

FAILED = 1
_EXIT_CODES = {PASSED: 0, INTERRUPTED: 130}
_LIFE = ("boots", "crashes", "leaves", "pauses", "resumes")
_REAL = (Level.LOOPBACK, Level.NAMESPACES)


def play(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="One that `nectar sim list` names, path/to/file.py:NAME, or the journal of a run."
        ),
    ],
    nodes: Nodes = None,
    seed: Seed = None,
    faults: Faults = None,
    level: Annotated[
        str, typer.Option(metavar="LEVEL", help="loopback, or namespaces: each node on a host of its own.")
    ] = "loopback",
    journal: Output = None,
    as_json: options.AsJson = False,
) -> int:
    """Play a scenario once with real nodes on this machine.

    They are started for it, and removed afterwards, even after Ctrl-C; the journal stays. A seed gives the same plan as
    with `nectar sim run`, but does not decide what the network does between its faults. Exit code: 0 passed, 1 failed,
    130 Ctrl-C.
    """
    where = check_level(level)
    found, plan = _plan(scenario, nodes, seed)
    if faults is not None:
        plan = with_faults(found, plan, faults)
    file = journal_file(plan, journal, f"-{where.value}")
    if not as_json:
        sim_text.print_plan(plan, found.about)
        sim_text.field("level", where.value)
    with unless_empty(file):
        with _interrupted_once():
            result = _played(found, plan, where)
        _write(result, file)
    _report(result, file, as_json)
    return _EXIT_CODES.get(result.result, FAILED)


def check_level(name: str) -> Level:
    """Return the level of that name, if real nodes can be played with there; raises BadInput, which says why they
    cannot."""
    if name == Level.SIMULATION.value:
        raise BadInput("A simulation has no real nodes: `nectar sim run` plays a scenario in one.")
    found = [each for each in _REAL if each.value == name]
    if not found:
        raise BadInput(f"There is no level {name!r}: choose {' or '.join(each.value for each in _REAL)}.")
    if found[0] is Level.NAMESPACES and (why := namespaces.unavailable()) is not None:
        raise BadInput(why)
    return found[0]


def _plan(scenario: str, nodes: int | None, seed: int | None) -> tuple[Scenario, Plan]:
    if _is_journal(scenario):
        if nodes is not None or seed is not None:
            raise BadInput(f"{scenario} is a journal, which has its own nodes and seed: leave --nodes and --seed out.")
        return plan_of(read_journal_untrusted(Path(scenario)).header, scenario)
    found = ready_scenario(scenario)
    return found, expand(found, chosen(seed), nodes)


def _is_journal(word: str) -> bool:
    return word.endswith(".journal") or (
        os.path.isfile(word) and not word.endswith(".py")
    )  # no text is too long for it


def _played(scenario: Scenario, plan: Plan, level: Level) -> Result:
    from testnet.real.run import run_real  # this loads trio, which would cost the other commands a tenth of a second

    return run_real(plan, scenario, level, _tell, _tell_of_the_end)


def _tell_of_the_end() -> None:
    output.complain("Stopping: the nodes end, and their files are removed.")


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first of Ctrl-C, SIGTERM and SIGHUP within this, and ignore later ones, so that
    the removal that follows is completed.

    The handler does nothing else, since it may run in the middle of anything, such as a line of output.
    """
    interrupted = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    with handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), interrupt):
        yield


def _tell(line: str) -> None:
    """Print what happens to nodes and faults; the journal has more."""
    at, node, what = line.split(" ", 2)
    word, _, rest = what.partition(" ")
    if what in _LIFE:
        text = f"{node} {what}"
    elif word == "fault":
        it = json.loads(rest)
        text = f"fault {it['number']} {it['state']}" + (f": {it['words']}" if "words" in it else "")
    elif word == "note":
        text = rest
    else:
        return
    print(output.printable(f"{float(at):8.2f} s  {text}"), file=sys.stderr, flush=True)


def _write(result: Result, file: Path) -> None:
    try:
        result.write(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.") from error


def _report(result: Result, file: Path, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "level": result.level.value,
                "result": result.result,
                "text": result.text,
                "seconds": round(result.seconds, 3),
                "outcomes": result.outcomes,
                "plan": result.plan.value(),
                "journal": str(file),
            }
        )
        return
    for number, (what, came) in enumerate(result.outcomes.items()):
        sim_text.field("" if number else "outcomes", f"{what}: {came}")
    sim_text.field("result", result.result, *([output.one_line(result.text)] if result.text else []))
    sim_text.field("time", output.duration(result.seconds))
    sim_text.whole("journal", str(file))
