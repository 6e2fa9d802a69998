"""Inputs near the seeds, from one seed of chance: for where no coverage guides the search."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

_EDGES = (b"\0", b"\xff", b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x9f", b"\xf6", b"\x80", b"\xc2\x41\1", b"\x7f")
MAX_CHANGES = 6


def _flip(chance: random.Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _insert(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice((chance.choice(_EDGES), chance.randbytes(chance.randrange(1, 20))))


def _remove(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.randrange(1, 8)]


def _replace(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    piece = chance.choice((chance.choice(_EDGES), chance.randbytes(chance.randrange(1, 9))))
    data[at : at + len(piece)] = piece


def _cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _repeat(chance: random.Random, data: bytearray) -> None:
    begin = chance.randrange(len(data) + 1)
    piece = bytes(data[begin : begin + chance.randrange(1, 40)])
    data[begin:begin] = piece * chance.choice((1, 2, 50))


_CHANGES: tuple[Callable[[random.Random, bytearray], None], ...] = (_flip, _insert, _remove, _replace, _cut, _repeat)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """The same with a few changes."""
    changed = bytearray(data)
    for _ in range(chance.randrange(MAX_CHANGES + 1)):
        chance.choice(_CHANGES)(chance, changed)
    return bytes(changed)


def mutations(seeds: Sequence[bytes], *, seed: object, count: int) -> Iterator[bytes]:
    """So many of them; the same for the same `seed`. The seeds themselves come first."""
    chance = random.Random(str(seed))
    yield from seeds
    for _ in range(count):
        yield chance.randbytes(chance.randrange(200)) if chance.random() < 0.2 else mutate(chance.choice(seeds), chance)
