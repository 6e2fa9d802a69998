"""The cache of a remote as a file. One that is missing, damaged or of another version costs time, and nothing else."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cbor2
from blake3 import blake3

from nectar_node.backup.cache import Cache
from nectar_node.backup.format.streams import ChunkStream
from nectar_node.backup.source import Stamp
from nectar_node.base import own_files
from nectar_node.base.errors import NotOurs

_MAGIC = "nectar-backup cache 1"
_HASH_BYTES = 32


def load_cache(path: Path) -> Cache:
    """Return the cache in a file of ours; an empty one if it cannot be used."""
    try:
        data = own_files.read(path)
        if blake3(memoryview(data)[_HASH_BYTES:]).digest() != data[:_HASH_BYTES]:
            return Cache()
        source = BytesIO(data)
        source.seek(_HASH_BYTES)
        magic, indexes, packs, count = cbor2.load(source)
        if magic != _MAGIC:
            return Cache()
        files = {}
        for _ in range(count):
            name, stamp, content = cbor2.load(source)
            files[name] = (Stamp(*stamp), _content(content))
        return Cache(dict(indexes), files, frozenset(packs))
    except (OSError, NotOurs, ValueError, TypeError, cbor2.CBORDecodeError):
        return Cache()


def save_cache(path: Path, cache: Cache) -> None:
    """Write the cache. Raises NotOurs and OSError."""
    head = [_MAGIC, list(map(list, cache.indexes.items())), sorted(cache.packs), len(cache.files)]
    data = bytearray(_HASH_BYTES)
    data += cbor2.dumps(head)
    for name, (stamp, content) in cache.files.items():  # a row at a time: there may be millions
        data += cbor2.dumps([name, list(stamp), content.value() if isinstance(content, ChunkStream) else content])
    data[:_HASH_BYTES] = blake3(memoryview(data)[_HASH_BYTES:]).digest()
    own_files.make_folder(path.parent)
    own_files.write(path, bytes(data))


def _content(value: Any) -> ChunkStream | bytes:
    return ChunkStream(*value) if isinstance(value, list) else bytes(value)
