"""What a node has kept over a reboot, as its core takes it: the rows of its store, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kernel.capabilities.revocations import Revoked
from kernel.contract.address import PackageId, ProcessId
from kernel.contract.process import Remnant
from nectar_node.core import process_table
from nectar_node.packages import aliases, decisions, reboot
from nectar_node.packages.decisions import Decisions
from nectar_node.packages.reboot import KeptPackage
from nectar_node.peers import grant_rows, name_rows, own_row
from nectar_node.peers.grant_rows import KeptGrants
from nectar_node.peers.name_rows import KeptNames
from nectar_node.peers.own_row import KeptOwn
from nectar_node.releases import installed, shelf
from nectar_node.releases.installed import InstalledVersions
from nectar_node.releases.shelf import Shelf
from nectar_node.system import kept_objects
from nectar_node.system.kept_objects import Owner


@dataclass(frozen=True, slots=True)
class KeptState:
    """What earlier boots have kept."""

    grants: KeptGrants = field(default_factory=lambda: KeptGrants({}, Revoked(1, 0, (), ()), {}))
    decisions: Decisions = field(default_factory=Decisions)
    processes: tuple[Remnant, ...] = ()
    """The processes that ran."""
    packages: Mapping[PackageId, KeptPackage] = field(default_factory=dict)
    names: KeptNames = field(default_factory=KeptNames)
    """The name records."""
    own: KeptOwn = field(default_factory=KeptOwn)
    """What is kept of the node's own record."""
    aliases: Mapping[str, ProcessId | None] = field(default_factory=dict)
    """The user's aliases for scripts (`nectar_node.packages.aliases`)."""
    states: Mapping[str, int] = field(default_factory=dict)
    """The saved states of processes: their lengths in bytes (`nectar_node.storage.database.Database.states`)."""
    owners: tuple[Owner, ...] = ()
    """The nodes whose backups are kept here, with their objects; a core goes on with them."""
    shelf: Shelf = field(default_factory=Shelf)
    """The releases that are here; a core goes on with it, as with the next."""
    installed: InstalledVersions = field(default_factory=InstalledVersions)
    rows: frozenset[tuple[str, str]] = frozenset()
    """Tables and keys of the rows in the store, except name records."""


def decode_untrusted(
    contents: Mapping[str, Mapping[str, bytes]], our: str, states: Mapping[str, int] | None = None
) -> KeptState:
    """Return what the rows of the store of the node `our` hold, beside its `states`; raises NodeError if they are not
    what a node writes.
    """
    grants = grant_rows.decode_untrusted(contents.get(grant_rows.GRANTS, {}), contents.get(grant_rows.REVOKED, {}))
    processes = contents.get(process_table.PROCESSES, {})
    return KeptState(
        grants,
        decisions.decode_untrusted(contents.get(decisions.DECISIONS, {}), our),
        tuple(process_table.decode_untrusted(key, value) for key, value in processes.items()),
        reboot.decode_untrusted(contents.get(reboot.PACKAGES, {}), our),
        name_rows.decode_untrusted(contents.get(name_rows.NAMES, {}), contents.get(name_rows.REGISTRAR, {})),
        own_row.decode_untrusted(contents.get(own_row.OWN, {}), is_new=not any(contents.values())),
        aliases.decode_untrusted(contents.get(aliases.ALIASES, {})),
        states or {},
        kept_objects.decode_untrusted(contents.get(kept_objects.OWNERS, {}), contents.get(kept_objects.KEPT, {})),
        shelf.decode_untrusted(contents.get(shelf.HEADS, {}), contents.get(shelf.RELEASES, {})),
        installed.decode_untrusted(contents.get(installed.INSTALLED, {})),
        frozenset((kind, key) for kind, table in contents.items() if kind != name_rows.NAMES for key in table),
    )
