"""What can go wrong with a node of a simulation, as rules that hold within a `with` block and combine freely.

A rule is a verdict on all that goes to a node or comes from it. What happens at once needs no block: see
`Simulation.crash`, `restart` and `cut`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testnet.sim.simulation import Simulation


class Verdict(Enum):
    """What becomes of what two nodes send each other."""

    PASS = auto()
    """It arrives."""
    REFUSE = auto()
    """New connections are refused; those that are there stay."""
    NO_ROUTE = auto()
    """New connections find no way; those that are there stay."""
    SWALLOW = auto()
    """Nothing arrives, and nobody is told: neither new connections nor bytes, nor that a connection has ended."""


@contextmanager
def verdict(simulation: Simulation, node: str, kind: Verdict) -> Iterator[None]:
    """All that goes to `node` or comes from it is treated so; of several rules the latest counts."""
    rule = (node, kind)
    simulation.rules.append(rule)
    try:
        yield
    finally:
        simulation.rules.remove(rule)


@contextmanager
def paused(simulation: Simulation, node: str) -> Iterator[None]:
    """The node does not run, as under SIGSTOP: whatever happens to it waits, and its host accepts connections."""
    stopped = simulation.nodes[node]
    stopped.pause()
    try:
        yield
    finally:
        if simulation.nodes.get(node) is stopped:  # it has not crashed meanwhile
            stopped.resume()
