"""How a node that has just booted is reached: by browsers, and through its routers."""

from __future__ import annotations

import time
from collections.abc import Mapping

from nectar_node.console import output
from nectar_node.launcher.boot_options import kept_options
from nectar_node.launcher.local_network import LocalNetwork
from net.peering.own_routers import Place

PLACES_SECONDS = 6.0
"""Seconds in which a node's routers answer, or it knows that they cannot be reached
(`net.base.limits.RECOVERY_SECONDS`).
"""
_GLANCE_SECONDS = 0.05
_NO_PLACE = {
    Place.AWAITED: "has not answered yet",
    Place.REFUSED: "has no place for it",
    Place.UNREACHABLE: "cannot be reached",
}
"""Why a node is not reached through a router, after the router's name."""


def tell_web(network: LocalNetwork, name: str) -> None:
    """Print where browsers reach the node `name`, which has just booted, if they do."""
    if kept_options(network.place(name)).http is not None:
        with network.connect(name) as client:
            output.say(f"Browsers reach {name} at {client.ask('status').get('http')}.")


def tell_places(name: str, pid: int, places: Mapping[str, str]) -> None:
    """Print through which of its routers the node `name` is reached, and what is wrong with the others."""
    routes = [router for router, place in places.items() if place == Place.HELD]
    reached = f"is reached through {' and '.join(routes)}" if routes else "cannot be reached yet"
    output.say(f"{name} runs as process {pid} and {reached}.")
    for router, place in places.items():
        if place != Place.HELD:
            output.complain(f"{router} {_NO_PLACE[Place(place)]}: {name} asks it again.")


def await_places(network: LocalNetwork, name: str) -> dict[str, str]:
    """Return what the node `name`, which has just booted, has at each of its routers (`net.peering.own_routers.Place`).

    Waits until all have answered or cannot be reached, or PLACES_SECONDS have passed.
    """
    deadline = time.monotonic() + PLACES_SECONDS
    with network.connect(name) as client:
        while True:
            rows = client.ask("status").get("routers")
            found = {str(row["name"]): str(row["place"]) for row in rows} if isinstance(rows, list) else {}
            if Place.AWAITED not in found.values() or time.monotonic() >= deadline:
                return found
            time.sleep(_GLANCE_SECONDS)
