"""What a guest writes to its standard streams, as lines of the log."""

from __future__ import annotations

from collections.abc import Iterator

from kernel.contract import limits
from kernel.contract.guest import Print


class OutputLines:
    """The streams of one guest, by their verbosity: whole lines become prints, and an overlong one several."""

    __slots__ = ("_rests",)

    def __init__(self) -> None:
        self._rests: dict[int, bytes] = {}
        """What has no end yet."""

    def take(self, verbosity: int, data: bytes) -> Iterator[Print]:
        """Take what was written to a stream."""
        *lines, rest = (self._rests.get(verbosity, b"") + data).split(b"\n")
        if len(rest) >= limits.MAX_PRINT_BYTES:
            lines.append(rest)
            rest = b""
        self._rests[verbosity] = rest
        for line in lines:
            yield from _prints(verbosity, line)

    def end(self) -> Iterator[Print]:
        """Take the end of the guest for the end of its last lines."""
        for verbosity, rest in self._rests.items():
            if rest:
                yield from _prints(verbosity, rest)


def _prints(verbosity: int, line: bytes) -> Iterator[Print]:
    for start in range(0, len(line) or 1, limits.MAX_PRINT_BYTES):
        part = line[start : start + limits.MAX_PRINT_BYTES]
        yield Print(verbosity, part.decode(errors="replace"))
