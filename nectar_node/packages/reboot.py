"""What runs again when a node boots: the processes that ran when it went down, and packages that are new (G26). Pure.

A package whose files are those of before goes on: each of its processes that ran runs again, and what had ended or was
killed stays so. A package with other files is another version, and its manifest's processes start anew. A child of the
former version whose code lies in the package's drive `pkg` runs again with the new code, if the new version has a file
of that name; one with code of another drive runs again as it was; what the new version does not have ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.process import Remnant
from nectar_node.base.errors import NodeError
from nectar_node.packages.decisions import Decision, decision_row, read_decision_untrusted
from nectar_node.packages.manifest import Package
from nectar_node.storage.operations import Location, Row, is_part

PACKAGES = "packages"
"""The store's table of packages that have been started: JSON, by their ids."""


class KeptTrial(NamedTuple):
    """What is kept of a version in its first seconds: how to go back to the one before."""

    digest: str
    """The digest of the files of the version before."""
    folder: str
    origin: str | None
    version: str
    """The version on trial, by semver; empty: it names none."""
    whole: bool
    """As in `NodeCore.install`."""
    decided: Decision | None
    """What its user had decided before."""

    def row(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**self._asdict(), "decided": None if self.decided is None else decision_row(self.decided)}


class KeptPackage(NamedTuple):
    """A package that was started, and not only named at a boot, comes back with the node."""

    digest: str
    """The digest of its files."""
    folder: str
    origin: str | None
    """The file or folder that `folder` was made from."""
    started: bool
    """Whether its user started it on the running node; False: it was named at a boot."""
    trial: KeptTrial | None = None
    """None: it is not on trial."""

    def row(self, id: PackageId) -> Row:
        """Return its row."""
        fields = self._asdict()
        if self.trial is None:
            del fields["trial"]
        else:
            fields["trial"] = self.trial.row()
        return Row(PACKAGES, str(id), json.dumps(fields, separators=(",", ":")).encode())


class DamagedPackages(NodeError):
    """A row does not describe a package."""


def decode_untrusted(rows: Mapping[str, bytes], our: str) -> dict[PackageId, KeptPackage]:
    """Return what the table of the node `our` holds; raises DamagedPackages."""
    try:
        return {PackageId.parse(id): _kept(json.loads(value), our) for id, value in rows.items()}
    except (BadAddress, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedPackages("a row does not describe a package") from error


def _kept(fields: dict[str, Any], our: str) -> KeptPackage:
    trial = fields.get("trial")
    return KeptPackage(*_place(fields), fields["started"] is True, None if trial is None else _trial(trial, our))


def _place(fields: dict[str, Any]) -> tuple[str, str, str | None]:
    origin = fields["origin"]
    return str(fields["digest"]), str(fields["folder"]), None if origin is None else str(origin)


def _trial(fields: dict[str, Any], our: str) -> KeptTrial:
    decided = fields["decided"]
    decision = None if decided is None else read_decision_untrusted(decided, our)
    return KeptTrial(*_place(fields), str(fields["version"]), fields["whole"] is True, decision)


class Again(NamedTuple):
    """A process that runs again."""

    remnant: Remnant
    code: Location | None
    """Another version of its code; None: the code that it ran."""


class Together(NamedTuple):
    """Processes that run again with the same code, which is loaded once for all."""

    again: tuple[Again, ...]


class RebootPlan(NamedTuple):
    """What is to be done at a boot."""

    resumed: tuple[Package, ...]
    """Packages that go on; their processes are in `again`."""
    new: tuple[Package, ...]
    """Packages whose manifests' processes start."""
    again: tuple[Again, ...]
    ended: dict[ProcessId, str]
    """Processes that do not run any more, and why."""
    dormant: dict[ProcessId, str]
    """Processes that do not run at this boot, and why."""


def plan(
    packages: Iterable[Package], kept: Mapping[PackageId, KeptPackage], processes: Iterable[Remnant]
) -> RebootPlan:
    """Return what to do with the packages of this boot and with what ran before."""
    booted = {package.id: package for package in packages}
    same = {id for id, package in booted.items() if id in kept and kept[id].digest == package.digest}
    again: list[Again] = []
    ended: dict[ProcessId, str] = {}
    dormant: dict[ProcessId, str] = {}
    for remnant in processes:
        id, package = remnant.process, booted.get(remnant.process.package_id)
        if package is None:
            if id.package_id in kept:
                dormant[id] = f"{id.package_id} is not among the packages of this boot"
            else:
                again.append(Again(remnant, None))
        elif package.id in same:
            again.append(Again(remnant, None))
        elif id not in package.processes:
            child = _after_upgrade(remnant, package)
            if isinstance(child, str):
                ended[id] = child
            else:
                again.append(child)
    resumed = tuple(package for id, package in booted.items() if id in same)
    new = tuple(package for id, package in booted.items() if id not in same)
    return RebootPlan(resumed, new, tuple(again), ended, dormant)


def _after_upgrade(remnant: Remnant, package: Package) -> Again | str:
    """Return how a process runs again that another version of its package has left, or why it does not.

    Whether the new version has a file of that name turns out when it is loaded.
    """
    path = f"/{remnant.path.lstrip('/')}"
    if not remnant.path:
        return f"the new version of {package.id} does not have it"
    in_package = path.removeprefix(f"/{package.id}/pkg")
    if in_package.startswith(f"/{package.id}/"):
        return Again(remnant, None)
    parts = tuple(in_package.strip("/").split("/"))
    return Again(remnant, Location(str(package.folder), parts)) if all(map(is_part, parts)) else "its path is damaged"
