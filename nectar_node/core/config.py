"""The configuration of a node's core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kernel.contract.address import Address
from kernel.contract.guest import GuestConfig
from nectar_node.base.descriptors import MAX_SOCKETS
from nectar_node.contract.http_client import HttpClientConfig
from nectar_node.contract.memory_budget import DEFAULT_BYTES, MemoryBudget
from nectar_node.core.kept import KeptState
from nectar_node.sharing.wire.limits import DEFAULT_QUOTA
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Location


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """What a core is told when it is made: names, folders, limits, and what earlier boots have kept."""

    our: str
    """The node's name, such as `a.nec`."""
    drives: str
    """Root folder of the vfs."""
    registrar: bytes
    """The public key of the network's registrar; any bytes in a network without one."""
    store: Location
    """The file of the node's store (`nectar_node.storage.database`)."""
    code: str
    """The folder of the code of processes, each file named by its SHA-256."""
    fresh_id: Callable[[], int]
    """A source of unpredictable u64s."""
    guest: Callable[[Address], GuestConfig]
    """Returns the configuration that a guest of the given address is started with."""
    memory: MemoryBudget = field(default_factory=lambda: MemoryBudget(DEFAULT_BYTES))
    """The account that pays for everything that waits in the node; the network is given the same one."""
    clock: Callable[[], float] | None = None
    """The clock for the times in traces; None: the times of the events."""
    kept: KeptState = field(default_factory=KeptState)
    """What the store holds at this boot."""
    take_over: bool = False
    """Whether the node runs although a copy has taken its place before: its user says so."""
    page_files: Mapping[str, bytes] = field(default_factory=dict)
    """Those of the node's own page, by path; none: it has none."""
    http_hosts: tuple[str, ...] = ()
    """How browsers may call this node in a Host header, beside the names of its loopback."""
    http_proxied: tuple[str, ...] = ()
    """Names under which a proxy in front of it passes on what browsers send."""
    has_password: bool = False
    """Whether the node's key file is protected by a password, with which its user may sign in."""
    rpc_open: bool = False
    """Whether programs on this machine may send messages in the user's name without a token."""
    sockets: int = MAX_SOCKETS
    """How many WebSockets browsers may have."""
    http_client: HttpClientConfig = field(default_factory=HttpClientConfig)
    """What processes may have of servers elsewhere."""
    ledger: Ledger = field(default_factory=Ledger)
    """Accounts of what packages have on the disk; the driver updates them."""
    keeps: str = "kept"
    """The folder of the backups that it keeps for other nodes."""
    packages: str = "packages"
    """The folder of the copies of packages."""
    releases_quota: int = DEFAULT_QUOTA
    """Bytes that releases from other nodes may have there."""
