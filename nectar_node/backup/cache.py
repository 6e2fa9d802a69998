"""What a node remembers of a remote: nothing that it could not learn again from there, or from its own files."""

from __future__ import annotations

from dataclasses import dataclass, field

from nectar_node.backup.format.streams import ChunkStream
from nectar_node.backup.source import Stamp


@dataclass(slots=True)
class Cache:
    """The memory of the last run."""

    indexes: dict[str, bytes] = field(default_factory=dict)
    """Index objects of the remote, decrypted: they never change."""
    files: dict[bytes, tuple[Stamp, ChunkStream | bytes]] = field(default_factory=dict)
    """What was in each file."""
    packs: frozenset[str] = frozenset()
    """The packs in which that lies: if one of them is gone, all files are read again."""
