"""A second reader of backups, written from docs/backup-format.md alone: it shares no code with the engine.

It is meant to be read beside the page, not to be fast: it reads whole objects, and every one of them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cbor2
import nacl.bindings as sodium
import zstandard
from blake3 import blake3
from nacl.exceptions import CryptoError

NONCE, TAG, ID, CHUNK_ID = 24, 16, 16, 32


class Wrong(Exception):
    """Something is not as the page says."""


def padded(size: int) -> int:
    """What a remote learns: Padmé."""
    size = max(size, 4096)
    exponent = math.floor(math.log2(size))
    multiple: int = 2 ** (exponent - (math.floor(math.log2(exponent)) + 1))
    return -(-size // multiple) * multiple


# --- keys ---


def derive(purpose: str, key: bytes) -> bytes:
    return blake3(key, derive_key_context="nectar-backup 1 " + purpose).digest()


def keyed(key: bytes, data: bytes) -> bytes:
    return blake3(data, key=key).digest()


def phrase_key(phrase: str) -> bytes:
    words = " ".join(phrase.lower().split())
    return derive("phrase", hashlib.pbkdf2_hmac("sha512", words.encode(), b"mnemonic", 2048))


# --- objects ---


def decrypt(key: bytes, nonce: bytes, data: bytes, associated: bytes = b"") -> bytes:
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(data, associated, nonce, key)


def unbox(name: str, data: bytes, key: bytes) -> Any:
    """The payload of a box."""
    plain = decrypt(key, data[:NONCE], data[NONCE:], name.encode("ascii"))
    length = int.from_bytes(plain[:4], "little")
    if len(data) != padded(NONCE + TAG + 4 + length) or any(plain[4 + length :]):
        raise Wrong(f"{name} is not padded as it should be")
    return cbor2.loads(plain[4 : 4 + length])


@dataclass
class Snapshot:
    """A head."""

    number: int
    time: int
    node: str
    listing: list[Any]
    before: list[Any] | None
    hash: bytes
    pruned: list[list[int]]


@dataclass
class Entry:
    """What a listing says of a file, a folder or a link, with its content."""

    kind: int
    mode: int
    modified: int
    content: bytes | None


class Reader:
    """A backup, open with its phrase; `objects` has all objects by name."""

    def __init__(self, objects: Mapping[str, bytes], phrase: str) -> None:
        self.objects = objects
        rings = [ring for ring in map(self._opens(phrase_key(phrase)), self._names("keys/")) if ring is not None]
        if not rings:
            raise Wrong("the phrase opens no key ring")
        magic, _, self.backup, root, self.epochs, _ = max(rings, key=lambda ring: ring[1])
        if magic != "nectar-backup ring 1" or self.epochs[0][1] != 1:
            raise Wrong("the key ring is of another version")
        self.ids = derive("chunk ids", root)
        self.tags, self.numbers = derive("head tags", root), derive("head numbers", root)
        self.places = self._read_places()

    def _names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.objects if name.startswith(prefix))

    def _opens(self, key: bytes) -> Callable[[str], Any]:
        def opened(name: str) -> Any:
            try:
                return unbox(name, self.objects[name], key)
            except CryptoError:
                return None

        return opened

    # --- heads ---

    def head_name(self, number: int) -> str:
        plain = number.to_bytes(8, "little")
        tag = keyed(self.tags, plain)[:16]
        hidden = bytes(a ^ b for a, b in zip(plain, keyed(self.numbers, tag)[:8], strict=True))
        return "heads/" + (tag + hidden).hex()

    def _number(self, name: str) -> int | None:
        data = bytes.fromhex(name.removeprefix("heads/"))
        plain = bytes(a ^ b for a, b in zip(data[16:], keyed(self.numbers, data[:16])[:8], strict=True))
        number = int.from_bytes(plain, "little")
        return number if self.head_name(number) == name else None

    def snapshots(self) -> list[Snapshot]:
        """All that count, the newest first; the chain between them holds."""
        numbers = [number for name in self._names("heads/") if (number := self._number(name)) is not None]
        found = {number: self._head(number) for number in sorted(numbers, reverse=True)}
        if not found:
            return []
        pruned = found[max(found)].pruned

        def is_pruned(number: int) -> bool:
            return any(first <= number <= last for first, last in pruned)

        heads = [head for number, head in found.items() if not is_pruned(number)]
        for head in heads:
            if head.before is not None and not is_pruned(head.before[0]):
                former = found.get(head.before[0])
                if former is None or former.hash != head.before[1] or former.time > head.time:
                    raise Wrong(f"snapshot {head.number} does not follow {head.before[0]}")
        return heads

    def _head(self, number: int) -> Snapshot:
        name = self.head_name(number)
        master = [master for master, first in self.epochs if first <= number][-1]
        body, signature = unbox(name, self.objects[name], derive("head", master))
        public, _ = sodium.crypto_sign_seed_keypair(derive("sign", master))
        sodium.crypto_sign_open(signature + body, public)
        magic, backup, inner, before, time, _, node, listing, _, _, pruned = cbor2.loads(body)
        if (magic, backup, inner) != ("nectar-backup head 1", self.backup, number):
            raise Wrong(f"{name} is not what its name says")
        return Snapshot(number, time, node, listing, before, blake3(self.objects[name]).digest(), pruned)

    # --- packs ---

    def _read_places(self) -> dict[bytes, tuple[str, bytes, int, int, int]]:
        """For each chunk: the pack, its key, the first byte, bytes in the pack, bytes of the chunk."""
        found: dict[bytes, tuple[str, bytes, int, int, int]] = {}
        described: dict[str, tuple[bytes, bytes]] = {}
        for name in self._names("index/"):
            keys = [derive("index", master) for master, _ in self.epochs]
            index = next(value for key in keys if (value := self._opens(key)(name)) is not None)
            for pack, epoch, _, directory in index[1]:
                described["packs/" + pack.hex()] = (derive("data", self.epochs[epoch][0]), directory)
        for name in self._names("packs/"):
            key, directory = described.get(name) or self._directory(name)
            place = 20 + len(directory) + TAG
            for start in range(0, len(directory), 40):
                record = directory[start : start + 40]
                stored, size = int.from_bytes(record[32:36], "little"), int.from_bytes(record[36:], "little")
                found[record[:32]] = (name, key, place, stored, size)
                place += stored
        return found

    def _directory(self, name: str) -> tuple[bytes, bytes]:
        data, salt = self.objects[name], bytes.fromhex(name.removeprefix("packs/"))
        for master, _ in self.epochs:
            key = derive("data", master)
            try:
                length = decrypt(key, salt + (2**64 - 1).to_bytes(8, "little"), data[:20])
            except CryptoError:
                continue
            end = 20 + int.from_bytes(length, "little") + TAG
            return key, decrypt(key, salt + (2**64 - 2).to_bytes(8, "little"), data[20:end])
        raise Wrong(f"no key opens {name}")

    def chunk(self, wanted: bytes) -> bytes:
        name, key, place, stored, size = self.places[wanted]
        salt = bytes.fromhex(name.removeprefix("packs/"))
        plain = decrypt(key, salt + place.to_bytes(8, "little"), self.objects[name][place : place + stored])
        chunk = plain if len(plain) == size else zstandard.decompress(plain, size)
        if len(chunk) != size or keyed(self.ids, chunk) != wanted:
            raise Wrong(f"a chunk in {name} is another one")
        return chunk

    # --- streams and listings ---

    def stream(self, reference: list[Any]) -> bytes:
        size, level, ids = reference
        for _ in range(level + 1):
            ids = b"".join(self.chunk(ids[start : start + CHUNK_ID]) for start in range(0, len(ids), CHUNK_ID))
        if len(ids) != size:
            raise Wrong("a stream has another size")
        return bytes(ids)

    def entries(self, snapshot: Snapshot) -> dict[bytes, Entry]:
        """Everything in a snapshot."""
        listing, found, start = self.stream(snapshot.listing), {}, 0
        while start < len(listing):
            end = start + 4 + int.from_bytes(listing[start : start + 4], "little")
            path, kind, mode, modified, content = cbor2.loads(listing[start + 4 : end])
            found[path] = Entry(kind, mode, modified, self.stream(content) if isinstance(content, list) else content)
            start = end
        return found
