"""The keys of a backup: the phrase opens the key ring, and the ring holds all the others.

So a new phrase, or new keys for what is written from now on, cost one small object: a ring with a new epoch. What has
been written stays as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import cbor2
from blake3 import blake3
from nacl.bindings import crypto_sign_seed_keypair

from nectar_node.backup.format import boxes
from nectar_node.backup.format.errors import DamagedBackup, WrongPhrase
from nectar_node.backup.format.limits import MAX_EPOCHS, MAX_NUMBER, MAX_RING_BYTES
from nectar_node.base.errors import BadInput
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

if TYPE_CHECKING:
    from mnemonic import Mnemonic

KEY_BYTES = 32
ID_BYTES = 16
"""Bytes of what is random and no secret: names of objects, the ids of backups and writers."""
PHRASE_BYTES = 16
"""Bytes of chance in a phrase: twelve words."""
_MAGIC = "nectar-backup ring 1"
_CONTEXT = "nectar-backup 1 "

Entropy = Callable[[int], bytes]
"""Returns so many random bytes."""


def derive(purpose: str, key: bytes) -> bytes:
    """Return the key for one purpose, 32 bytes."""
    return blake3(key, derive_key_context=_CONTEXT + purpose).digest()


def new_phrase(entropy: Entropy) -> str:
    """Return a new recovery phrase: twelve English words (BIP-39)."""
    return _english().to_mnemonic(entropy(PHRASE_BYTES))


def phrase_key(phrase: str) -> bytes:
    """Return the key that opens the ring; raises WrongPhrase if a word or the order of the words cannot be right."""
    words = unicodedata.normalize("NFKD", phrase).lower().split()
    known = _english()
    unknown = [word for word in words if word not in known.wordlist]
    if unknown:
        raise WrongPhrase(f"{unknown[0]!r} is not a word of a recovery phrase: see how it is written down.")
    text = " ".join(words)
    if not known.check(text):
        raise WrongPhrase(
            f"These {len(words)} words are not a recovery phrase: one is missing, wrong, or in another place."
        )
    return derive("phrase", known.to_seed(text))


def _english() -> Mnemonic:
    from mnemonic import Mnemonic  # nodes do without

    return Mnemonic("english")


@dataclass(frozen=True)
class Epoch:
    """The keys of what was written from one number on, until the next epoch began."""

    master: bytes
    """The key from which the others are derived, 32 bytes."""
    first: int
    """The number of the first head that is written in it."""

    @cached_property
    def data(self) -> bytes:
        """The key of packs."""
        return derive("data", self.master)

    @cached_property
    def index(self) -> bytes:
        """The key of index objects."""
        return derive("index", self.master)

    @cached_property
    def head(self) -> bytes:
        """The key of heads."""
        return derive("head", self.master)

    @cached_property
    def _signing(self) -> tuple[bytes, bytes]:
        return crypto_sign_seed_keypair(derive("sign", self.master))

    @property
    def signing(self) -> bytes:
        """The secret Ed25519 key of heads, as libsodium has it: seed and public key."""
        return self._signing[1]

    @property
    def public(self) -> bytes:
        """The public Ed25519 key of heads."""
        return self._signing[0]


@dataclass(frozen=True)
class Ring:
    """All the keys of one backup."""

    number: int
    """1 for the first ring, and one more for each that replaces another."""
    backup: bytes
    """The backup's id, 16 bytes."""
    root: bytes
    """The key of what stays for the backup's life, 32 bytes: ids of chunks, names of heads, and where chunks end."""
    epochs: tuple[Epoch, ...]
    replaced: tuple[bytes, ...] = ()
    """The random parts of the names of former rings: pruning removes these, and no others."""

    @cached_property
    def chunk_ids(self) -> bytes:
        """The key of the ids of chunks."""
        return derive("chunk ids", self.root)

    @cached_property
    def head_tags(self) -> bytes:
        """The key of the first half of heads' names."""
        return derive("head tags", self.root)

    @cached_property
    def head_numbers(self) -> bytes:
        """The key of the second half of heads' names."""
        return derive("head numbers", self.root)

    @cached_property
    def cut_seed(self) -> int:
        """The seed of the places where chunks end, below 2^63."""
        return int.from_bytes(derive("cuts", self.root)[:8], "little") >> 1

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""
        return len(self.epochs) - 1

    @property
    def current(self) -> Epoch:
        """The current epoch."""
        return self.epochs[-1]

    def epoch_of(self, number: int) -> int:
        """Return in which epoch the head of that number is written."""
        return max((each for each, epoch in enumerate(self.epochs) if epoch.first <= number), default=0)

    def newest_first(self) -> Iterator[tuple[int, Epoch]]:
        """Yield all epochs with their numbers, the current one first."""
        yield from zip(range(self.epoch, -1, -1), reversed(self.epochs), strict=True)

    def seal(self, name: str, key: bytes, entropy: Entropy) -> bytes:
        """Return the ring as the object `name`, which `key` opens (`phrase_key`)."""
        return boxes.seal(name, self.encode(), key, entropy(boxes.NONCE_BYTES))

    def encode(self) -> bytes:
        """Return the ring in the clear, for a file that only its owner can read."""
        epochs = [[epoch.master, epoch.first] for epoch in self.epochs]
        return cbor2.dumps([_MAGIC, self.number, self.backup, self.root, epochs, list(self.replaced)])


def new_ring(entropy: Entropy) -> Ring:
    """Return the ring of a new backup."""
    return Ring(1, entropy(ID_BYTES), entropy(KEY_BYTES), (Epoch(entropy(KEY_BYTES), 1),))


def rotated(ring: Ring, name: str, first: int, entropy: Entropy) -> Ring:
    """Return what follows the ring in the object `name`: with a new epoch for heads from the number `first` on.

    If that is no later than where the current epoch begins, the new one begins right after: the caller gives no head a
    number before `current.first` from then on. The current epoch stays, since a run that was interrupted may have put
    packs in it, though no head. Raises BadInput after `MAX_EPOCHS` changes.
    """
    if len(ring.epochs) == MAX_EPOCHS or len(ring.replaced) == MAX_EPOCHS:
        raise BadInput(f"The keys have changed {MAX_EPOCHS} times: begin a new backup, in another place.")
    replaced = (*ring.replaced, bytes.fromhex(name.rpartition("/")[2]))
    epochs = (*ring.epochs, Epoch(entropy(KEY_BYTES), max(first, ring.current.first + 1)))
    return replace(ring, number=ring.number + 1, epochs=epochs, replaced=replaced)


def open_ring_untrusted(remote: str, name: str, data: bytes, key: bytes) -> Ring | None:
    """Return the ring in the object `name`; None: `key` does not open it. Raises DamagedBackup."""
    if len(data) > MAX_RING_BYTES:
        return None
    payload = boxes.unseal(name, data, key)
    return None if payload is None else decode_ring_untrusted(remote, name, payload)


def decode_ring_untrusted(remote: str, name: str, payload: bytes) -> Ring:
    """Return the ring in the CBOR of an opened object. Raises DamagedBackup."""
    try:
        fields = loads_untrusted(payload, items=8 + 4 * MAX_EPOCHS, depth=4)
    except BadCbor:
        fields = None
    match fields:
        case [str(magic), int(number), bytes(backup), bytes(root), list(rows), list(replaced)] if (
            magic == _MAGIC
            and 0 < number <= MAX_NUMBER
            and len(backup) == ID_BYTES
            and len(root) == KEY_BYTES
            and 0 < len(rows) <= MAX_EPOCHS
            and all(isinstance(each, bytes) and len(each) == ID_BYTES for each in replaced)
        ):
            epochs = tuple(epoch for row in rows if (epoch := _epoch(row)) is not None)
            firsts = [epoch.first for epoch in epochs]
            if len(epochs) == len(rows) and firsts[0] == 1 and firsts == sorted(set(firsts)):
                return Ring(number, backup, root, epochs, tuple(replaced))
    raise DamagedBackup(remote, name, "is a key ring of a form that this version does not know")


def _epoch(row: object) -> Epoch | None:
    match row:
        case [bytes(master), int(first)] if len(master) == KEY_BYTES and 0 < first <= MAX_NUMBER:
            return Epoch(master, first)
    return None
