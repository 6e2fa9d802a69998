"""A network of two nodes whose links take no time: all the time that passes is a fault's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from kernel.contract.guest import Arrival
from packages.build import PACKAGES
from testnet.sim.programs import Programs
from testnet.sim.simulation import LinkBehaviour, SimNode, Simulation

A, B = "a.nec", "b.nec"
SEED = 20261125
HELLO = PACKAGES / "hello"
PATIENCE = 60


class Told(NamedTuple):
    """What came of a greeting."""

    what: str
    """The greeting, or the reason why there is none (G16)."""
    seconds: float
    """After which it came."""


GREETED = f"Hello, Ada, from {B}"


class Network:
    """a.nec greets b.nec; both are ready, and have not spoken with each other."""

    def __init__(self, programs: Programs, packages: tuple[Path, ...] = (HELLO,)) -> None:
        self.simulation = Simulation(SEED, programs, LinkBehaviour(0.0, 0.0))
        for name in (A, B):
            self.simulation.add(name, packages)
        self.simulation.settle()
        self.simulation.rest(1.0)

    @property
    def a(self) -> SimNode:
        """It asks."""
        return self.simulation.nodes[A]

    @property
    def b(self) -> SimNode:
        """It is asked."""
        return self.simulation.nodes[B]

    def greet(self, timeout: int = PATIENCE) -> Told:
        """Have b.nec greet somebody, as a.nec's user."""
        begin = self.simulation.now
        answer = self.a.ask(f"{B}@hello:hello:sys", b'{"Greet":"Ada"}', timeout)
        seconds = round(self.simulation.now - begin, 6)
        if isinstance(answer, Arrival):
            return Told(json.loads(answer.message.body)["Greeting"], seconds)
        return Told(answer.error.reason.value, seconds)

    def acquainted(self) -> Network:
        """The same, when the two have a connection."""
        assert self.greet().what == GREETED
        self.simulation.rest(0.0)
        return self

    def lines(self, what: str) -> list[str]:
        """Of the journal, those with this."""
        return [line for line in self.simulation.journal if what in line]
