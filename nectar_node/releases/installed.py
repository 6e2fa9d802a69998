"""Which versions of each package are installed on a node: the one that runs, and those that it can go back to.

A row of `installed` has a package's id as its key, and a CBOR array of its versions, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cbor2

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError
from nectar_node.releases.files import HASH_BYTES
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

INSTALLED = "installed"
"""The table."""
KEPT_VERSIONS = 3
"""Versions of a package that are kept: the one that runs, and two to go back to."""
_MAX_ITEMS = 64


class DamagedInstalled(NodeError):
    """A row does not say which versions of a package are installed."""


class InstalledVersion(NamedTuple):
    """One version of a package that is, or was, installed."""

    version: str
    """By semver; empty: it names none."""
    digest: str
    """The digest of its files."""
    folder: str
    """The folder with the files, below the node's own."""
    origin: str
    """Where it came from, as its user knows it."""
    document: bytes | None
    """The hash of the release document that proves it; None: it is not proven."""
    time: int
    """When it was installed, in Unix seconds."""


class InstalledVersions:
    """Those of one node."""

    def __init__(self, known: Mapping[PackageId, tuple[InstalledVersion, ...]] | None = None) -> None:
        """`known` is what earlier boots have kept."""
        self._known = dict(known or {})
        self._changed: dict[PackageId, None] = {}

    def of(self, package: PackageId) -> tuple[InstalledVersion, ...]:
        """Return the versions of a package, the oldest first; the last one is installed."""
        return self._known.get(package, ())

    def current(self, package: PackageId) -> InstalledVersion | None:
        """Return the version that is installed; None: none is."""
        versions = self.of(package)
        return versions[-1] if versions else None

    def packages(self) -> Iterator[PackageId]:
        """Yield the packages that are installed."""
        yield from self._known

    def folders(self) -> Iterator[Path]:
        """Yield the folders of all versions."""
        yield from (Path(each.folder) for versions in self._known.values() for each in versions)

    def uses(self, folder: Path) -> bool:
        """Return whether a folder is one of a version's."""
        return folder in self.folders()

    def add(self, package: PackageId, version: InstalledVersion) -> None:
        """Note that a version is installed; the oldest one is dropped if there are more than are kept."""
        same = (version.version, version.digest)  # two versions may differ in their metadata alone
        others = tuple(each for each in self.of(package) if (each.version, each.digest) != same)
        self._set(package, (*others, version)[-KEPT_VERSIONS:])

    def go_back(self, package: PackageId) -> None:
        """Drop the version that is installed, so that the one before is."""
        self._set(package, self.of(package)[:-1])

    def put_back(self, package: PackageId, versions: tuple[InstalledVersion, ...]) -> None:
        """Note again what was installed before, since a newer version has failed."""
        self._set(package, versions)

    def remove(self, package: PackageId) -> None:
        """Drop all versions of a package."""
        self._set(package, ())

    def _set(self, package: PackageId, versions: tuple[InstalledVersion, ...]) -> None:
        if versions:
            self._known[package] = versions
        else:
            self._known.pop(package, None)
        self._changed[package] = None

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        changed, self._changed = self._changed, {}
        return [Row(INSTALLED, str(package), _encoded(self.of(package))) for package in changed]


def _encoded(versions: tuple[InstalledVersion, ...]) -> bytes | None:
    return cbor2.dumps([list(each) for each in versions]) if versions else None


def decode_untrusted(rows: Mapping[str, bytes]) -> InstalledVersions:
    """Return what the table holds; raises DamagedInstalled."""
    try:
        return InstalledVersions({PackageId.parse(id): tuple(_versions(value)) for id, value in rows.items()})
    except (BadCbor, BadAddress, TypeError) as error:
        raise DamagedInstalled("a row does not say which versions of a package are installed") from error


def _versions(value: bytes) -> Iterator[InstalledVersion]:
    for fields in loads_untrusted(value, items=_MAX_ITEMS, depth=3):
        match fields:
            case [str(version), str(digest), str(folder), str(origin), bytes() | None as document, int(time)] if (
                document is None or len(document) == HASH_BYTES
            ):
                yield InstalledVersion(version, digest, folder, origin, document, time)
            case _:
                raise BadCbor("not a version")
