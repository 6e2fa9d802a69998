"""The names of objects. Those of heads hide their numbers from whoever has no key; the others are random."""

from __future__ import annotations

import re

from blake3 import blake3

from nectar_node.backup.format.keys import Entropy, Ring
from nectar_node.backup.format.limits import MAX_NUMBER

RINGS = "keys/"
HEADS = "heads/"
INDEXES = "index/"
PACKS = "packs/"
PREFIXES = (RINGS, HEADS, INDEXES, PACKS)
"""What the names of all objects begin with."""

_RANDOM = re.compile(r"[0-9a-f]{32}")
_HEAD = re.compile(r"[0-9a-f]{48}")
_TAG_BYTES = 16
_NUMBER_BYTES = 8
_NAME_BYTES = 16


def new_name(prefix: str, entropy: Entropy) -> str:
    """Return a new random name."""
    return prefix + entropy(_NAME_BYTES).hex()


def is_name(name: str) -> bool:
    """Whether an object of a backup may have this name."""
    prefix, slash, rest = name.partition("/")
    if prefix + slash == HEADS:
        return _HEAD.fullmatch(rest) is not None
    return prefix + slash in PREFIXES and _RANDOM.fullmatch(rest) is not None


def random_part(name: str) -> bytes:
    """Return the 16 random bytes in the name of an object that is not a head."""
    return bytes.fromhex(name.partition("/")[2])


def head_name(ring: Ring, number: int) -> str:
    """Return the name of a head: a keyed hash of its number, and the number hidden by a keyed hash of that."""
    plain = number.to_bytes(_NUMBER_BYTES, "little")
    tag = blake3(plain, key=ring.head_tags).digest(_TAG_BYTES)
    return f"{HEADS}{(tag + _hidden(ring, tag, plain)).hex()}"


def head_number(ring: Ring, name: str) -> int | None:
    """Return the number of the head of that name; None: it is not the name of a head of this backup."""
    if not is_name(name) or not name.startswith(HEADS):
        return None
    data = bytes.fromhex(name.removeprefix(HEADS))
    number = int.from_bytes(_hidden(ring, data[:_TAG_BYTES], data[_TAG_BYTES:]), "little")
    return number if 0 < number <= MAX_NUMBER and head_name(ring, number) == name else None


def _hidden(ring: Ring, tag: bytes, number: bytes) -> bytes:
    mask = blake3(tag, key=ring.head_numbers).digest(_NUMBER_BYTES)
    return bytes(one ^ other for one, other in zip(number, mask, strict=True))
