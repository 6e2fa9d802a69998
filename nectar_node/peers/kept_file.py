"""Keeps on disk what survives a reboot: who holds which capability (G21), and what the user has decided.

One file, written whole after a change, at most once in `PAUSE_SECONDS`: a burst of changes is one write. A crash loses
what changed since: what was granted or revoked within that time may be as it was before.
"""

from __future__ import annotations

from typing import Protocol

from nectar_node.storage.operations import DiskError, Job, Location, Outcome, Replace

PAUSE_SECONDS = 1.0


class Kept(Protocol):
    """A changing value that survives a reboot."""

    @property
    def version(self) -> int:
        """A number that counts up when `encode` returns something else."""

    def encode(self) -> bytes:
        """Return what is to be in the file."""


class KeptFile:
    """One file that follows a changing value."""

    def __init__(self, value: Kept, location: Location, what: str = "capabilities") -> None:
        """`location` is the file, and `what` names its content for people."""
        self._value = value
        self._location = location
        self._what = what
        self._written = value.version
        self._writing = False
        self._earliest = 0.0

    def next_deadline(self) -> float | None:
        """Return when `on_timer` has something to write, or None."""
        return None if self._writing or self._written == self._value.version else self._earliest

    def on_timer(self, now: float) -> Job | None:
        """Return the write that is due, or None; the job's owner is this object."""
        due = self.next_deadline()
        if due is None or due > now:
            return None
        self._writing = True
        self._written = self._value.version
        self._earliest = now + PAUSE_SECONDS
        return Job(Replace(self._location, self._value.encode()), self._what, self)

    @property
    def kept(self) -> bool:
        """Whether the file holds everything."""
        return not self._writing and self._written == self._value.version

    def hurry(self) -> None:
        """Write without the pause, since the node goes down."""
        self._earliest = 0.0

    def done(self, outcome: Outcome) -> str | None:
        """Learn the outcome of the write; return a sentence for the log if it failed: it is tried again."""
        self._writing = False
        if not isinstance(outcome, DiskError):
            return None
        self._written = -1
        return f"the {self._what} cannot be kept: {outcome.text}"
