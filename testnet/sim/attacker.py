"""A hostile peer in a simulation, with all that the fabric needs to know of the owner of a connection's end."""

from __future__ import annotations

from net.contract.events import Close, Dial, Hold, Writable
from testnet.hostile.behaviours import AttackOrder
from testnet.hostile.peer import AttackingPeer
from testnet.sim.context import NodeContext
from testnet.sim.wired import Wired

WINDOW_BYTES = 1 << 16
"""Unread bytes that its host takes on a connection: it makes its socket's buffer small, as any program may."""


class SimAttacker(Wired):
    """An attacker and its ends of connections, from its first dial to its last."""

    core: AttackingPeer
    window = WINDOW_BYTES

    def __init__(self, simulation: NodeContext, name: str, order: AttackOrder) -> None:
        """`name` is both the attacker's name and its host."""
        super().__init__(simulation, name, name)
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
