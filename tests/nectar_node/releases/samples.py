"""Releases of a package `chess:ann.test`, as tests need them."""

from __future__ import annotations

from kernel.contract.address import PackageId
from nectar_node.releases.document import ApiFile, AskedRight, Release, ReleaseMetadata, document_hash
from nectar_node.releases.files import FileHasher, ReleaseFile, in_order
from nectar_node.releases.head import SignedHead, head_of, sign_head
from nectar_node.releases.limits import PIECE_BYTES
from nectar_node.releases.versions import Version
from tests.net.world import identity_of

CHESS = PackageId("chess", "ann.test")
ANN = identity_of("ann.test")
MANIFEST = b'[{"process_name": "main", "process_wasm_path": "/main.wasm", "public": true}]'
SAID = ReleaseMetadata(
    "Chess between two nodes.",
    "Apache-2.0",
    "Castling.",
    (ApiFile("chess.wit", "interface chess {}"),),
    (AskedRight("network", "to play with others"),),
)


def file_of(path: str, data: bytes) -> ReleaseFile:
    hasher = FileHasher(path)
    hasher.feed(data)
    return hasher.done()


def release_of(
    version: str, before: Release | None = None, code: bytes = b"\0asm", package: PackageId = CHESS, time: int = 1000
) -> Release:
    """The release that follows another, with a large file and an empty one among its files."""
    files = in_order(
        [
            file_of("manifest.json", MANIFEST),
            file_of("main.wasm", code),
            file_of("ui/board.png", bytes(2 * PIECE_BYTES + 1)),
            file_of("ui-empty", b""),
        ]
    )
    number, link = (1, None) if before is None else (before.number + 1, document_hash(before.encode()))
    return Release(package, Version(version), number, link, time, SAID, files)


def chain_of(*versions: str) -> list[Release]:
    """Releases with these versions, each after the one before."""
    made: list[Release] = []
    for version in versions:
        made.append(release_of(version, made[-1] if made else None, version.encode()))
    return made


def head_for(release: Release, time: int = 1000) -> SignedHead:
    return sign_head(head_of(release, release.encode(), time), ANN.name, ANN.sign)


_CHESS = chain_of("1.0.0", "1.1.0-beta.2")
CHESS_DOCUMENTS = tuple(each.encode() for each in _CHESS)
CHESS_HEAD = head_for(_CHESS[-1])
