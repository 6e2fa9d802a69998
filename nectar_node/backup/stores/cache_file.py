"""The cache of a remote as a file. One that is missing, damaged or of another version costs time, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cbor2
from blake3 import blake3

from nectar_node.backup.cache import Cache
from nectar_node.backup.format.listing import Content
from nectar_node.backup.format.streams import Stream
from nectar_node.backup.source import Stamp
from nectar_node.base import own_files
from nectar_node.base.errors import NotOurs

_MAGIC = "nectar-backup cache 1"
_HASH_BYTES = 32


def load_cache(path: Path) -> Cache:
    """Return the cache in a file of ours; an empty one if it cannot be used."""
    try:
        data = own_files.read(path)
        if blake3(data[_HASH_BYTES:]).digest() != data[:_HASH_BYTES]:
            return Cache()
        magic, indexes, files, packs = cbor2.loads(data[_HASH_BYTES:])
        if magic != _MAGIC:
            return Cache()
        return Cache(
            dict(indexes),
            {path: (Stamp(*stamp), _content(content)) for path, stamp, content in files},
            frozenset(packs),
        )
    except (OSError, NotOurs, ValueError, TypeError, cbor2.CBORDecodeError):
        return Cache()


def save_cache(path: Path, cache: Cache) -> None:
    """Write the cache. Raises NotOurs and OSError."""
    files = [
        [name, list(stamp), content.value() if isinstance(content, Stream) else content]
        for name, (stamp, content) in cache.files.items()
    ]
    data = cbor2.dumps([_MAGIC, list(map(list, cache.indexes.items())), files, sorted(cache.packs)])
    own_files.make_folder(path.parent)
    own_files.write(path, blake3(data).digest() + data)


def _content(value: Any) -> Content:
    return Stream(*value) if isinstance(value, list) else value
