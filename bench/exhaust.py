"""`exhaust`: runs with a crash at one event each, beside the same run without a fault, both by processor time.

A crash costs a boot more, and the seconds until the network has healed; the events themselves are to cost nothing.
"""

from __future__ import annotations

import time
from random import Random

from bench.measure import Result, in_turns, ratio
from testnet.model.points import Points
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED
from testnet.sim.run import run as play
from testnet.sweep.exhaust import strikes, struck

PLAN = Plan("store", 1, ("main.nec", "copy.nec"), {"events": [[0.5, "put", "a"], [1.0, "put", "b"]]})
RUNS = 20
GOAL = 0.3


def run() -> list[Result]:
    """Measure crash points a second of a processor, against plain runs of the same plan."""
    programs, points = Programs(), Points(wanted=True, seen=[])
    play(PLAN, programs, journal=False, points=points)
    assert points.seen is not None
    drawn = Random(1).sample(strikes(points.seen, "crash"), RUNS)
    plans = [struck(PLAN, strike) for strike in drawn]
    crashed, plain = in_turns(lambda: _a_second(programs, plans), lambda: _a_second(programs, [PLAN] * RUNS))
    reference = ("the run without a fault", "runs a second of a processor")
    return [ratio("exhaust_crash_points", crashed, plain, reference, GOAL)]


def _a_second(programs: Programs, plans: list[Plan]) -> float:
    begin = time.process_time()
    for plan in plans:
        result = play(plan, programs, journal=False)
        assert result.result == PASSED, result.text
    return len(plans) / (time.process_time() - begin)
