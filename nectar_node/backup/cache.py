"""What a node remembers of a remote: nothing that it could not learn again from there, or from its own files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from nectar_node.backup.format.streams import ChunkStream
from nectar_node.backup.source import Stamp

FileRow = tuple[Stamp, ChunkStream | bytes]
"""What was in a file, and when."""


class KnownFiles(Protocol):
    """What was in each file. A dict is one, and so is a file that is read from its beginning to its end."""

    def get(self, path: bytes, /) -> FileRow | None:
        """Return what was in a file; the paths that are asked for come in the order of `source.order`."""


_UNWRITTEN = 300 * 1_000_000_000
"""Nanoseconds in which an operating system has written what a program has not synced: Linux does so after 30 s, unless
its disk is far behind.
"""


@dataclass(slots=True)
class Cache:
    """The memory of the last run."""

    indexes: dict[str, bytes] = field(default_factory=dict)
    """Index objects of the remote, decrypted: they never change."""
    files: KnownFiles = field(default_factory=dict[bytes, FileRow])
    """What was in each file."""
    packs: frozenset[str] = frozenset()
    """The packs in which that lies: if one of them is gone, all files are read again."""
    boot: str = ""
    """The boot of the machine in which it was made."""
    made: int = 0
    """When, in nanoseconds since 1970."""

    def written_until(self, boot: str) -> int | None:
        """Return until when (nanoseconds since 1970) what had changed is relied on in this boot of the machine; None:
        all is.

        If the power was cut since, a file may have gone back to an older content that was on the disk, and have the
        stamp of a newer one that was not.
        """
        return None if boot == self.boot else self.made - _UNWRITTEN
