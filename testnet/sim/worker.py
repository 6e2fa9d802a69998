"""`python -m testnet.sim.worker`: plays plans, one after another, in a process of its own.

Each line of standard input is an order, {"plan": …, "journal": PATH or null}; each line of standard output tells how
that went. It ends with its input, in the midst of a plan too. One engine
serves all runs, and what has been compiled stays.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from kernel.guest import Program
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sim.plans import find_scenario, plan_untrusted
from testnet.sim.programs import Programs
from testnet.sim.run import run

_MODULES = "pkg/**/*.wasm"


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever gives the orders
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a scenario prints must not look like an answer
    orders: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    player = Player()
    while True:
        answers.write(f"{json.dumps(player.play(json.loads(orders.get())))}\n")
        answers.flush()


def _listen(orders: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)  # whoever gave the orders has gone: what is in play is for nobody


class Player:
    """An engine, and what it has compiled."""

    def __init__(self) -> None:
        self._engine = Programs()
        self._programs: dict[Path, list[Program]] = {}
        """By folder of a package. The engine itself keeps no program that nobody uses."""

    def play(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out an order; what it answers."""
        plan = plan_untrusted(order["plan"], "the plan")
        scenario = find_scenario(plan.scenario)
        self._compile(scenario, plan)
        result = run(plan, self._engine, scenario)
        if order["journal"] is not None:
            result.write(Path(order["journal"]))
        return asdict(result.end)

    def _compile(self, scenario: Scenario, plan: Plan) -> None:
        for folder in {folder for node in scenario.topology(plan.nodes) for folder in node.folders()}:
            if folder not in self._programs:
                modules = sorted(folder.glob(_MODULES))
                self._programs[folder] = [self._engine.load(path.read_bytes()) for path in modules]


if __name__ == "__main__":
    main()
