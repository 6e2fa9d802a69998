"""What the components of one `network.Network` share."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from net.base.timers import Timers
from net.base.wall_clock import WallClock
from net.contract.config import NetworkConfig
from net.contract.events import NetEvent
from net.names.directory import Directory
from net.names.identity import Identity
from net.peering.connections import Switchboard
from net.peering.containment import Containment


@dataclass(frozen=True, slots=True)
class Context:
    """The identity, the settings and the tables that all components work with."""

    identity: Identity
    """This node's name and keys."""
    directory: Directory
    """The known records of other nodes."""
    config: NetworkConfig
    """How this node deals with them."""
    entropy: Callable[[int], bytes]
    """So many unpredictable bytes."""
    events: deque[NetEvent]
    """The events for the node and the driver."""
    switchboard: Switchboard
    """The connections."""
    wall_clock: WallClock
    """Unix time, for the issue and expiry of records."""
    timers: Timers[Any]
    """The earliest deadline of each component."""
    containment: Containment
    """What contains failures of our own code."""
