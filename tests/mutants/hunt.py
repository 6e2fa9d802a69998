"""Plays plans of a scenario until one fails, against sources below a folder:
`python hunt.py FOLDER SCENARIO COUNT [random|guided [FIRST]]`. They are those of the seeds from FIRST (1) on, or those
that a guided search with that seed makes.

It is run by path, in a process of its own, with PYTHONPATH set to the folder. For each seed it prints what it is about
to play, and then how that went, with the seconds of processor time so far: lines of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType

import kernel
import nectar_node
import net
import testnet
from testnet.journal.ground import Ground
from testnet.model.points import Points
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from testnet.sweep.guided import GuidedSearch

SEED_SECONDS = 60
"""Of processor time, so that a busy machine makes no difference: a seed that takes longer hangs."""

HUNT_SECONDS = 240
"""Of processor time, for all seeds."""


def hunt(scenario: str, count: int, how: str, first: int) -> None:
    """Up to the first that fails."""
    programs = Programs(notes_blocks=how == "guided")
    search = GuidedSearch(SCENARIOS[scenario], first, partial(draw_plan, SCENARIOS[scenario]))
    began = time.process_time()
    for number in range(1, count + 1):
        plan = search.next_plan() if how == "guided" else draw_plan(SCENARIOS[scenario], first + number - 1)
        say(runs=number, seed=plan.seed)
        signal.setitimer(signal.ITIMER_PROF, SEED_SECONDS)
        ground = Ground(Points(wanted=True)) if how == "guided" else None
        result = run(plan, programs, journal=False, points=None if ground is None else ground.points, ground=ground)
        say(seed=plan.seed, result=result.result, text=result.text, seconds=round(time.process_time() - began, 3))
        if result.result != PASSED:
            return
        if ground is not None:
            search.learn(plan, ground.moments())


def say(**fields: object) -> None:
    """A line for whoever has started this."""
    print(json.dumps(fields), flush=True)


def hangs(number: int, frame: FrameType | None) -> None:
    """The time of a seed is up: what runs may be deep inside a guest, so there is no way but out."""
    say(result="hung", text=f"not over after {SEED_SECONDS} s of processor time")
    os._exit(0)


def check_origin(folder: Path, modules: tuple[ModuleType, ...]) -> None:
    """See that it is the mutated sources that are imported, and not those that are installed."""
    for module in modules:
        if not Path(str(module.__file__)).resolve().is_relative_to(folder):
            sys.exit(f"{module.__name__} was imported from {module.__file__}, not from {folder}")


if __name__ == "__main__":
    check_origin(Path(sys.argv[1]).resolve(), (kernel, net, nectar_node, testnet))
    signal.signal(signal.SIGPROF, hangs)
    resource.setrlimit(resource.RLIMIT_CPU, (HUNT_SECONDS, HUNT_SECONDS + 5))
    how, first = (*sys.argv[4:6], *("random", "1")[len(sys.argv) - 4 :])
    hunt(sys.argv[2], int(sys.argv[3]), how, int(first))
