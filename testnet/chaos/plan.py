"""Which faults come when, drawn from a seed. Pure.

They come in rounds, each drawn for itself from seed and number. So a longer run with the same seed begins like a
shorter one, and rounds differ in which faults they have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from random import Random

from testnet.faults import draw
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.schedule import Schedule, Step, ordered

ROUND_SECONDS = 20.0
DRAWS = 2
"""Of each round, one over the other: so that there are seldom long times without a fault, and often several at once."""
LEAST_SECONDS = 0.1
"""Of a fault."""


def registrar(nodes: Sequence[str], chance: Random) -> RegistrarDown:
    """Draw a fault of this kind for a network of these nodes."""
    return RegistrarDown(chance.choice(("crash", "unreachable")))


DRAWERS: tuple[draw.Drawer, ...] = (*draw.LINKS, *draw.WRONG_BYTES, *draw.NODES, draw.disk_full, registrar)
"""Of all that real nodes and the links between them can have."""


def draw_rounds(nodes: Sequence[str], seconds: float, seed: int) -> Schedule:
    """The faults of so many seconds, for a testnet of these nodes and a registrar; the last ends before they do."""
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
    """The same, over when so many seconds are."""
    until = seconds if step.until is None else min(step.until, seconds)
    return Step(step.at, until, step.fault)
