"""Packs: many chunks in one object. A directory at its beginning says what they are, should no index do so.

A pack is: the length of its directory, encrypted (20 bytes); the directory, encrypted; the chunks, each compressed if
that makes it shorter, and encrypted; padding. The nonce of each part is the pack's random name and the part's place, so
no two parts of all packs share one. To whoever has no key, a pack is random bytes of a padded size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import zstandard
from blake3 import blake3

from nectar_node.backup.format import boxes, names
from nectar_node.backup.format.limits import MAX_CHUNK_BYTES, MAX_PACK_BYTES, MAX_PACK_CHUNKS
from nectar_node.backup.format.padding import padded

CHUNK_ID_BYTES = 32
LENGTH_PART_BYTES = 4 + boxes.TAG_BYTES
_AT_LENGTH, _AT_DIRECTORY, _AT_PADDING = ((1 << 64) - each for each in (1, 2, 3))
"""In the nonces, in place of a place in the pack."""
_RECORD = struct.Struct("<32sII")
RECORD_BYTES = _RECORD.size
MAX_DIRECTORY_BYTES = RECORD_BYTES * MAX_PACK_CHUNKS
_LEVEL = 3


class ChunkPlace(NamedTuple):
    """Where a chunk lies in a pack."""

    chunk: bytes
    """The chunk's id."""
    start: int
    """Its first byte in the pack."""
    stored: int
    """Bytes in the pack."""
    size: int
    """Bytes of the chunk itself."""


def chunk_id(key: bytes, data: bytes | memoryview) -> bytes:
    """Return the id of a chunk: its keyed hash."""
    return blake3(data, key=key).digest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A pack, ready to be put."""

    name: str
    data: bytes
    directory: bytes
    """Its directory in the clear, for an index."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Work: compress and encrypt chunks as the pack `name`; the result is a `Sealed`."""

    name: str
    key: bytes
    chunks: Sequence[tuple[bytes, bytes]]
    """Ids and contents."""

    def perform(self) -> Sealed:
        """Return the pack."""
        salt = names.random_part(self.name)
        compressor = zstandard.ZstdCompressor(level=_LEVEL)
        packed = [_compressed(compressor, data) for _, data in self.chunks]
        directory = b"".join(
            _RECORD.pack(chunk, len(short) + boxes.TAG_BYTES, len(data))
            for (chunk, data), short in zip(self.chunks, packed, strict=True)
        )
        parts = [
            boxes.encrypt(len(directory).to_bytes(4, "little"), nonce(salt, _AT_LENGTH), self.key),
            boxes.encrypt(directory, nonce(salt, _AT_DIRECTORY), self.key),
        ]
        place = sum(map(len, parts))
        for number, short in enumerate(packed):
            parts.append(boxes.encrypt(short, nonce(salt, place), self.key))
            packed[number] = b""  # a pack is held once, and not three times
            place += len(parts[-1])
        parts.append(_padding(self.name, self.key, padded(place) - place))
        return Sealed(self.name, b"".join(parts), directory)


@dataclass(frozen=True, slots=True)
class Unseal:
    """Work: decrypt chunks that were read from the pack `name`; the result is a list of their contents.

    None stands for each chunk that is not what it should be.
    """

    name: str
    key: bytes
    id_key: bytes
    data: bytes
    """What was read of the pack."""
    start: int
    """Its first byte in the pack."""
    places: Sequence[ChunkPlace]

    def perform(self) -> list[bytes | None]:
        """Return the chunks."""
        salt = names.random_part(self.name)
        decompressor = zstandard.ZstdDecompressor()
        return [self._chunk_untrusted(salt, place, decompressor) for place in self.places]

    def _chunk_untrusted(
        self, salt: bytes, place: ChunkPlace, decompressor: zstandard.ZstdDecompressor
    ) -> bytes | None:
        begin = place.start - self.start
        stored = self.data[begin : begin + place.stored]
        short = boxes.decrypt(stored, None, nonce(salt, place.start), self.key) if len(stored) == place.stored else None
        chunk = None if short is None else _decompressed_untrusted(decompressor, short, place.size)
        return chunk if chunk is not None and chunk_id(self.id_key, chunk) == place.chunk else None


@dataclass(frozen=True, slots=True)
class CheckPack:
    """Work: check every byte of a pack; the result is half a sentence about what is wrong, or None."""

    name: str
    key: bytes
    id_key: bytes
    directory: bytes
    """The directory that an index gives it."""
    size: int
    """Bytes that an index gives it."""
    data: bytes

    def perform(self) -> str | None:
        """Return what is wrong."""
        if len(self.data) != self.size:
            return f"has {len(self.data)} bytes in place of {self.size}"
        end = LENGTH_PART_BYTES + len(self.directory) + boxes.TAG_BYTES
        if directory_length_untrusted(self.name, self.data[:LENGTH_PART_BYTES], self.key) != len(self.directory):
            return "is altered at byte 0"
        if directory_untrusted(self.name, self.data[LENGTH_PART_BYTES:end], self.key) != self.directory:
            return f"is altered at byte {LENGTH_PART_BYTES}"
        found = tuple(places(self.directory, self.size) or ())
        chunks = Unseal(self.name, self.key, self.id_key, self.data, 0, found).perform()
        for place, chunk in zip(found, chunks, strict=True):
            if chunk is None:
                return f"is altered at byte {place.start}"
            end = place.start + place.stored
        if self.data[end:] != _padding(self.name, self.key, self.size - end):
            return f"is altered in its padding, from byte {end} on"
        return None


def _padding(name: str, key: bytes, size: int) -> bytes:
    return boxes.encrypt(bytes(size), nonce(names.random_part(name), _AT_PADDING), key)[:size]


def directory_length_untrusted(name: str, data: bytes, key: bytes) -> int | None:
    """Return the length of a pack's directory, in the clear; None: these 20 bytes do not begin a pack of this key."""
    plain = boxes.decrypt(data, None, nonce(names.random_part(name), _AT_LENGTH), key)
    size = -1 if plain is None else int.from_bytes(plain, "little")
    return size if 0 <= size <= MAX_DIRECTORY_BYTES else None


def directory_untrusted(name: str, data: bytes, key: bytes) -> bytes | None:
    """Return a pack's directory; None: it was altered."""
    return boxes.decrypt(data, None, nonce(names.random_part(name), _AT_DIRECTORY), key)


def places(directory: bytes, size: int) -> Iterator[ChunkPlace] | None:
    """Return where the chunks lie in a pack of `size` bytes; None: the directory cannot be that of such a pack."""
    if len(directory) % RECORD_BYTES or len(directory) > MAX_DIRECTORY_BYTES or size > MAX_PACK_BYTES:
        return None
    found = []
    start = LENGTH_PART_BYTES + len(directory) + boxes.TAG_BYTES
    for chunk, stored, raw in _RECORD.iter_unpack(directory):
        if raw > MAX_CHUNK_BYTES or not boxes.TAG_BYTES <= stored <= raw + boxes.TAG_BYTES:
            return None
        found.append(ChunkPlace(chunk, start, stored, raw))
        start += stored
    return iter(found) if start <= size else None


def nonce(salt: bytes, place: int) -> bytes:
    """Return the nonce of what lies at `place` in the pack with the random name `salt`."""
    return salt + place.to_bytes(8, "little")


def _compressed(compressor: zstandard.ZstdCompressor, data: bytes) -> bytes:
    short = compressor.compress(data)
    return short if len(short) < len(data) else data


def _decompressed_untrusted(decompressor: zstandard.ZstdDecompressor, data: bytes, size: int) -> bytes | None:
    """Return a chunk of `size` bytes; what has that length already is not compressed."""
    if len(data) == size:
        return data
    try:
        if zstandard.frame_content_size(data) != size:  # else it is this that would be allocated
            return None
        return decompressor.decompress(data)
    except zstandard.ZstdError:
        return None
