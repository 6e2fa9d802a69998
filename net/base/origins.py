"""Where a connection comes from: the units by which what strangers may take is bounded.

An IPv4 address is one unit, and so are the 64 bits of IPv6 that a host is given whole. A site with 48 bits has 65,536
of those, so a site is a unit too.
"""

from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

_PRIVATE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"))
)
"""RFC 1918, RFC 3927, RFC 4193, and the link-local addresses of RFC 4291."""
_HOST_SHIFT, _SITE_SHIFT = 64, 80
"""Bits of an IPv6 address below a host's network, and below a site."""


class Coverage(Enum):
    """How much of the network a unit covers."""

    HOST = auto()
    """A public address, or a name."""
    SITE = auto()
    """Many hosts, in one hand."""
    LOCAL = auto()
    """This machine, or an address of a private network: a whole testnet may be behind it."""


class Origin(NamedTuple):
    """A unit by which connections are counted."""

    key: str
    """The unit's identity: two units are the same if their keys are."""
    reach: Coverage


def address_of(host: str) -> str:
    """Return the unit of one host at the other end: its IPv4 address, or its network's 64 bits of IPv6."""
    address = _parse(host)
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return f"{IPv6Address(int(address) >> _HOST_SHIFT << _HOST_SHIFT)}/64"
    return host if address is None else str(address)


def origins_of(host: str) -> tuple[Origin, ...]:
    """Return all units that a host belongs to. All loopback addresses are one, since a host with one of them has them
    all."""
    address = _parse(host)
    if address is None:
        return (Origin(host, Coverage.HOST),)
    if address.is_loopback:
        return (Origin("loopback", Coverage.LOCAL),)
    if any(address in network for network in _PRIVATE if network.version == address.version):
        return (Origin(address_of(host), Coverage.LOCAL),)
    unit = Origin(address_of(host), Coverage.HOST)
    if isinstance(address, IPv4Address):
        return (unit,)
    return (unit, Origin(f"{IPv6Address(int(address) >> _SITE_SHIFT << _SITE_SHIFT)}/48", Coverage.SITE))


def is_this_machine(host: str) -> bool:
    """Return whether the address leads only from this machine to itself."""
    address = _parse(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _parse(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that `host` is, or None if it is a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
