"""The schedule of a chaos run, drawn from a seed. Pure.

Faults come in rounds, each drawn from the seed and its number. So a longer run with the same seed begins like a shorter
one, and rounds differ in their faults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from random import Random

from nectar_node.base.errors import BadInput
from testnet.faults import draw
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.schedule import Schedule, Step, ordered

ROUND_SECONDS = 20.0
DRAWS = 2
"""Draws of each round, laid over each other: so that long times without a fault are rare, and several often hold at
once."""
MAX_MINUTES = 24 * 60.0
"""The longest run."""
LEAST_SECONDS = 0.1
"""The shortest fault in seconds."""


def check_minutes(minutes: float) -> None:
    """Raise BadInput unless it is a possible time."""
    if not (math.isfinite(minutes) and 0 < minutes <= MAX_MINUTES):
        raise BadInput(f"{minutes:g} minutes are not a time to run: give more than 0 and at most {MAX_MINUTES:.0f}.")


def registrar(nodes: Sequence[str], chance: Random) -> RegistrarDown:
    """Draw a fault of the registrar."""
    return RegistrarDown(chance.choice(("crash", "unreachable")))


DRAWERS: tuple[draw.Drawer, ...] = (*draw.LINKS, *draw.WRONG_BYTES, *draw.NODES, draw.disk_full, registrar)
"""Drawers of all faults that real nodes and the links between them can have."""


def draw_rounds(nodes: Sequence[str], seconds: float, seed: int) -> Schedule:
    """Draw the faults of so many seconds, for a testnet of these nodes and a registrar; the last ends before they
    do."""
    steps: list[Step] = []
    for number, which in product(range(math.ceil(seconds / ROUND_SECONDS)), range(DRAWS)):
        begin = number * ROUND_SECONDS
        chance = Random(f"{seed}/chaos/{number}/{which}")
        for step in draw.draw_schedule(DRAWERS, nodes, ROUND_SECONDS, chance):
            end = ROUND_SECONDS if step.until is None else step.until
            until = round(begin + max(end, step.at + LEAST_SECONDS), 3)
            steps.append(Step(round(begin + step.at, 3), until, step.fault))
    return ordered(cut(step, seconds) for step in steps if step.at <= seconds - LEAST_SECONDS)


def cut(step: Step, seconds: float) -> Step:
    """Return the step, ended at `seconds` at the latest."""
    until = seconds if step.until is None else min(step.until, seconds)
    return Step(step.at, until, step.fault)
