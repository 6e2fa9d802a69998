"""Plays one run with a fault at each of its events until one fails, against sources below a folder:
`python strike.py FOLDER SCENARIO SEED MOST FAULT ...`.

It is run by path, in a process of its own, with PYTHONPATH set to the folder, and prints a line of JSON: how many
points there are, after how many runs one failed, and how.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from types import FrameType

import testnet
from testnet.model.points import Points
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from testnet.sweep.exhaust import strikes, struck

SEED_SECONDS = 60
"""Of processor time: a run that takes longer hangs, and has failed."""


class Hung(Exception):
    """The time of a run is up."""


def strike(scenario: str, seed: int, most: int, faults: list[str]) -> None:
    """Play the points in an order that chance draws, so that the number of runs says how many of them fail."""
    programs, points = Programs(), Points(wanted=True, seen=[])
    plan = replace(draw_plan(SCENARIOS[scenario], seed), schedule=())
    plain = run(plan, programs, journal=False, points=points)
    if plain.result != PASSED:
        print(json.dumps({"points": 0, "runs": 1, "result": plain.result, "text": plain.text}))
        return
    found = [each for fault in faults for each in strikes(points.seen or [], fault)]
    result, text, runs = PASSED, "", 0
    for each in Random(seed).sample(found, min(most, len(found))):
        runs += 1
        signal.setitimer(signal.ITIMER_PROF, SEED_SECONDS)
        try:
            done = run(struck(plan, each), programs, journal=False)
            result, text = done.result, f"{each.step.words()}: {done.text}"
        except Hung:
            result, text = "hung", each.step.words()
        signal.setitimer(signal.ITIMER_PROF, 0)
        if result != PASSED:
            break
    print(json.dumps({"points": len(found), "runs": runs, "result": result, "text": text[:200]}))


def hangs(number: int, frame: FrameType | None) -> None:
    """End the run where it is."""
    raise Hung


if __name__ == "__main__":
    origin = Path(str(testnet.__file__)).resolve()
    if not origin.is_relative_to(Path(sys.argv[1]).resolve()):
        sys.exit(f"testnet was imported from {origin}, not from {sys.argv[1]}")
    signal.signal(signal.SIGPROF, hangs)
    strike(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
