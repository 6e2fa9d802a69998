"""Where a new node of a network listens, as other packages want it: their entry points in the group "nectar.joins".

Where the nodes of a testnet run behind links, the lab puts the new one behind links too, so that faults reach it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork

ENTRY_POINTS = "nectar.joins"
"""The group of entry points; each is a `Join`."""

Join = Callable[[LocalNetwork, str, BootOptions], BootOptions]
"""Returns the options of a node of that name which boots for the first time; raises NodeError."""


def joined(network: LocalNetwork, name: str, options: BootOptions) -> BootOptions:
    """Return the options of a new node, changed by all that have an entry point; raises NodeError."""
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        join: Join = point.load()
        options = join(network, name, options)
    return options
