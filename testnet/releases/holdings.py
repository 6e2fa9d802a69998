"""What a simulated node has of releases: what its user publishes, and how it lies when it serves others.

A node that lies runs the same code: what is false is on its disk or on its shelf, so its messages are correct in every
byte but for what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Protocol

from kernel.contract.address import PackageId
from kernel.contract.message import Envelope
from nectar_node.packages.contents import copy_name
from nectar_node.releases.document import Release, ReleaseMetadata
from nectar_node.releases.files import FileHasher, in_order
from nectar_node.releases.head import SignedHead, head_of, sign_head
from nectar_node.releases.shelf import HeldRelease, Shelf
from nectar_node.releases.versions import Version
from nectar_node.sharing.parts import FETCHING, file_place
from nectar_node.sharing.process import ReleaseSharing
from nectar_node.sharing.wire.limits import PIECE_SECONDS
from nectar_node.sharing.wire.messages import BUSY, HeadWanted, failure, read_request_untrusted
from nectar_node.storage.operations import Location, Row
from net.names.identity import Identity
from testnet.model.releases import Files, LabReleases, ReleaseLie

ABOUT = "A package of a simulated network."
LATE_SECONDS = PIECE_SECONDS - 1.0
"""Seconds until a node that drips answers."""
SERVED = 2
"""Requests that a node serves which refuses the others."""


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
        commit: Callable[[tuple[Row, ...]], bool],
        process: ReleaseSharing,
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`process` serves what is on the `shelf`, `later` has something done after so many seconds; `time` is the
        node's clock, in Unix seconds, and `history` all heads that publishers have signed, the oldest first;
        `commit` makes rows of its store durable, or returns False.
        """
        self.shelf = shelf
        self._root = f"{name}/packages"
        self._disk = disk
        self._identity = identity
        self._time = time
        self._history = history
        self._commit = commit
        self._process = process
        self._later = later

    def publish(self, package: PackageId, version: str, files: Files) -> bytes | None:
        return self._serve(self._following(package, version, files), files, self)

    def publish_two(
        self, package: PackageId, version: str, files: tuple[Files, Files], other: LabReleases
    ) -> tuple[bytes | None, bytes | None]:
        assert isinstance(other, Holdings)
        first, second = (self._following(package, version, each) for each in files)
        ours = self._serve(first, files[0], self)
        return ours, None if ours is None else self._serve(second, files[1], other)

    def _serve(self, release: Release, files: Files, at: Holdings) -> bytes | None:
        """Sign a release as the newest, and let a node serve it once that is durable."""
        document, signed = release.encode(), self._signed(release)
        folder = (copy_name(release.digest, release.package), str(release.package))
        place, kept = "/".join((at._root, *folder)), Shelf()
        kept.put(document, place)
        kept.believe(signed)
        if not at._commit(tuple(kept.changes())):
            return None
        for path, data in files.items():
            at._disk.put(Location(at._root, (*folder, *path.split("/"))), data)
        self._history.setdefault(release.package, []).append(signed)
        at.shelf.believe(signed)
        return at.shelf.put(document, place).hash

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

    def newest(self, package: PackageId) -> int:
        signed = self.shelf.head(package)
        return 0 if signed is None else signed.head.number

    def head(self, package: PackageId) -> bytes | None:
        signed = self.shelf.head(package)
        return None if signed is None else signed.head.document

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
            case "silent" | "drips" | "serves_half":
                self._serve_badly(how)
        return True

    def _serve_badly(self, how: ReleaseLie) -> None:
        """Show what is true, and keep others waiting for more."""
        process, served = self._process, count(1)
        receive = process.receive

        def lies(envelope: Envelope, now: float) -> None:
            ours = envelope.source.node == process.our
            if ours or isinstance(read_request_untrusted(envelope.message.body), HeadWanted):
                receive(envelope, now)
            elif how == "drips":
                self._later(LATE_SECONDS, lambda: receive(envelope, now + LATE_SECONDS))
            elif how == "serves_half" and next(served) <= SERVED:
                receive(envelope, now)
            elif how == "serves_half":
                process._answer(envelope, failure(BUSY, "has had enough of this node"), None)

        process.receive = lies  # type: ignore[method-assign]

    def _spoil(self, held: HeldRelease, path: str, how: ReleaseLie) -> None:
        assert held.folder is not None
        place = file_place(self._root, held.folder, path)
        data = bytearray(self._disk.get(place) or b"")
        if how == "cuts_off":
            del data[len(data) // 2 :]
        elif data:
            data[len(data) // 2] ^= 1
        self._disk.put(place, bytes(data))
