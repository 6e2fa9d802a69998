"""What was found in a node's folder at one moment, on the disk and not in memory: there may be millions of files."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nectar_node.backup.format.listing import EntryKind
from nectar_node.backup.source import SourceEntry, Stamp

_ROW = struct.Struct("<BHqqqQHH")
"""Kind, mode, modified, changed, size, inode, and the lengths of path and target."""
_READ_BYTES = 1 << 18


class ScannedEntries:
    """Entries of a source, which can be read again and again, by several threads."""

    def __init__(self, found: Iterable[SourceEntry], folder: Path) -> None:
        """Take all of `found`; they are kept in a file without a name in `folder`. Raises OSError."""
        self.bytes = 0
        """The sizes of all files."""
        with tempfile.TemporaryFile(dir=folder, buffering=_READ_BYTES) as file:
            for entry in found:
                changed, inode = (entry.stamp.changed, entry.stamp.inode) if entry.stamp is not None else (0, 0)
                lengths = len(entry.path), len(entry.target)
                row = _ROW.pack(entry.kind, entry.mode, entry.modified, changed, entry.size, inode, *lengths)
                file.write(row + entry.path + entry.target)
                self.bytes += entry.size
            file.flush()
            self._descriptor = os.dup(file.fileno())

    def __iter__(self) -> Iterator[SourceEntry]:
        """Yield them in their order."""
        rest, place = b"", 0
        while data := os.pread(self._descriptor, _READ_BYTES, place):
            place += len(data)
            rest += data
            start = 0
            while start + _ROW.size <= len(rest):
                kind, mode, modified, changed, size, inode, length, more = _ROW.unpack_from(rest, start)
                begin = start + _ROW.size
                end = begin + length + more
                if end > len(rest):
                    break
                stamp = Stamp(size, modified, changed, inode) if inode else None
                path, target = rest[begin : begin + length], rest[begin + length : end]
                yield SourceEntry(path, EntryKind(kind), mode, modified, size, target, stamp)
                start = end
            rest = rest[start:]

    def close(self) -> None:
        """Forget them."""
        os.close(self._descriptor)
