"""What is backed up of a simulated node, and what is restored into: a disk at one instant, and an empty one."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nectar_node.backup.format.chunking import Reader
from nectar_node.backup.format.listing import EntryKind, ListingEntry
from nectar_node.backup.source import SourceEntry, Stamp
from nectar_node.packages.manifest import Package
from nectar_node.storage.database import STORE_FILES
from nectar_node.storage.operations import Location
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk.tree import Path

NODE = "node"
"""The folder of the node in a copy."""
_PACKAGES = "packages"
_INNER = ("vfs", "code")
"""Folders of a node that are roots of their own on a simulated disk, and so is each package's."""
_KEPT = "kept"
"""The folder with the backups of other nodes, which are no part of this one's."""
_FILE, _FOLDER = 0o600, 0o700


class DiskSnapshot:
    """All files of a node at one instant, its store among them. What changes afterwards does not change it."""

    def __init__(self, disk: SimDisk, name: str) -> None:
        """Raises OSError if the store's log cannot be taken over into its file."""
        disk.settle_store()
        self.files: dict[bytes, bytes] = {}
        """Contents by their paths in a copy."""
        self._entries: dict[bytes, SourceEntry] = {}
        for path in disk.folders:
            if _is_of(path, name):
                self._add_folders(_parts(path, name))
        for path, file in disk.files.items():
            if _is_of(path, name):
                parts = _parts(path, name)
                self._add_folders(parts[:-1])
                inner = _joined(parts)
                if file.target is not None:
                    link = SourceEntry(inner, EntryKind.LINK, _FILE, file.modified, target=os.fsencode(file.target))
                    self._entries[inner] = link
                    continue
                content = self.files[inner] = file.content()
                stamp = Stamp(len(content), file.modified, file.modified, file.inode)
                self._entries[inner] = SourceEntry(
                    inner,
                    EntryKind.FILE,
                    _FILE,
                    file.modified,
                    len(content),
                    # SQLite writes without a time, and as often as not several times at once.
                    stamp=None if path[1:] in _STORE else stamp,
                )

    def _add_folders(self, parts: tuple[str, ...]) -> None:
        for length in range(1, len(parts) + 1):
            inner = _joined(parts[:length])
            self._entries.setdefault(inner, SourceEntry(inner, EntryKind.FOLDER, _FOLDER, 0))

    def entries(self) -> Iterator[SourceEntry]:
        """Yield everything, folders before what is in them."""
        for path in sorted(self._entries):
            yield self._entries[path]

    @contextmanager
    def open(self, found: SourceEntry) -> Iterator[Reader]:
        """Open a file."""
        yield io.BytesIO(self.files[found.path])


class DiskTarget:
    """An empty disk that a node is restored onto."""

    def __init__(self, disk: SimDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self._written: dict[bytes, bytearray] = {}
        self.files: dict[bytes, bytes] = {}
        """What is restored, by paths in the copy."""

    def begin(self, entry: ListingEntry) -> None:
        """Make a folder, an empty file or a link."""
        place = self._place(entry.path)
        if entry.kind is EntryKind.LINK:
            assert isinstance(entry.content, bytes)
            self._disk.put(place, b"", entry.modified, os.fsdecode(entry.content))
        elif entry.kind is EntryKind.FILE:
            self._written[entry.path] = bytearray()
        elif place.parts:
            self._disk.put_folder(place)

    def write(self, path: bytes, start: int, data: bytes) -> None:
        """Write a piece of a file."""
        file = self._written[path]
        file += bytes(max(0, start + len(data) - len(file)))
        file[start : start + len(data)] = data

    def finish(self, entry: ListingEntry) -> None:
        """Give a file its time."""
        if entry.kind is EntryKind.FILE:
            content = self.files[entry.path] = bytes(self._written.pop(entry.path))
            self._disk.put(self._place(entry.path), content, entry.modified)

    def _place(self, path: bytes) -> Location:
        node, *parts = path.decode("utf-8", "surrogateescape").split("/")
        assert node == NODE, path
        depth = 0
        if parts[:1] == [_PACKAGES]:
            depth = 3
        elif parts and parts[0] in _INNER:
            depth = 1
        return Location("/".join((self._name, *parts[:depth])), tuple(parts[depth:]))


def packages_of(disk: SimDisk, known: Mapping[str, Package]) -> dict[str, Package]:
    """Return those of the `known` packages, by folder, of which the disk has the files."""
    roots = {path[0] for path in disk.files}
    return {folder: package for folder, package in known.items() if folder in roots}


_STORE = {(name,) for name in STORE_FILES}


def _is_of(path: Path, name: str) -> bool:
    return path[0] == name or (path[0].startswith(f"{name}/") and path[0] != f"{name}/{_KEPT}")


def _parts(path: Path, name: str) -> tuple[str, ...]:
    inner = path[0].removeprefix(name).strip("/")
    return (NODE, *(inner.split("/") if inner else ()), *path[1:])


def _joined(parts: tuple[str, ...]) -> bytes:
    return "/".join(parts).encode("utf-8", "surrogateescape")
