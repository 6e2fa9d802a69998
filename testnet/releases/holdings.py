"""What a simulated node has of releases: what its user publishes, and how it lies when it serves others.

A node that lies runs the same code: what is false is on its disk or on its shelf, so its messages are correct in every
byte but for what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from kernel.contract.address import PackageId
from nectar_node.packages.contents import copy_name
from nectar_node.releases.document import Release, ReleaseMetadata
from nectar_node.releases.files import FileHasher, in_order
from nectar_node.releases.head import SignedHead, head_of, sign_head
from nectar_node.releases.shelf import HeldRelease, Shelf
from nectar_node.releases.versions import Version
from nectar_node.sharing.parts import FETCHING, file_place
from nectar_node.storage.operations import Location
from net.names.identity import Identity
from testnet.model.releases import Files, LabReleases, ReleaseLie

ABOUT = "A package of a simulated network."


class HoldingDisk(Protocol):
    """A node's disk, from outside."""

    def put(self, location: Location, data: bytes) -> None:
        """Write a file."""

    def get(self, location: Location) -> bytes | None:
        """Return a file; None: there is none."""

    def paths(self) -> Iterable[tuple[str, ...]]:
        """Return the paths of all files."""


class Holdings(LabReleases):
    """The releases of one node, while it runs."""

    def __init__(
        self,
        name: str,
        disk: HoldingDisk,
        shelf: Shelf,
        identity: Identity,
        time: Callable[[], float],
        history: dict[PackageId, list[SignedHead]],
    ) -> None:
        """`shelf` is what it serves, `time` its clock, in Unix seconds, and `history` all heads that publishers have
        signed, the oldest first.
        """
        self.shelf = shelf
        self._root = f"{name}/packages"
        self._disk = disk
        self._identity = identity
        self._time = time
        self._history = history

    def publish(self, package: PackageId, version: str, files: Files) -> bytes:
        release = self._following(package, version, files)
        self._show(release)
        return self._take(release.encode(), files).hash

    def publish_two(self, package: PackageId, version: str, files: tuple[Files, Files], other: LabReleases) -> None:
        assert isinstance(other, Holdings)
        first, second = (self._following(package, version, each) for each in files)
        other.shelf.believe(self._signed(second))
        other._take(second.encode(), files[1])
        self._show(first)
        self._take(first.encode(), files[0])

    def _following(self, package: PackageId, version: str, files: Files) -> Release:
        made = []
        for path, data in files.items():
            hasher = FileHasher(path)
            hasher.feed(data)
            made.append(hasher.done())
        newest = next(iter(self.shelf.of(package)), None)
        number, before = (1, None) if newest is None else (newest.number + 1, newest.hash)
        said = ReleaseMetadata(ABOUT)
        return Release(package, Version(version), number, before, int(self._time()), said, in_order(made))

    def _signed(self, release: Release) -> SignedHead:
        """Sign a head with the key of this node, whoever the publisher is."""
        head = head_of(release, release.encode(), int(self._time()))
        return sign_head(head, release.package.publisher, self._identity.sign)

    def _show(self, release: Release) -> None:
        signed = self._signed(release)
        self._history.setdefault(release.package, []).append(signed)
        self.shelf.believe(signed)

    def sign_again(self) -> None:
        """Sign the heads of this node's own packages with the key that it has now."""
        for signed in [*self.shelf.heads()]:
            head = signed.head
            if head.package.publisher == self._identity.name:
                self.shelf.believe(sign_head(head, self._identity.name, self._identity.sign))

    def _take(self, document: bytes, files: Files) -> HeldRelease:
        """Have a release and its files."""
        held = self.shelf.put(document, None)
        folder = (copy_name(self.shelf.release(held).digest, held.package), str(held.package))
        for path, data in files.items():
            self._disk.put(Location(self._root, (*folder, *path.split("/"))), data)
        return self.shelf.put(document, "/".join((self._root, *folder)))

    def newest(self, package: PackageId) -> int:
        signed = self.shelf.head(package)
        return 0 if signed is None else signed.head.number

    def files(self, release: bytes) -> Files | None:
        held = self.shelf.get(release)
        if held is None or held.folder is None:
            return None
        first = file_place(self._root, held.folder, "x")
        above = (first.root, *first.parts[:-1])
        paths = [path for path in self._disk.paths() if path[: len(above)] == above]
        return {"/".join(path[len(above) :]): self._disk.get(Location(path[0], path[1:])) or b"" for path in paths}

    @property
    def unfinished(self) -> int:
        return sum(path[:2] == (self._root, FETCHING) for path in self._disk.paths())

    # --- lies -------------------------------------------------------------------------------------------------------

    def lie(self, package: PackageId, how: ReleaseLie) -> bool:
        held = next((each for each in self.shelf.of(package) if each.folder is not None), None)
        if held is None:
            return False
        release = self.shelf.release(held)
        match how:
            case "alters" | "cuts_off":
                for file in release.files:
                    self._spoil(held, file.path, how)
            case "forges_document":
                forged = replace(release, time=release.time + 1).encode()
                self.shelf._held[held.hash] = replace(held, document=forged)
            case "forges_head":
                after = replace(release, version=Version("999.0.0"), number=release.number + 1, before=held.hash)
                self.shelf.put(after.encode(), held.folder)
                self.shelf.believe(self._signed(after))
            case "shows_old":
                older = self._history[package][0]
                if older.head.number >= self.newest(package):
                    return False
                self.shelf._heads[package] = older
            case "denies":
                self.shelf._held.clear()
        return True

    def _spoil(self, held: HeldRelease, path: str, how: ReleaseLie) -> None:
        assert held.folder is not None
        place = file_place(self._root, held.folder, path)
        data = bytearray(self._disk.get(place) or b"")
        if how == "cuts_off":
            del data[len(data) // 2 :]
        elif data:
            data[len(data) // 2] ^= 1
        self._disk.put(place, bytes(data))
