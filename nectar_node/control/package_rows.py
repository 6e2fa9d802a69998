"""What the commands about packages answer: of each what it is, which version, and whether that is proven."""

from __future__ import annotations

from pathlib import Path

from kernel.contract.address import PackageId
from nectar_node.base.shipped import is_shipped
from nectar_node.control import status
from nectar_node.core.core import NodeCore
from nectar_node.packages.manifest import Package, capability_text
from nectar_node.releases.head import can_be_proven
from nectar_node.releases.installed import InstalledVersion
from nectar_node.releases.shelf import HeldRelease, Shelf

SHIPPED, SIGNED, OWN, LOCAL, UNSIGNED = "with the node", "signed", "own", "local", "unsigned"
"""How far it is proven whose a package is: it comes with the node; its publisher has signed it; this node is its
publisher; it names no node; it names one, and nothing proves that."""


def standing(package: PackageId, our: str, proven: bool, folder: Path | None) -> str:
    """Return how far it is proven whose a package is, whose files lie in `folder`."""
    if folder is not None and is_shipped(folder):
        return SHIPPED
    if proven:
        return SIGNED
    if not can_be_proven(package):
        return LOCAL
    return OWN if package.publisher == our else UNSIGNED


def standing_of(core: NodeCore, package: PackageId) -> str:
    """Return that of a package that is installed or runs."""
    running, current = core.packages.get(package), core.installed.current(package)
    digest = running.digest if running is not None else "" if current is None else current.digest
    proven = current is not None and current.digest == digest and current.document is not None
    if not proven and can_be_proven(package):
        proven = any(Shelf.release(each).digest == digest for each in core.shelf.of(package))
    folder = running.folder if running is not None else None if current is None else Path(current.folder)
    return standing(package, core.our, proven, folder)


def unsigned_packages(core: NodeCore) -> list[str]:
    """Return the packages that run and name a node as their publisher, which nothing proves."""
    return [str(each) for each in sorted(core.packages) if standing_of(core, each) == UNSIGNED]


def package_row(core: NodeCore, package: PackageId) -> dict[str, object]:
    """Return a package that is installed or runs, in short."""
    running, current = core.packages.get(package), core.installed.current(package)
    is_current = current is not None and (running is None or running.digest == current.digest)
    origin = str(running.source) if running is not None else "" if current is None else current.origin
    return {
        "package": str(package),
        "version": current.version if current is not None and is_current else "",
        "installed": is_current,
        "standing": standing_of(core, package),
        "origin": origin,
        "processes": sum(each.package_id == package for each in core.kernel.processes),
        "runs": running is not None,
        "failed": _failed_row(core, package),
    }


def _failed_row(core: NodeCore, package: PackageId) -> dict[str, object] | None:
    """Return the new version that has failed in its first seconds, so that the one before runs again; None: none."""
    trial = core.failed_versions.get(package)
    if trial is None or trial.failed is None:
        return None
    process, trap = trial.failed
    return {"version": trial.version, "process": str(process), "trap": trap}


def info_row(core: NodeCore, package: PackageId, asked: Package | None, allowed: Package | None) -> dict[str, object]:
    """Return all about a package: `asked` and `allowed` are the running one as its manifest has it, and as its user
    allows it.
    """
    decision, head, held = core.decisions.of(package), core.shelf.head(package), core.shelf.of(package)
    current = core.installed.current(package)
    document = None if current is None or current.document is None else core.shelf.get(current.document)
    described = document or next(iter(held), None)
    rows = (
        []
        if asked is None or allowed is None or len(asked.entries) != len(allowed.entries)
        else (status.started_rows(core, asked, allowed))
    )
    return package_row(core, package) | {
        "processes": rows,
        "denied": [] if decision is None else sorted(capability_text(each, core.our) for each in decision.denied),
        "versions": [_version_row(each) for each in reversed(core.installed.of(package))],
        "releases": [_release_row(each) for each in held],
        "head": None if head is None else {"number": head.head.number, "time": head.head.time},
        **(_described(described) if described is not None else {}),
    }


def _version_row(version: InstalledVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "digest": version.digest,
        "origin": version.origin,
        "signed": version.document is not None,
        "time": version.time,
    }


def _release_row(held: HeldRelease) -> dict[str, object]:
    return {
        "version": held.version.text,
        "number": held.number,
        "bytes": held.size,
        "document": held.hash.hex(),
        "here": held.folder is not None,
        "time": Shelf.release(held).time,
    }


def _described(held: HeldRelease) -> dict[str, object]:
    said = Shelf.release(held).metadata
    return {
        "description": said.description,
        "licence": said.licence,
        "changes": said.changes,
        "asks": [list(each) for each in said.asks],
        "interfaces": [each.name for each in said.interfaces],
    }
