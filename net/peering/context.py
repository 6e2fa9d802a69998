"""The parts of one `network.Network`, for those of them that work on several others."""

from collections import deque
from dataclasses import dataclass

from net.base.memory import Memory
from net.base.wall_clock import WallClock
from net.contract.events import NetEvent
from net.names.directory import Directory
from net.names.identity import Identity
from net.peering.circuits import Circuits
from net.peering.connections import Switchboard
from net.peering.containment import Containment
from net.peering.registrar_service import Service
from net.peering.relay import Relay
from net.peering.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Context:
    """See the module's text."""

    identity: Identity
    """Who this node is."""
    directory: Directory
    """Who the others are."""
    events: deque[NetEvent]
    """What the node is told."""
    switchboard: Switchboard
    """The connections."""
    sessions: Sessions
    """The peers, and how each is reached."""
    relay: Relay
    """What this node is to others as a router."""
    circuits: Circuits
    """What routers are to this node."""
    service: Service | None
    """What this node is to others as the registrar, if it is that."""
    memory: Memory
    """Who pays for what peers have unacknowledged here."""
    wall_clock: WallClock
    """For the issue and expiry of records."""
    containment: Containment
    """For what our own code fails at."""
