"""What the parts of one `network.Network` share."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from net.base.wall_clock import WallClock
from net.contract.config import NetworkConfig
from net.contract.events import NetEvent
from net.names.directory import Directory
from net.names.identity import Identity
from net.peering.connections import Switchboard
from net.peering.containment import Containment


@dataclass(frozen=True, slots=True)
class Context:
    """See the module's text."""

    identity: Identity
    """Who this node is."""
    directory: Directory
    """Who the others are."""
    config: NetworkConfig
    """How this node deals with them."""
    entropy: Callable[[int], bytes]
    """So many unpredictable bytes."""
    events: deque[NetEvent]
    """What the node is told."""
    switchboard: Switchboard
    """The connections."""
    wall_clock: WallClock
    """For the issue and expiry of records."""
    containment: Containment
    """For what our own code fails at."""
