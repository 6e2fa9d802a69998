"""What a node's core needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import GuestConfig
from nectar_node.contract.memory_budget import DEFAULT_BYTES, MemoryBudget
from nectar_node.packages.decisions import Decisions
from nectar_node.peers.record_store import Written
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Location


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """See the module's text."""

    our: str
    """Its node id."""
    drives: str
    """Root of the vfs."""
    state: str
    """Root of the saved states."""
    records: str
    """The folder with the file of the name records, kept for the next boot."""
    capabilities: Location
    """The file of the capability store."""
    decisions: Location
    """The file of what the user has decided (`nectar_node.packages.decisions`)."""
    fresh_id: Callable[[], int]
    """Unpredictable u64s."""
    guest: Callable[[Address], GuestConfig]
    """What a guest of that address is started with."""
    memory: MemoryBudget = field(default_factory=lambda: MemoryBudget(DEFAULT_BYTES))
    """Pays for all that waits in the node; the network is given the same."""
    clock: Callable[[], float] | None = None
    """For the times in traces; None: those of the events."""
    kept_capabilities: bytes | None = None
    """What that file held at this boot."""
    kept_records: Written | None = None
    """How far the file of the name records went at this boot; None: there is none yet, and it is not protected."""
    kept_decisions: Decisions = field(default_factory=Decisions)
    """What that file held at this boot."""
    ledger: Ledger = field(default_factory=Ledger)
    """What packages have on the disk; its driver keeps it."""
    boots: frozenset[ProcessId] = frozenset()
    """The processes of the packages that are started at this boot: they hold what they held before (G21)."""
