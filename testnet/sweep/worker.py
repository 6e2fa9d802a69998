"""Plays plans, one after another, in a process of its own (`python -m nectar_node.base.program testnet.sweep.worker`).

Each line of standard input is an order, {"plan": …, "journal": PATH or null, "ground": BOOLEAN}, or {"plan": …,
"points": PATH} for a file with the events of the run; each line of standard output is its verdict, with the ground that
the run has reached, if that was asked for and the run passed. The process ends with its input, even in the middle of a
plan. Compiled programs stay for the next plan.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nectar_node.base.decoding import convert_untrusted
from testnet.journal.ground import Ground
from testnet.journal.journal import Header
from testnet.model.points import Points
from testnet.runs.plans import find_scenario, plan_untrusted
from testnet.runs.result import Result
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run, try_out


def main() -> int:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gives the orders
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a scenario prints must not look like an answer
    orders: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    programs = Programs()
    while True:
        answers.write(f"{json.dumps(_play(json.loads(orders.get()), programs))}\n")
        answers.flush()


def _listen(orders: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)  # the process that gave the orders has gone: nobody wants the result


def _play(order: dict[str, Any], programs: Programs) -> dict[str, Any]:
    plan = plan_untrusted(convert_untrusted(order["plan"], Header), "the plan")
    scenario = find_scenario(plan.scenario)
    if order.get("points") is not None:
        return _list_points(plan, programs, scenario, Path(order["points"]))
    if order["journal"] is None:
        ground = Ground(Points(wanted=True)) if order.get("ground") else None
        noting = None if ground is None else _noting()
        end = try_out(plan, programs, scenario, ground=ground, noting=noting).end
        return asdict(end) | {"ground": [] if ground is None or end.result != PASSED else ground.moments()}
    result = run(plan, programs, scenario)
    _write(result, Path(order["journal"]))
    return asdict(result.end)


@cache
def _noting() -> Programs:
    """Return what guests are loaded with that note their blocks."""
    return Programs(notes_blocks=True)


def _list_points(plan: Plan, programs: Programs, scenario: Scenario, file: Path) -> dict[str, Any]:
    points = Points(wanted=True, seen=[])
    result = run(plan, programs, scenario, journal=False, points=points)
    file.write_text(json.dumps(points.seen))
    return asdict(result.end)


def _write(result: Result, journal: Path) -> None:
    try:
        result.write(journal)
    except OSError as error:
        sys.exit(f"{journal} cannot be written: {error.strerror}.")
