"""What a node has of releases: the newest head of each package that it has believed, and the documents, with where the
files lie. Rows of its store.

A row of `heads` has a package's id as its key, and the signed head. A row of `releases` has the hash of a document in
hexadecimal digits, and in CBOR what is listed of it, the folder of its files, and the document.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cbor2

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError
from nectar_node.releases.document import Release, decode_release_untrusted, document_hash
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.head import SignedHead, read_head_untrusted
from nectar_node.releases.versions import Version
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

HEADS = "heads"
RELEASES = "releases"
"""The tables."""
MAX_ABOUT = 200
"""Characters of a description that lists show: the beginning of its first line."""
DECODED_BYTES = 16 << 20
"""Bytes of the documents whose releases stay decoded: hundreds of usual ones, or four of the largest."""
_MAX_ITEMS = 16


class DamagedShelf(NodeError):
    """A row does not say what the node has of releases."""


@dataclass(frozen=True, slots=True)
class HeldRelease:
    """A release that is here."""

    hash: bytes
    """That of its document."""
    package: PackageId
    version: Version
    number: int
    size: int
    """Bytes of its files."""
    about: str
    """The beginning of its description, printable."""
    folder: str | None
    """The folder with its files, whole; None: they are not here."""
    document: bytes

    def row(self) -> Row:
        """Return its row."""
        listed = [str(self.package), self.version.text, self.number, self.size, self.about, self.folder, self.document]
        return Row(RELEASES, self.hash.hex(), cbor2.dumps(listed))


class Shelf:
    """All that one node has."""

    def __init__(self, heads: Mapping[PackageId, SignedHead] | None = None, held: tuple[HeldRelease, ...] = ()) -> None:
        """`heads` and `held` are what earlier boots have kept."""
        self._heads = dict(heads or {})
        self._held = {each.hash: each for each in held}
        self._changed: dict[tuple[str, str], None] = {}

    # --- heads ------------------------------------------------------------------------------------------------------

    def head(self, package: PackageId) -> SignedHead | None:
        """Return the newest head of a package that this node has believed, or has signed."""
        return self._heads.get(package)

    def believe(self, signed: SignedHead) -> None:
        """Keep a head; whoever calls has checked it against the one that is here (`nectar_node.releases.rules`)."""
        package = signed.head.package
        if self._heads.get(package) != signed:
            self._heads[package] = signed
            self._changed[HEADS, str(package)] = None

    def heads(self) -> Iterator[SignedHead]:
        """Yield all heads."""
        yield from self._heads.values()

    # --- releases ---------------------------------------------------------------------------------------------------

    def put(self, document: bytes, folder: str | None) -> HeldRelease:
        """Keep a document that has been checked, with the folder that has its files; None: they are not here."""
        release, hash = decode_release_untrusted(document), document_hash(document)
        first, _, _ = release.metadata.description.strip().partition("\n")
        about = "".join(each for each in first[:MAX_ABOUT] if each.isprintable())
        held = HeldRelease(
            hash, release.package, release.version, release.number, release.size, about, folder, document
        )
        if self._held.get(hash) != held:
            self._held[hash] = held
            self._changed[RELEASES, hash.hex()] = None
        return held

    def remove(self, hash: bytes) -> None:
        """Forget a release."""
        if self._held.pop(hash, None) is not None:
            self._changed[RELEASES, hash.hex()] = None

    def forget(self, package: PackageId) -> None:
        """Forget all that is known of a package: its releases, and the newest head."""
        for held in self.of(package):
            self.remove(held.hash)
        if self._heads.pop(package, None) is not None:
            self._changed[HEADS, str(package)] = None

    def get(self, hash: bytes) -> HeldRelease | None:
        """Return what is here under the hash of a document."""
        return self._held.get(hash)

    def of(self, package: PackageId) -> list[HeldRelease]:
        """Return the releases of a package, the newest first."""
        found = (each for each in self._held.values() if each.package == package)
        return sorted(found, key=lambda each: -each.number)

    def version(self, package: PackageId, version: Version) -> HeldRelease | None:
        """Return a package's release of a version."""
        return next((each for each in self.of(package) if each.version == version), None)

    @staticmethod
    def release(held: HeldRelease) -> Release:
        """Return the release that a document describes."""
        return _DECODED.of(held.document)

    @staticmethod
    def is_decoded(held: HeldRelease) -> bool:
        """Return whether `release` returns it at once; it takes up to a tenth of a second otherwise."""
        return _DECODED.has(held.document)

    def packages(self) -> set[PackageId]:
        """Return the packages of which there is a release."""
        return {each.package for each in self._held.values()}

    def folders(self) -> Iterator[str]:
        """Yield the folders with files of releases."""
        yield from (each.folder for each in self._held.values() if each.folder is not None)

    def uses(self, folder: Path) -> bool:
        """Return whether the files of a release lie in a folder."""
        return str(folder) in self.folders()

    @property
    def bytes(self) -> int:
        """The bytes of all files that are here."""
        return sum(each.size for each in self._held.values() if each.folder is not None)

    def offered(self, word: str, after: str, limit: int) -> list[HeldRelease]:
        """Return the newest release of each package whose files are here, whose head is, and whose id or description
        has `word` in it; the next `limit` of them after the package `after`.
        """
        newest: dict[str, HeldRelease] = {}
        for each in self._held.values():
            id = str(each.package)
            if each.folder is not None and each.package in self._heads and id > after:
                known = newest.get(id)
                newest[id] = each if known is None or known.number < each.number else known
        wanted = word.casefold()
        ids = sorted(newest)
        found = [
            newest[id] for id in ids[bisect_right(ids, after) :] if wanted in f"{id} {newest[id].about}".casefold()
        ]
        return found[:limit]

    # --- rows -------------------------------------------------------------------------------------------------------

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        changed, self._changed = self._changed, {}
        return [self._row(kind, key) for kind, key in changed]

    def _row(self, kind: str, key: str) -> Row:
        if kind == HEADS:
            signed = self._heads.get(PackageId.parse(key))
            return Row(HEADS, key, None if signed is None else signed.encode())
        held = self._held.get(bytes.fromhex(key))
        return Row(RELEASES, key, None) if held is None else held.row()


class _Decoded:
    """The releases that were read last, by their documents."""

    def __init__(self) -> None:
        self._known: dict[bytes, Release] = {}
        self._bytes = 0

    def has(self, document: bytes) -> bool:
        """Return whether it need not be read."""
        return document in self._known

    def of(self, document: bytes) -> Release:
        """Return the release that a document describes."""
        release = self._known.pop(document, None)
        if release is None:
            release = decode_release_untrusted(document)
            self._bytes += len(document)
        self._known[document] = release
        while self._bytes > DECODED_BYTES and len(self._known) > 1:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._bytes -= len(oldest)
        return release


_DECODED = _Decoded()


def decode_untrusted(heads: Mapping[str, bytes], releases: Mapping[str, bytes]) -> Shelf:
    """Return what the tables hold; raises DamagedShelf."""
    try:
        signed = map(read_head_untrusted, heads.values())
        return Shelf({each.head.package: each for each in signed}, tuple(map(_held, releases.items())))
    except (BadRelease, BadCbor, BadAddress, ValueError) as error:
        raise DamagedShelf("a row does not describe a release") from error


def _held(row: tuple[str, bytes]) -> HeldRelease:
    key, value = row
    match loads_untrusted(value, items=_MAX_ITEMS, depth=2):
        case [str(id), str(version), int(number), int(size), str(about), str() | None as folder, bytes(document)]:
            hash = bytes.fromhex(key)
            return HeldRelease(hash, PackageId.parse(id), Version(version), number, size, about, folder, document)
    raise DamagedShelf("a row does not describe a release")
