"""What a simulated node has of releases: what its user publishes and fetches, and how it lies when it serves others.

A node that lies runs the same code: what is false is on its disk or on its shelf, so its messages are correct in every
byte but for what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernel.contract.address import PackageId
from nectar_node.packages.contents import copy_name
from nectar_node.releases.document import Release, ReleaseMetadata, document_hash
from nectar_node.releases.files import FileHasher, in_order
from nectar_node.releases.head import SignedHead, head_of, sign_head
from nectar_node.releases.rules import check_new
from nectar_node.releases.shelf import HeldRelease, Shelf
from nectar_node.releases.versions import Version
from nectar_node.sharing.parts import FETCHING, file_place
from nectar_node.storage.operations import Location
from net.names.identity import Identity
from testnet.sim.disk import SimDisk


def release_of(
    package: PackageId, version: str, files: Mapping[str, bytes], before: HeldRelease | None, time: int, about: str = ""
) -> Release:
    """Return the release that follows `before`, with these files; raises BadRelease."""
    made = []
    for path, data in files.items():
        hasher = FileHasher(path)
        hasher.feed(data)
        made.append(hasher.done())
    number, link = (1, None) if before is None else (before.number + 1, before.hash)
    return Release(package, Version(version), number, link, time, ReleaseMetadata(about), in_order(made))


class SimReleases:
    """The releases of one node, while it runs."""

    def __init__(self, name: str, disk: SimDisk, shelf: Shelf, identity: Identity) -> None:
        self._root = f"{name}/packages"
        self._disk = disk
        self.shelf = shelf
        """What it serves."""
        self._identity = identity

    def publish(
        self, package: PackageId, version: str, files: Mapping[str, bytes], time: int, about: str = ""
    ) -> HeldRelease:
        """Publish a version of a package as its newest one; raises BadRelease."""
        newest = next(iter(self.shelf.of(package)), None)
        release = release_of(package, version, files, newest, time, about)
        check_new(release, None if newest is None else self.shelf.release(newest))
        return self.show(release, files, time)

    def show(self, release: Release, files: Mapping[str, bytes], time: int) -> HeldRelease:
        """Sign a release, and serve it as the newest, whatever there was."""
        document = release.encode()
        held = self.take(document, files)
        self.shelf.believe(sign_head(head_of(release, document, time), self._identity))
        return held

    def take(self, document: bytes, files: Mapping[str, bytes]) -> HeldRelease:
        """Have a release and its files, from wherever."""
        held = self.shelf.put(document, None)
        folder = (copy_name(self.shelf.release(held).digest, held.package), str(held.package))
        for path, data in files.items():
            self._disk.put(Location(self._root, (*folder, *path.split("/"))), data)
        return self.shelf.put(document, "/".join((self._root, *folder)))

    def files(self, held: HeldRelease) -> dict[str, bytes]:
        """Return the files of a release that lie on the disk."""
        assert held.folder is not None
        first = file_place(self._root, held.folder, "x")
        folder = (first.root, *first.parts[:-1])
        found = {path[len(folder) :]: file for path, file in self._disk.files.items() if path[: len(folder)] == folder}
        return {"/".join(path): file.content() for path, file in found.items()}

    @property
    def staged(self) -> set[str]:
        """The names of what lies on the disk of fetches that have not ended well."""
        return {path[2] for path in self._disk.files if path[:2] == (self._root, FETCHING)}

    # --- lies -------------------------------------------------------------------------------------------------------

    def alter(self, held: HeldRelease, path: str) -> None:
        """Change a byte of a file."""
        assert held.folder is not None
        place = file_place(self._root, held.folder, path)
        data = bytearray(self._disk.get(place) or b"")
        data[len(data) // 2] ^= 1
        self._disk.put(place, bytes(data))

    def cut_off(self, held: HeldRelease, path: str) -> None:
        """Lose the second half of a file."""
        assert held.folder is not None
        place = file_place(self._root, held.folder, path)
        data = self._disk.get(place) or b""
        self._disk.put(place, data[: len(data) // 2])

    def forge_document(self, held: HeldRelease) -> None:
        """Serve another document in the place of a release's."""
        release = replace(self.shelf.release(held), time=held.number + 1)
        self.shelf._held[held.hash] = replace(held, document=release.encode())

    def forge_head(self, held: HeldRelease, time: int) -> SignedHead:
        """Show a newer head, with the signature of this node in the place of its publisher's."""
        release = self.shelf.release(held)
        document = replace(release, number=release.number + 1, before=held.hash, version=Version("999.0.0")).encode()
        forged = replace(release, number=release.number + 1, before=held.hash, version=Version("999.0.0"))
        head = head_of(forged, document, time)
        body = head.encode()
        signed = SignedHead(head, body, self._identity.sign(b"nectar/1 package head", body))
        self.shelf.put(document, held.folder)
        self.shelf.believe(signed)
        return signed


def hash_of(release: Release) -> bytes:
    """Return the hash of a release's document."""
    return document_hash(release.encode())
