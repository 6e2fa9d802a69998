"""The cache of a remote as two files. One that is missing, damaged or of another version costs time, and nothing else.

What was in the node's files is a file of its own, which is read and written along with the source, row by row: there
may be millions of rows, and none of them is held.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import cbor2
from blake3 import blake3

from nectar_node.backup.cache import Cache, FileRow
from nectar_node.backup.format.streams import ChunkStream
from nectar_node.backup.source import Stamp, order
from nectar_node.base import own_files
from nectar_node.base.errors import NotOurs

_MAGIC = "nectar-backup cache 3"
_HASH_BYTES = 32
_LENGTH_BYTES = 4
_READ_BYTES = 1 << 18
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def open_cache(path: Path) -> Iterator[Cache]:
    """Return the cache in files of ours, for one pass over its files; an empty one if it cannot be used."""
    try:
        data = own_files.read(path)
        if blake3(memoryview(data)[_HASH_BYTES:]).digest() != data[:_HASH_BYTES]:
            raise ValueError(path)
        magic, *head = cbor2.loads(data[_HASH_BYTES:])
        if magic != _MAGIC:
            raise ValueError(path)
        indexes, packs, boot, made, digest = head
        cache = Cache(dict(indexes), {}, frozenset(packs), boot, made)
        file = os.fdopen(own_files.open_file(_rows_of(path), os.O_RDONLY), "rb", _READ_BYTES)
    except (OSError, NotOurs, ValueError, TypeError, cbor2.CBORDecodeError):
        yield Cache()
        return
    with file:
        if _hash_of(file) == digest:
            file.seek(0)
            cache.files = _StoredFiles(file)
        yield cache


class CacheWriter:
    """Writes a new cache, which takes the old one's place when it is complete."""

    def __init__(self, path: Path) -> None:
        """`path` is where the cache is to be. Raises NotOurs and OSError."""
        self._path = path
        self._staging = path.with_name(f".{path.name}.files.new")
        own_files.make_folder(path.parent)
        descriptor = own_files.open_file(self._staging, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._file = os.fdopen(descriptor, "w+b", _READ_BYTES)
        self._hash = blake3()

    def keep(self, path: bytes, row: FileRow) -> None:
        """Add what was in a file; they come in their order."""
        stamp, content = row
        data = cbor2.dumps([path, list(stamp), content.value() if isinstance(content, ChunkStream) else content])
        data = len(data).to_bytes(_LENGTH_BYTES, "little") + data
        self._hash.update(data)
        self._file.write(data)

    def complete(self, cache: Cache) -> None:
        """Let it take the old one's place, with what `cache` has beside the files. Raises NotOurs and OSError."""
        self._file.close()
        indexes = [*map(list, cache.indexes.items())]
        head = [_MAGIC, indexes, sorted(cache.packs), cache.boot, cache.made, self._hash.digest()]
        payload = cbor2.dumps(head)
        self._staging.rename(_rows_of(self._path))
        own_files.write(self._path, blake3(payload).digest() + payload)

    def close(self) -> None:
        """Leave the old one as it is, unless the new one is complete."""
        self._file.close()
        self._staging.unlink(missing_ok=True)


def boot_of_machine() -> str:
    """Return what is another text after each boot of this machine; an empty one where the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def forget_cache(path: Path) -> None:
    """Remove a cache."""
    for each in (path, _rows_of(path)):
        with suppress(OSError):
            each.unlink(missing_ok=True)


class _StoredFiles:
    """The rows of a file, which is read once, from its beginning to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._next: tuple[bytes, bytes, FileRow] | None = self._read()

    def get(self, path: bytes, /) -> FileRow | None:
        """Return what was in a file; paths come in their order."""
        wanted = order(path)
        while self._next is not None and self._next[0] < wanted:
            self._next = self._read()
        return self._next[2] if self._next is not None and self._next[1] == path else None

    def _read(self) -> tuple[bytes, bytes, FileRow] | None:
        length = int.from_bytes(self._file.read(_LENGTH_BYTES), "little")
        if not length:
            return None
        path, stamp, content = cbor2.loads(self._file.read(length))
        return order(path), path, (Stamp(*stamp), _content(content))


def _rows_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.files")


def _hash_of(file: BinaryIO) -> bytes:
    hasher = blake3()
    while data := file.read(_READ_BYTES):
        hasher.update(data)
    return hasher.digest()


def _content(value: Any) -> ChunkStream | bytes:
    return ChunkStream(*value) if isinstance(value, list) else bytes(value)
