"""The backups of a node as a scenario sees them: what it asks for, and what comes of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

RemoteTrouble: TypeAlias = Literal[
    "down",
    "flaky",
    "slow",
    "full",
    "append_only",
    "lists_stale",
    "tears",
    "loses",
    "alters",
    "rolls_back",
    "mixes_up",
]
"""What can be wrong with a remote. The first six end with the fault; the others damage what is stored, for good."""
DAMAGING: frozenset[RemoteTrouble] = frozenset(("tears", "loses", "alters", "rolls_back", "mixes_up"))
UNSEEN: frozenset[RemoteTrouble] = frozenset(("alters", "mixes_up"))
"""Damage within objects, which only who reads all of them can see: what a run finds missing it stores again."""


class SafeCopy(NamedTuple):
    """What a node believes of a remote: its newest complete copy."""

    number: int
    time: int
    """When the snapshot was taken, in milliseconds since 1970 by the node's clock."""


class Truth(NamedTuple):
    """What a copy must hold: what was on the node's disk at the instant of its snapshot."""

    at: float
    """When that was, in seconds since the network began."""
    files: Mapping[bytes, bytes]
    """All files by their paths in the copy."""


class BackupTask(Protocol):
    """Something that a node's user has begun."""

    undisturbed: bool
    """Whether the node and the remote were well from its beginning to its end."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""

    @property
    def failure(self) -> str | None:
        """The sentence that says why it came to nothing; None: it has not ended, or well."""


class BackupRun(BackupTask, Protocol):
    """A run: a copy of one snapshot to one remote. Others of the same snapshot run beside it."""

    remote: str
    is_due_a_refusal: bool
    """Whether the remote lacked the newest copy that the node knew of when it began: then it must not go on there."""


class Restoring(BackupTask, Protocol):
    """A restore onto an empty disk."""

    remote: str

    @property
    def number(self) -> int:
        """The number of the copy that was restored."""

    @property
    def files(self) -> Mapping[bytes, bytes]:
        """All files that were restored."""


class Verifying(BackupTask, Protocol):
    """A look at everything that a remote has."""

    @property
    def damages(self) -> tuple[str, ...]:
        """The sentences about what is damaged."""


class LabBackups(Protocol):
    """The backups of one node, as its user has them. What is begun takes its time while the scenario waits."""

    remotes: tuple[str, ...]
    """The remotes that were added."""
    lost: bool
    """Whether the node's disk is lost, and nothing has been restored yet."""

    @property
    def runs(self) -> Sequence[BackupRun]:
        """All runs that were ever begun, by the user and by the node itself."""

    def add(self, plans: Mapping[str, int | None]) -> None:
        """Add remotes, each with the seconds between two copies that the node makes by itself, or None: it makes none.

        With the first ones the user writes down the recovery phrase. One named `node://NAME` is that node, which has
        accepted it.
        """

    def add_again(self, remote: str) -> None:
        """Remove a remote and add it again, so that runs go on from what it has, whatever it had."""

    def accept(self, owner: str, quota: int) -> None:
        """Agree that this node keeps so many bytes of another one's backup."""

    @property
    def busy(self) -> bool:
        """Whether something is under way that keeps runs, pruning and new keys from beginning."""

    def run(self) -> tuple[BackupRun, ...]:
        """Begin to copy one snapshot to all remotes."""

    def prune(self, remote: str, keep: int) -> BackupTask:
        """Begin to remove all but the newest copies from a remote."""

    def rotate(self) -> BackupTask:
        """Begin to make a new phrase and new keys."""

    def verify(self, remote: str) -> Verifying:
        """Begin to look at everything in a remote."""

    def restore(self, remote: str, least: int = 0) -> Restoring:
        """Begin to restore the newest copy of a remote onto an empty disk, with the phrase alone.

        One of a lower number than `least` is refused.
        """

    def lose_disk(self) -> None:
        """Cut the node's power, and lose its disk for good; it does not start until `bring_back`."""

    def bring_back(self, restored: Restoring) -> None:
        """Start the node on the disk that was restored."""

    def safe(self) -> Mapping[str, SafeCopy]:
        """Return what the node says is safe, by remote."""

    def truth(self, remote: str, number: int) -> Truth | None:
        """Return what the copy of that number must hold; None: none was ever written there."""

    def kept_promises(self, remote: str, since: float = 0.0) -> bool:
        """Return whether the remote has damaged nothing that it had taken, since that time; what it has damaged
        unseen (`UNSEEN`) counts whenever it was."""

    def was_stale(self, remote: str) -> bool:
        """Return whether the remote has ever listed what it had before in place of what it has."""

    def stored_twice(self, remote: str) -> Collection[str]:
        """Return the chunks that were stored there again although the remote had them, as far as that is a fault of
        the node's."""
