"""Which addresses and ports of the world a process may reach by HTTP.

A process that may use HTTP gets the internet, and not what the node's machine happens to reach beside it: its own
services, a router's settings, the metadata of a cloud. So an address counts as public only if it is known to be: the
tables are those of IANA's special-purpose registries (RFC 6890 and its updates) and of multicast. Names say nothing:
the address that is connected to is what is judged, after each lookup.
"""

from __future__ import annotations

from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class AddressReach(Enum):
    """Who may reach an address."""

    PUBLIC = auto()
    """Every package."""
    PRIVATE = auto()
    """Those that the node's user allows it: this machine and private networks."""
    NEVER = auto()
    """Nobody: no server has it."""


_PRIVATE_4 = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",  # RFC 1918, and two more of it below
            "100.64.0.0/10",  # shared by a provider's customers, RFC 6598
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, RFC 3927; clouds tell their machines' secrets there
            "172.16.0.0/12",
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks, RFC 2544
        ),
    )
)
_NEVER_4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # "this host": Linux takes it for loopback
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation, RFC 5737, and two more of it below
            "192.88.99.0/24",  # relays of 6to4, RFC 7526
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_PRIVATE_6 = tuple(
    map(
        ip_network,
        (
            "::1/128",
            "fc00::/7",  # RFC 4193
            "fe80::/10",
            "fec0::/10",  # site-local, RFC 3879
            "64:ff9b:1::/48",  # a network's own translation to IPv4, RFC 8215
        ),
    )
)
_GLOBAL_6 = ip_network("2000::/3")
"""All that is given out of IPv6 so far."""
_NEVER_6 = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # protocols, Teredo among them: an IPv4 address is inside (RFC 4380)
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address is inside (RFC 3056)
            "3fff::/20",
        ),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
"""An IPv4 address is inside (RFC 6052)."""

# fmt: off
BLOCKED_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
))
# fmt: on
"""Ports of other protocols, whose servers would take a request's lines for commands of theirs: those that browsers
block (Fetch standard, 2.9).
"""


def reach(text: str) -> AddressReach:
    """Return who may reach an IPv4 or IPv6 address; NEVER for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return AddressReach.NEVER
    return _reach_4(address) if isinstance(address, IPv4Address) else _reach_6(address)


def _reach_4(address: IPv4Address) -> AddressReach:
    if any(address in network for network in _NEVER_4):
        return AddressReach.NEVER
    return AddressReach.PRIVATE if any(address in network for network in _PRIVATE_4) else AddressReach.PUBLIC


def _reach_6(address: IPv6Address) -> AddressReach:
    if address.scope_id is not None:
        return AddressReach.NEVER if address.is_multicast else AddressReach.PRIVATE
    if address.ipv4_mapped is not None:
        return _reach_4(address.ipv4_mapped)
    if address in _NAT64:
        return _reach_4(IPv4Address(int(address) & 0xFFFF_FFFF))
    if any(address in network for network in _PRIVATE_6):
        return AddressReach.PRIVATE
    if address not in _GLOBAL_6 or any(address in network for network in _NEVER_6):
        return AddressReach.NEVER
    return AddressReach.PUBLIC


def why_unreachable(address: str, *, private: bool, is_ours: bool = False) -> str | None:
    """Return why an address is not connected to, as half a sentence; None: it may be.

    `private`: whether the user allows private ones; `is_ours`: whether it is one of this machine, as a public one may
    be.
    """
    found = reach(address)
    if found is AddressReach.NEVER:
        return f"{address} is no server's address"
    if private or (found is AddressReach.PUBLIC and not is_ours):
        return None
    where = "this machine's" if is_ours else "this machine's or a private network's"
    return f"{address} is {where}, which the node's user has not allowed (nectar config set http-client-private)"
