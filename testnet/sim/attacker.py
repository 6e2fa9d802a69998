"""A hostile peer in a simulation, with all that the fabric needs to know of the owner of a connection's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from net.contract.events import Close, Dial, Hold, Writable
from net.names.directory import Genesis
from testnet.hostile.behaviours import AttackOrder
from testnet.hostile.peer import AttackingPeer
from testnet.sim.fabric import End, Fabric
from testnet.sim.link_end import LinkEnd
from testnet.sim.timeline import Timeline

WINDOW_BYTES = 1 << 16
"""Unread bytes that its host takes on a connection: it makes its socket's buffer small, as any program may."""


class AttackerContext(Timeline, Protocol):
    """The parts of a simulation that an attacker needs."""

    @property
    def fabric(self) -> Fabric:
        """The links that carry its bytes."""

    @property
    def genesis(self) -> Genesis:
        """The genesis file of the network that it attacks."""


class SimAttacker(LinkEnd):
    """An attacker and its ends of connections, from its first dial to its last."""

    window = WINDOW_BYTES
    _simulation: AttackerContext

    def __init__(self, simulation: AttackerContext, name: str, order: AttackOrder) -> None:
        """`name` is both the attacker's name and its host."""
        self.name = self.host = self.address = name
        self.ends: dict[int, End] = {}
        self.crashed = False
        chance = simulation.chance("hostile", name)
        self._simulation = simulation
        self.port = self.core = AttackingPeer(order, simulation.genesis, chance, unix=0.0, now=simulation.now)
        self._tick()

    def _tick(self) -> None:
        self.core.on_timer(self._simulation.now)
        self.go_on()
        self.at(self.core.next_deadline(), self._tick)

    def end(self) -> None:
        """Make the attacker leave, and break all of its connections."""
        self.core.leave()
        self.go_on()
        self.crashed = True

    # --- what the fabric tells --------------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Schedule `what` for the attacker at the virtual time `when`."""
        self._simulation.at(when, lambda: self.happens(what))

    def happens(self, what: Callable[[], None]) -> None:
        """Let `what` happen to the attacker now, unless it has left."""
        if not self.crashed:
            what()

    def go_on(self) -> None:
        """Carry out the actions that the attacker wants."""
        fabric, actions = self._simulation.fabric, self.core.actions
        while actions:
            match actions.popleft():
                case Dial(connection, host):
                    fabric.dial(self, connection, host)
                case Close(connection, farewell):
                    fabric.close(self, connection, farewell)
                case Writable(connection):
                    fabric.transmit(self, connection)
                case Hold(connection, held):
                    fabric.hold(self, connection, held)
