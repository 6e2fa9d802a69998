"""What a node's core begins with, as one value; and the core that is made of it, on a node as in a replay."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kernel.contract.address import Address, PackageId
from kernel.contract.guest import GuestConfig
from nectar_node.base.shipped import page_files
from nectar_node.contract.http_client import HttpClientConfig
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.core.kept import KeptState
from nectar_node.packages.decisions import Decision
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Ledger, Quotas
from nectar_node.storage.operations import Location
from net.base.ciphers import listed
from net.base.frames import LINEAGES_VERSION, PAIRS_VERSION
from net.names.directory import Directory, Genesis
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig

_IDS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class NodeStart:
    """Names, folders, limits and settings of a node at one boot, and what earlier boots have kept."""

    our: str
    """The node's name."""
    registrar: bytes
    """The public key of its network's registrar."""
    drives: str
    store: Location
    keeps: str
    packages: str
    code: str
    now: float
    """The clock of the core, in seconds, when it is made."""
    memory_bytes: int
    wall_clock_offset: float
    connections: int
    cipher: str
    """The cipher that its record lists."""
    files: int
    """Files that a guest may have open at once."""
    sockets: int
    http_client: HttpClientConfig
    releases_quota: int
    routers: tuple[str, ...] = ()
    reservations: int = 0
    invitation: bytes | None = field(default=None, repr=False)
    quotas: Quotas = DEFAULT_QUOTAS
    take_over: bool = False
    has_page: bool = False
    """Whether it serves its own page."""
    http_hosts: tuple[str, ...] = ()
    http_proxied: tuple[str, ...] = ()
    has_password: bool = False
    rpc_open: bool = False
    genesis: Genesis | None = None
    """The registrar; None: this node is it."""
    by_invitation: bool = False
    host: str = ""
    """Where it listens."""
    seed: bytes = field(default=b"", repr=False)
    """Its secret key."""
    previous_seed: bytes | None = field(default=None, repr=False)
    rows: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    """What its store holds, but the saved states."""
    states: Mapping[str, int] = field(default_factory=dict)
    """The lengths of the saved states."""
    decided: tuple[tuple[PackageId, Decision], ...] = ()
    """What its user has decided with the options of this boot."""
    follows_lineages: bool = False
    """Whether it tells other nodes that it takes the lineages of their messages."""


class CoreSources(NamedTuple):
    """Where a core gets what it asks for by itself."""

    entropy: Callable[[int], bytes]
    fresh_id: Callable[[], int]
    guest: Callable[[Address], GuestConfig]
    """As `CoreConfig.guest`."""
    clock: Callable[[], float]
    """For the times in traces."""
    ledger: Ledger


def core_of(
    start: NodeStart,
    identity: Identity,
    previous: Identity | None,
    directory: Directory,
    kept: KeptState,
    sources: CoreSources,
) -> NodeCore:
    """Return the core of a node."""
    memory = MemoryBudget(start.memory_bytes)
    network_config = NetworkConfig(
        memory=memory,
        routers=start.routers,
        reservations=start.reservations,
        previous=previous,
        wall_clock_offset=start.wall_clock_offset,
        keeps_sequence=True,
        sequence=kept.own.sequence,
        epoch=kept.grants.revoked.everything,
        ciphers=listed(start.cipher),
        invitation=start.invitation,
        connections=start.connections,
        frames_version=LINEAGES_VERSION if start.follows_lineages else PAIRS_VERSION,
    )
    network = Network(identity, directory, network_config, sources.entropy, start.now)
    config = CoreConfig(
        our=start.our,
        drives=start.drives,
        registrar=start.registrar,
        store=start.store,
        keeps=start.keeps,
        releases_quota=start.releases_quota,
        packages=start.packages,
        code=start.code,
        fresh_id=sources.fresh_id,
        guest=sources.guest,
        memory=memory,
        clock=sources.clock,
        kept=kept,
        take_over=start.take_over,
        page_files=page_files() if start.has_page else {},
        http_hosts=start.http_hosts,
        http_proxied=start.http_proxied,
        has_password=start.has_password,
        rpc_open=start.rpc_open,
        sockets=start.sockets,
        http_client=start.http_client,
        ledger=sources.ledger,
    )
    return NodeCore(config, network)


class FreshIds:
    """Unpredictable u64s, drawn in batches: asking the operating system for each costs more than the rest of a
    message.
    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._ids: list[int] = []

    def take(self) -> int:
        """Return the next one."""
        if not self._ids:
            self._ids = [number for (number,) in struct.iter_unpack("<Q", self._entropy(8 * _IDS_AT_ONCE))]
        return self._ids.pop()
