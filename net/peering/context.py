"""The components of one `network.Network`, for those that work on several others."""

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
    """What the components of one network share."""

    identity: Identity
    """This node's name and keys."""
    directory: Directory
    """The known records of other nodes."""
    events: deque[NetEvent]
    """The events for the node and the driver."""
    switchboard: Switchboard
    """The connections."""
    sessions: Sessions
    """The sessions with peers, and how each peer is reached."""
    relay: Relay
    """This node's work as a router for others."""
    circuits: Circuits
    """This node's circuits through its routers."""
    service: Service | None
    """The registrar's service, if this node is the registrar."""
    memory: Memory
    """The account of memory for what peers have unacknowledged here."""
    wall_clock: WallClock
    """Unix time, for the issue and expiry of records."""
    containment: Containment
    """What contains failures of our own code."""
