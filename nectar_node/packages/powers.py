"""The powerful capabilities: what a package gets only if the node's user says so, each with what it allows.

With any of them a process reaches what belongs to others: files of other packages, processes of other packages, the
node itself. The network, timers, a package's own drives and state, and messages to processes of other packages are not
among them: those processes decide by themselves what they do for whom.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from kernel.capabilities.grants import KERNEL_PROCESS
from kernel.contract.address import SYSTEM, PackageId
from kernel.contract.capability import MESSAGING, NETWORK, Capability
from nectar_node.base.system_processes import NET, TERMINAL, VFS
from nectar_node.packages.manifest import Package, requested_capabilities
from nectar_node.packages.scripts import all_rights


class Power(NamedTuple):
    """A kind of powerful capability."""

    name: str
    """The word that `--grant` takes."""
    allows: str
    """What it allows, in plain words."""


VFS_ROOT = Power("vfs-root", "read, change and remove the files of all packages")
VFS_DRIVES = Power("vfs-drives", "read or change files of other packages")
KERNEL = Power("kernel", "end any process, take rights from any, make new ones, and stop the node")
NETWORKS = Power("net", "see whom this node knows and talks to")
TERMINALS = Power("terminal", "speak to what runs scripts with all your rights")
SCRIPTS = Power("scripts-root", "give its scripts, when you run them, all your rights")
RIGHTS = Power("rights", "use what a process of another package allows only to those whom it trusts")

POWERS = (VFS_ROOT, VFS_DRIVES, KERNEL, NETWORKS, TERMINALS, SCRIPTS, RIGHTS)
"""All powers."""


class WantedPower(NamedTuple):
    """A powerful capability that a package asks for."""

    capability: Capability
    power: Power


def wanted_powers(package: Package, our: str) -> tuple[WantedPower, ...]:
    """Return what the processes and the scripts of a package ask for that is powerful, each once, in their order."""
    return tuple(dict.fromkeys(_wanted_powers(package, our)))


def _wanted_powers(package: Package, our: str) -> Iterator[WantedPower]:
    requested = (capability for entry in package.entries for capability in requested_capabilities(entry, our))
    for capability in chain(requested, package.scripts):
        power = power_of(capability, package.id)
        if power is not None:
            yield WantedPower(capability, power)


def power_of(capability: Capability, package: PackageId) -> Power | None:
    """Return the power that a capability, with canonical params, gives to that package; None: it is not powerful."""
    issuer, params = capability.issuer.process, capability.params
    if issuer == VFS:
        return None if params == MESSAGING or _is_own_drive(params, package) else _of_vfs(params)
    if issuer == KERNEL_PROCESS:
        return None if params == NETWORK else KERNEL
    if issuer == NET:
        return NETWORKS
    if issuer == TERMINAL:
        return SCRIPTS if capability == all_rights(capability.issuer.node) else TERMINALS
    own = issuer.package_id == package != SYSTEM  # a process that stands in there has issued nothing of the others'
    return None if params == MESSAGING or own else RIGHTS


def _of_vfs(params: str) -> Power:
    value = json.loads(params)
    return VFS_DRIVES if isinstance(value, dict) and "drive" in value and "root" not in value else VFS_ROOT


def _is_own_drive(params: str, package: PackageId) -> bool:
    value = json.loads(params)
    drive = value.get("drive") if isinstance(value, dict) and "root" not in value else None
    return isinstance(drive, str) and drive.startswith(f"/{package}/")
