"""A peer speaks nonsense."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random
from typing import Literal

from testnet.model.quantity import Probability
from testnet.model.rule import PASS, Alter, Event, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where

_LENGTH = struct.Struct(">H")
"""The length before each piece of the wire protocol (docs/wire.md)."""
_LONGEST = 65535


@dataclass(frozen=True, slots=True)
class Nonsense(LinkFault):
    """A peer speaks nonsense: random bytes, whole pieces of the wire protocol with wrong content, or huge lengths.

    It sends as many bytes as it would have sent. With a `probability` below 1 some of them are as they should be.
    """

    speaks: Literal["bytes", "pieces", "lengths"] = "bytes"
    probability: Probability = 1.0
    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        if chance.random() >= self.probability:
            return PASS
        return Alter(self._speak(len(event.data), chance))

    def words(self) -> str:
        often = "" if self.probability == 1.0 else f" with probability {self.probability:g}"
        return f"nonsense ({self.speaks}){often} {self.where.links()}"

    def _speak(self, size: int, chance: Random) -> bytes:
        if self.speaks == "pieces":
            return _pieces(size, chance)
        noise = chance.randbytes(size)
        return (_LENGTH.pack(_LONGEST) + noise)[:size] if self.speaks == "lengths" else noise


def _pieces(size: int, chance: Random) -> bytes:
    """Return pieces that end with the last of `size` bytes; a single byte is half of a length."""
    said = bytearray()
    while size - len(said) >= _LENGTH.size:
        length = chance.randint(0, min(_LONGEST, size - len(said) - _LENGTH.size))
        if size - len(said) - _LENGTH.size - length == 1:  # the last byte would be in no piece
            length = min(length + 1, _LONGEST)
        said += _LENGTH.pack(length) + chance.randbytes(length)
    return bytes(said) + bytes(size - len(said))
