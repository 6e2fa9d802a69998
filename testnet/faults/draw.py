"""Draws faults at random, for scenarios that must stand them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal
from testnet.faults.rule import Fault
from testnet.faults.where import ANY, Where
from testnet.schedule import Schedule, Step, ordered

Drawer: TypeAlias = Callable[[Sequence[str], Random], Fault]
"""Draws one fault for a network of these nodes."""

MAX_DRAWN = 6
"""Faults in one run."""
_TAKES_PART = 0.35
"""How likely a kind of fault is to be among those that a run may have."""
_QUIET = 0.1
"""How many runs have no fault at all."""


def draw_schedule(drawers: Sequence[Drawer], nodes: Sequence[str], seconds: float, chance: Random) -> Schedule:
    """Some faults of some kinds, within so many seconds; times in whole milliseconds, so that people can read them."""
    kinds = [drawer for drawer in drawers if chance.random() < _TAKES_PART]
    if chance.random() < _QUIET or not drawers:
        return ()
    kinds = kinds or [chance.choice(drawers)]
    steps = []
    for _ in range(chance.randint(1, MAX_DRAWN)):
        at = round(chance.uniform(0.0, seconds * 0.8), 3)
        until = round(min(seconds, at + chance.expovariate(4.0 / seconds)), 3)
        steps.append(Step(at, until, chance.choice(kinds)(nodes, chance)))
    return ordered(steps)


def where(nodes: Sequence[str], chance: Random) -> Where:
    """Two nodes, both ways or one way, or all links of one."""
    first, second = chance.sample(list(nodes), 2)
    return chance.choice([Where(first, second), Where(first, second, both=False), Where(first, ANY)])


def partition(nodes: Sequence[str], chance: Random) -> Partition:
    """See `Drawer`."""
    return Partition(where(nodes, chance))


def refusal(nodes: Sequence[str], chance: Random) -> Refusal:
    """See `Drawer`."""
    return Refusal(where(nodes, chance))


def crash(nodes: Sequence[str], chance: Random) -> Crash:
    """See `Drawer`."""
    return Crash(chance.choice(list(nodes)))


def pause(nodes: Sequence[str], chance: Random) -> Pause:
    """See `Drawer`."""
    return Pause(chance.choice(list(nodes)))


LINKS: tuple[Drawer, ...] = (partition, refusal)
"""What links do; grows with the kinds of faults."""
NODES: tuple[Drawer, ...] = (crash, pause)
"""What nodes do."""
