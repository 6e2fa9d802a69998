"""Draws faults at random, for scenarios that must withstand them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, TypeAlias

from testnet.faults.bandwidth import Bandwidth
from testnet.faults.bit_flips import BitFlips
from testnet.faults.clock_drift import ClockDrift
from testnet.faults.clock_step import ClockStep
from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.latency import Latency
from testnet.faults.loss import Loss
from testnet.faults.no_memory import RefusedMemory
from testnet.faults.no_route import NoRoute
from testnet.faults.nonsense import Nonsense
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal
from testnet.faults.replay import Replay
from testnet.faults.reset import ConnectionReset
from testnet.faults.schedule import Schedule, Step, ordered
from testnet.faults.slow_guests import SlowGuests
from testnet.faults.slow_handshake import SlowHandshake
from testnet.faults.spawn_fails import SpawnFails
from testnet.faults.stall import Stall
from testnet.faults.unsynced import Unsynced
from testnet.model.rule import Fault
from testnet.model.where import ANY, Where

Drawer: TypeAlias = Callable[[Sequence[str], Random], Fault]
"""Draws one fault for a network of these nodes."""

MAX_DRAWN = 6
"""Faults in one run."""
_TAKES_PART = 0.35
"""The probability that a kind of fault takes part in a run."""
_QUIET = 0.1
"""The share of runs without a fault."""


def draw_schedule(drawers: Sequence[Drawer], nodes: Sequence[str], seconds: float, chance: Random) -> Schedule:
    """Draw some faults of some kinds within `seconds`; times are in whole milliseconds, so that people can read
    them."""
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
    """Draw two nodes, in both directions or one, or all links of one node."""
    first, second = chance.sample(list(nodes), 2)
    return chance.choice([Where(first, second), Where(first, second, both=False), Where(first, ANY)])


def _on_links(kind: Callable[[Where], Fault]) -> Drawer:
    return lambda nodes, chance: kind(where(nodes, chance))


def _of_a_node(kind: Callable[[str], Fault]) -> Drawer:
    return lambda nodes, chance: kind(chance.choice(list(nodes)))


partition, refusal, no_route = _on_links(Partition), _on_links(Refusal), _on_links(NoRoute)
stall, loss, replay = _on_links(Stall), _on_links(Loss), _on_links(Replay)
crash, pause = _of_a_node(Crash), _of_a_node(Pause)
unsynced, disk_full = _of_a_node(Unsynced), _of_a_node(DiskFull)
no_memory, spawn_fails = _of_a_node(RefusedMemory), _of_a_node(SpawnFails)


def latency(nodes: Sequence[str], chance: Random) -> Latency:
    """Draw a fault of this kind."""
    seconds = chance.choice((0.01, 0.1, 0.5, 2.0))
    return Latency(seconds, chance.choice((0.0, seconds)), where(nodes, chance))


def bandwidth(nodes: Sequence[str], chance: Random) -> Bandwidth:
    """Draw a fault of this kind."""
    return Bandwidth(chance.choice((20e3, 100e3, 1e6, 10e6)), where(nodes, chance))


def reset(nodes: Sequence[str], chance: Random) -> ConnectionReset:
    """Draw a fault of this kind."""
    if chance.random() < 0.5:
        return ConnectionReset(probability=chance.choice((0.01, 0.1, 0.5)), where=where(nodes, chance))
    return ConnectionReset(byte=chance.choice((0, 1, 100, 300, 1000, 100_000)), where=where(nodes, chance))


def late_reset(nodes: Sequence[str], chance: Random) -> ConnectionReset:
    """Draw resets after a part of a message has come, so that the rest must follow on the next connection."""
    return ConnectionReset(byte=chance.randint(66_000, 290_000), where=where(nodes, chance))


def slow_handshake(nodes: Sequence[str], chance: Random) -> SlowHandshake:
    """Draw a fault of this kind."""
    return SlowHandshake(chance.choice((50.0, 200.0, 1000.0)), where=where(nodes, chance))


def bit_flips(nodes: Sequence[str], chance: Random) -> BitFlips:
    """Draw a fault of this kind."""
    return BitFlips(chance.choice((1e-6, 1e-4, 1e-2)), where=where(nodes, chance))


def nonsense(nodes: Sequence[str], chance: Random) -> Nonsense:
    """Draw a fault of this kind."""
    speaks: Literal["bytes", "pieces", "lengths"] = chance.choice(("bytes", "pieces", "lengths"))
    return Nonsense(speaks, chance.choice((0.05, 1.0)), where(nodes, chance))


def clock_step(nodes: Sequence[str], chance: Random) -> ClockStep:
    """Draw a fault of this kind."""
    return ClockStep(chance.choice(list(nodes)), chance.choice((-3600.0, -1.0, 1.0, 86_400.0)))


def clock_drift(nodes: Sequence[str], chance: Random) -> ClockDrift:
    """Draw a fault of this kind: no worse than cheap clocks on hot days, so that a minute is one to a second or two."""
    return ClockDrift(chance.choice(list(nodes)), chance.choice((0.97, 0.99, 1.01, 1.03)))


def slow_guests(nodes: Sequence[str], chance: Random) -> SlowGuests:
    """Draw a fault of this kind."""
    return SlowGuests(chance.choice(list(nodes)), chance.choice((0.001, 0.02, 0.2)))


LINKS: tuple[Drawer, ...] = (partition, refusal, no_route, latency, bandwidth, stall, reset, loss, slow_handshake)
"""Faults of networks."""
WRONG_BYTES: tuple[Drawer, ...] = (bit_flips, nonsense, replay)
"""Faults of attackers and broken machines, which encryption detects."""
NODES: tuple[Drawer, ...] = (crash, pause)
"""Faults of nodes, at every level."""
MACHINES: tuple[Drawer, ...] = (unsynced, disk_full, clock_step)
"""Faults of the machines under the nodes, in simulations."""
GUESTS: tuple[Drawer, ...] = (slow_guests, clock_drift, no_memory, spawn_fails)
"""Faults of what processes run on, in simulations; for scenarios whose promises stand that processes end."""
ALL: tuple[Drawer, ...] = (*LINKS, *WRONG_BYTES, *NODES, *MACHINES)
"""All of these but GUESTS."""
