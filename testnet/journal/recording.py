"""What happens in a simulation: the lines of its journal, worded when somebody reads them, and one number of it all.

Most runs pass, and nobody reads their journals. So a step of a message is kept as it is until then, and a run whose
journal nobody will read keeps nothing. Each run has a fingerprint, of the times, kinds, sizes and bytes of its events:
one that is played again with a journal shows by it that it is the same run.
"""

from __future__ import annotations

from typing import TypeAlias
from zlib import crc32

from blake3 import blake3

from kernel.router.trace import TraceRecord
from testnet.journal.entries import message
from testnet.journal.ground import Ground
from testnet.journal.journal import line_of

_Step: TypeAlias = tuple[float, str, TraceRecord]
"""The time of a step, the host of its node, and the step."""


class Recording:
    """The events of a run so far."""

    def __init__(self, kept: bool) -> None:
        """Not `kept`: there will be no lines."""
        self.events = 0
        """The number of events."""
        self.kept = kept
        self.ground: Ground | None = None
        """What notes the ground that the run reaches, if anybody wants to know."""
        self._number = 0
        self._lines: list[str] = []
        self._words: dict[tuple[str, str], int] = {}
        """Checksums of the words that stand in many events."""
        self._steps: dict[int, _Step] = {}
        """Steps that nobody has read yet, by the places of their lines."""

    @property
    def fingerprint(self) -> str:
        """One number of all events, in hex; the same in all processes of one interpreter."""
        return f"{self._number & 0xFFFFFFFFFFFFFFFF:016x}"

    @property
    def lines(self) -> list[str]:
        """The line of each event; none if they are not kept."""
        for place, (at, host, record) in self._steps.items():
            self._lines[place] = f"{at:.9f} {host} {message(record)}"  # its JSON is always printable
        self._steps.clear()
        return self._lines

    def add(self, at: float, node: str, what: str) -> None:
        """Add an event in words."""
        self.events += 1
        # Numbers have the same hash in every process; strings do not.
        self._number = hash((self._number, at, crc32(f"{node} {what}".encode(errors="backslashreplace"))))
        if self.kept:
            self._lines.append(line_of(at, node, what))
        if self.ground is not None:
            self.ground.line(at, node, what)

    def add_bytes(self, at: float, node: str, data: bytes, target: str) -> None:
        """Add bytes that a node sends."""
        self.events += 1
        self._number = hash((self._number, at, len(data), crc32(data, self._checksum(node, target))))
        if self.kept:
            self._lines.append(line_of(at, node, f"sends {len(data)} {blake3(data).hexdigest(8)} to {target}"))
        if self.ground is not None:
            self.ground.sends(at, node, len(data))

    def _checksum(self, node: str, what: str) -> int:
        found = self._words.get((node, what))
        if found is None:
            found = self._words[node, what] = crc32(f"{node} {what}".encode())
        return found

    def add_step(self, at: float, node: str, record: TraceRecord) -> None:
        """Add a step of a message."""
        self.events += 1
        _, step, id, _, root, _, _, _, _, _, body, blob, _, beginning = record
        words = crc32(beginning, self._checksum(node, step._value_))
        self._number = hash((self._number, at, words, id, root, body, -1 if blob is None else blob))
        if self.kept:
            self._steps[len(self._lines)] = at, node, record
            self._lines.append("")
        if self.ground is not None:
            self.ground.step(at, node, record)
