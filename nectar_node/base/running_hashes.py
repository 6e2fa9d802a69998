"""Hashes of files that are computed while their bytes go by, so that nobody has to read a file again to know its hash.

A running hash is of the first bytes of a file, and goes on with the bytes behind them. It knows the version that the
file had then: if the file has another one when its hash is asked for, somebody else has changed it, and the running
hash says nothing. It lasts as long as its owner, one boot of a node.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress

from blake3 import blake3

from kernel.contract.message import Buffer

MAX_RUNNING = 512
"""Running hashes that are kept, 2 KiB each: one for each transfer of a node, and for as many files it sends."""


class RunningHash:
    """The hash of the first bytes of a file."""

    __slots__ = ("_hasher", "length", "version")

    def __init__(self, version: str) -> None:
        self._hasher = blake3()
        self.length = 0
        """How many bytes."""
        self.version = version
        """The version of the file, in the words of its disk."""

    def add(self, offset: int, data: Buffer) -> None:
        """Go on with what there is in `data`, which begins at `offset` of the file, behind the bytes that are hashed;
        `offset` is no greater than their number.
        """
        with memoryview(data) as view, view[self.length - offset :] as behind:
            self._hasher.update(behind)
            self.length += len(behind)

    def digest(self) -> bytes:
        """Return the hash, 32 bytes."""
        return self._hasher.digest()


class RunningHashes:
    """The running hashes of a node's files, the latest ones. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, RunningHash] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, file: Hashable, offset: int, version: str) -> RunningHash | None:
        """Take out the one that goes on with bytes at `offset` of the file, which has this version now.

        It is a new one at offset 0 of another version; None: what is before `offset` is not hashed.
        """
        with self._lock:
            found = self._kept.get(file)
            if found is not None and found.version == version:
                return self._kept.pop(file) if offset <= found.length else None
        return None if offset else RunningHash(version)

    def put(self, file: Hashable, running: RunningHash) -> None:
        """Keep it, in place of the one that has been idle longest."""
        with self._lock:
            self._kept[file] = running
            if len(self._kept) > MAX_RUNNING:
                self._kept.popitem(last=False)

    def forget(self, file: Hashable) -> None:
        """The file changes in another way."""
        if self._kept:
            with self._lock, suppress(KeyError):
                del self._kept[file]

    def whole(self, file: Hashable, length: int, version: str) -> bytes | None:
        """Return the hash of a file that has this length and version now; None: it has to be read."""
        with self._lock:
            found = self._kept.get(file)
            whole = found is not None and (found.length, found.version) == (length, version)
            return found.digest() if found is not None and whole else None
