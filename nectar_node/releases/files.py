"""The files of a release: path, size and BLAKE3 hash of each, and of the pieces of those that have more than one.

Pure: whoever has a file feeds its bytes. The digest of all files is that by which a node knows a package.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from blake3 import blake3

from nectar_node.releases.limits import MAX_PATH_BYTES, PIECE_BYTES
from nectar_node.storage.operations import is_part

HASH_BYTES = 32
"""Bytes of a BLAKE3 hash."""
PROOF_FILE = ".release"
"""The file beside a release's files that proves it (`nectar_node.releases.proof`); it is none of them."""


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release."""

    path: str
    """Its path in the package's folder, such as `ui/index.html`."""
    size: int
    """Bytes."""
    hash: bytes
    """Its BLAKE3 hash, 32 bytes."""
    pieces: tuple[bytes, ...] = ()
    """The hash of each of its pieces of PIECE_BYTES, if there is more than one."""

    @property
    def piece_hashes(self) -> tuple[bytes, ...]:
        """The hashes of its pieces, also if it is one piece; none if it is empty."""
        return self.pieces or ((self.hash,) if self.size else ())

    def piece_size(self, number: int) -> int:
        """Return the bytes of its piece with that number, from 0."""
        return min(PIECE_BYTES, self.size - number * PIECE_BYTES)


def is_file_path(path: str) -> bool:
    """Return whether a file of a release can have a path."""
    fits = len(path.encode(errors="replace")) <= MAX_PATH_BYTES and path != PROOF_FILE
    return fits and all(is_part(part) for part in path.split("/"))


def piece_count(size: int) -> int:
    """Return how many pieces a file of `size` bytes has."""
    return -(-size // PIECE_BYTES)


def piece_hash(data: bytes | bytearray | memoryview) -> bytes:
    """Return the hash of a piece."""
    return blake3(data).digest()


class FileHasher:
    """Makes a ReleaseFile of a file's bytes, which come in parts of any length."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._size = 0
        self._whole = blake3()
        self._piece = blake3()
        self._pieces: list[bytes] = []

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._whole.update(data)
        view = memoryview(data)
        while len(view):
            part = view[: PIECE_BYTES - self._size % PIECE_BYTES]
            self._piece.update(part)
            self._size += len(part)
            view = view[len(part) :]
            if self._size % PIECE_BYTES == 0:
                self._end_piece()

    def _end_piece(self) -> None:
        self._pieces.append(self._piece.digest())
        self._piece = blake3()

    def done(self) -> ReleaseFile:
        """Return the file; nothing can be fed any more."""
        if self._size % PIECE_BYTES:
            self._end_piece()
        pieces = tuple(self._pieces) if len(self._pieces) > 1 else ()
        return ReleaseFile(self._path, self._size, self._whole.digest(), pieces)


def in_order(files: Iterable[ReleaseFile]) -> tuple[ReleaseFile, ...]:
    """Return files in the order in which documents list them, and digests take them: folder by folder."""
    return tuple(sorted(files, key=lambda file: file.path.split("/")))


def digest(files: Iterable[ReleaseFile]) -> str:
    """Return the digest of a package with these files, which are in order: 64 hexadecimal digits."""
    total = blake3()
    for file in files:
        name = os.fsencode(file.path)
        total.update(b"%d %d " % (len(name), file.size) + name + file.hash)
    return total.hexdigest()
