"""Decisions out of a string of bytes, so that a coverage-guided fuzzer can learn which ones lead somewhere new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads the bytes from the front; at their end every decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        """Whether any bytes are left."""
        return self._position < len(self._data)

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        width = max(1, ((count - 1).bit_length() + 7) // 8)
        return int.from_bytes(self.take(width), "little") % count

    def of(self, items: Sequence[T]) -> T:
        """One of these; there is at least one."""
        return items[self.below(len(items))]

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        begin = self._position
        self._position = min(len(self._data), begin + count)
        return self._data[begin : self._position]
