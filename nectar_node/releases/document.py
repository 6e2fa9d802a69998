"""The document of a release: what one version of a package consists of, what it says of itself, and which came before.

CBOR, read without trust: `[magic, package, version, number, before, time, metadata, files]`. It carries no signature: a
head (`nectar_node.releases.head`) names the newest document by its hash, and each document the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cbor2
from blake3 import blake3

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.files import HASH_BYTES, ReleaseFile, digest, in_order, is_file_path, piece_count
from nectar_node.releases.limits import (
    MAX_ASK_BYTES,
    MAX_ASKS,
    MAX_BYTES,
    MAX_CHANGES_BYTES,
    MAX_DESCRIPTION_BYTES,
    MAX_DOCUMENT_BYTES,
    MAX_FILES,
    MAX_INTERFACES,
    MAX_INTERFACES_BYTES,
    MAX_LICENCE_BYTES,
    MAX_NUMBER,
    MAX_TIME,
)
from nectar_node.releases.versions import Version
from nectar_node.storage.operations import is_part
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

_MAGIC = "nectar release 1"
_MAX_ITEMS = 1 << 17
"""Items of a document: five for each file, a hash for each piece, and what it says of itself."""


class ApiFile(NamedTuple):
    """A file of a package's `api/`."""

    name: str
    """Such as `chess.wit`."""
    text: str


class AskedRight(NamedTuple):
    """What a package asks for."""

    capability: str
    """As people write it (`nectar_node.packages.manifest.capability_text`)."""
    why: str
    """Its author's reason; may be empty."""


@dataclass(frozen=True, slots=True)
class ReleaseMetadata:
    """What a release says of itself."""

    description: str = ""
    licence: str = ""
    changes: str = ""
    """What is new in this version."""
    interfaces: tuple[ApiFile, ...] = ()
    asks: tuple[AskedRight, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a package, as its publisher has published it."""

    package: PackageId
    version: Version
    number: int
    """1 for the first release of the package, and one more for each."""
    before: bytes | None
    """The hash of the document of the release before; None: this is the first."""
    time: int
    """When it was published, by the publisher's clock, in Unix seconds."""
    metadata: ReleaseMetadata
    files: tuple[ReleaseFile, ...]
    """In order (`nectar_node.releases.files.in_order`)."""

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """The digest of the files: that of the package which consists of them."""
        return digest(self.files)

    def encode(self) -> bytes:
        """Return the bytes that `decode_release_untrusted` reads; raises BadRelease if they are too many."""
        said = self.metadata
        data = cbor2.dumps(
            [
                _MAGIC,
                str(self.package),
                self.version.text,
                int(self.number),  # CBOR has truth values, which Python takes for numbers
                self.before,
                int(self.time),
                [
                    said.description,
                    said.licence,
                    said.changes,
                    [list(each) for each in said.interfaces],
                    [list(each) for each in said.asks],
                ],
                [[file.path, int(file.size), file.hash, list(file.pieces)] for file in self.files],
            ]
        )
        if len(data) > MAX_DOCUMENT_BYTES:
            raise BadRelease(f"The paths of {self.package}'s files are too long: its document would exceed 4 MiB.")
        return data


def document_hash(document: bytes) -> bytes:
    """Return the hash by which an encoded document is named."""
    return blake3(document).digest()


def decode_release_untrusted(document: bytes) -> Release:
    """Return the release that a document describes; raises BadRelease. A release has one document, to the byte."""
    try:
        if len(document) > MAX_DOCUMENT_BYTES:
            raise _Wrong(f"it is larger than {MAX_DOCUMENT_BYTES >> 20} MiB")
        release = _release(loads_untrusted(document, items=_MAX_ITEMS, depth=5))
        if release.encode() != document:
            raise _Wrong("it is not written as release documents are")
        return release
    except (BadCbor, BadAddress, _Wrong) as error:
        raise BadRelease(f"This is not a release document: {error}.") from error


class _Wrong(Exception):
    """Something in a document is wrong; the message is half a sentence."""


def _release(fields: object) -> Release:
    match fields:
        case [str(magic), str(id), str(version), int(number), bytes() | None as before, int(time), said, list(files)]:
            pass
        case _:
            raise _Wrong("it has other fields")
    if magic != _MAGIC:
        raise _Wrong("it is of another version of the format")
    if not 1 <= number <= MAX_NUMBER or not 0 <= time <= MAX_TIME:
        raise _Wrong("a number is out of range")
    if (before is None) != (number == 1) or (before is not None and len(before) != HASH_BYTES):
        raise _Wrong("it does not name the release before it")
    package = PackageId.parse(id)
    return Release(package, Version(version), number, before, time, _metadata(said), _files(files))


def _metadata(fields: object) -> ReleaseMetadata:
    match fields:
        case [str(description), str(licence), str(changes), list(interfaces), list(asks)]:
            pass
        case _:
            raise _Wrong("it has other metadata")
    said = ReleaseMetadata(
        description,
        licence,
        changes,
        tuple(ApiFile(*_texts(each)) for each in interfaces),
        tuple(AskedRight(*_texts(each)) for each in asks),
    )
    check_metadata(said)
    return said


def check_metadata(said: ReleaseMetadata) -> None:
    """Raise BadRelease if a release says more of itself than it may."""
    for what, text, bound in (
        ("description", said.description, MAX_DESCRIPTION_BYTES),
        ("licence", said.licence, MAX_LICENCE_BYTES),
        ("list of changes", said.changes, MAX_CHANGES_BYTES),
    ):
        if _bytes(text) > bound:
            raise BadRelease(f"The {what} of a release may have {bound} bytes, and this one has {_bytes(text)}.")
    size = sum(_bytes(each.text) for each in said.interfaces)
    if len(said.interfaces) > MAX_INTERFACES or size > MAX_INTERFACES_BYTES:
        raise BadRelease(
            f"The interfaces of a release may be {MAX_INTERFACES} files of {MAX_INTERFACES_BYTES >> 10} KiB together."
        )
    if not all(is_part(each.name) for each in said.interfaces):
        raise BadRelease("An interface of a release is named as no file can be.")
    if len(said.asks) > MAX_ASKS or any(max(map(_bytes, each)) > MAX_ASK_BYTES for each in said.asks):
        raise BadRelease(f"A release may ask for {MAX_ASKS} capabilities, each with a reason of {MAX_ASK_BYTES} bytes.")


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _texts(fields: object) -> tuple[str, str]:
    match fields:
        case [str(first), str(second)]:
            return first, second
    raise _Wrong("it has other metadata")


def _files(rows: list[object]) -> tuple[ReleaseFile, ...]:
    if len(rows) > MAX_FILES:
        raise _Wrong(f"it has more than {MAX_FILES} files")
    files = tuple(map(_file, rows))
    if sum(file.size for file in files) > MAX_BYTES:
        raise _Wrong(f"its files are more than {MAX_BYTES >> 20} MiB together")
    if files != in_order(files):
        raise _Wrong("its files are not in order")
    for file, following in pairwise(files):
        if following.path == file.path or following.path.startswith(f"{file.path}/"):
            raise _Wrong(f"it has {file.path!r} twice")
    return files


def _file(fields: object) -> ReleaseFile:
    match fields:
        case [str(path), int(size), bytes(hash), list(pieces)]:
            pass
        case _:
            raise _Wrong("a file has four fields")
    if not is_file_path(path):
        raise _Wrong(f"{path[:256]!r} is not a path in a package's folder")
    count = piece_count(size)
    hashes = tuple(each for each in pieces if isinstance(each, bytes) and len(each) == HASH_BYTES)
    if not 0 <= size <= MAX_BYTES or len(hash) != HASH_BYTES or len(hashes) != len(pieces):
        raise _Wrong(f"{path!r} has no size or no hash")
    if len(hashes) != (count if count > 1 else 0):
        raise _Wrong(f"{path!r} does not have a hash for each piece")
    return ReleaseFile(path, size, hash, hashes)
