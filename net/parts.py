"""The parts of one `peers.Network`, for those of them that work on several others."""

from collections import deque
from dataclasses import dataclass

from net.circuits import Circuits
from net.containment import Containment
from net.directory import Directory
from net.events import NetEvent
from net.identity import Identity
from net.memory import Memory
from net.relay import Relay
from net.service import Service
from net.sessions import Sessions
from net.switchboard import Switchboard
from net.wall_clock import WallClock


@dataclass(frozen=True, slots=True)
class Parts:
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
