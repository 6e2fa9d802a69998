"""The address of its own that a node dials from: the one that it listens on, wherever that leads to the target.

So a firewall in between knows by the source which node has dialed; and on a machine with several addresses the traffic
of a node stays on the one that it was given.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address


def only_address(addresses: Iterable[str]) -> str | None:
    """Return the one address that a node listens on, or None if its host has several, or is a wildcard."""
    different = set(addresses)
    if len(different) != 1:
        return None
    (address,) = different
    return None if ip_address(address).is_unspecified else address


def leads_to(source: str, target: str) -> bool:
    """Return whether a connection from the address `source` can reach the address `target` at all.

    It cannot if the two are of different families, and an address that is local to this machine or its link reaches
    nothing beyond: a node that listens on loopback still finds a registrar elsewhere.
    """
    ours, theirs = ip_address(source), ip_address(target)
    return ours.version == theirs.version and _nearness(ours) <= _nearness(theirs)


def _nearness(address: IPv4Address | IPv6Address) -> int:
    return 2 if address.is_loopback else 1 if address.is_link_local else 0
