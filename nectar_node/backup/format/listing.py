"""Entries: what a snapshot says of each file, folder and link. A listing is a stream of them, folders first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import cbor2

from nectar_node.backup.format.limits import INLINE_BYTES, MAX_ENTRY_BYTES, MAX_NUMBER, MAX_PATH_BYTES
from nectar_node.backup.format.streams import ChunkStream, stream_untrusted
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

_LENGTH_BYTES = 4
_PERMISSIONS = 0o7777
_ITEMS = 16


class EntryKind(IntEnum):
    """What an entry is."""

    FOLDER = 0
    FILE = 1
    LINK = 2


Content = ChunkStream | bytes | None
"""A file's bytes, if they are few, or the stream of them; a link's target; None for a folder."""


@dataclass(frozen=True, slots=True)
class ListingEntry:
    """One entry of a snapshot."""

    path: bytes
    """Relative, its parts separated by slashes; no part is empty, `.` or `..`."""
    kind: EntryKind
    mode: int
    """The permission bits."""
    modified: int
    """Nanoseconds since 1970."""
    content: Content


class BadListing(Exception):
    """The bytes are not a listing."""


def encode_entry(entry: ListingEntry) -> bytes:
    """Return an entry as a listing has it: its length in 4 bytes, and its CBOR."""
    content = entry.content.value() if isinstance(entry.content, ChunkStream) else entry.content
    data = cbor2.dumps([entry.path, int(entry.kind), entry.mode, entry.modified, content])
    return len(data).to_bytes(_LENGTH_BYTES, "little") + data


class EntryReader:
    """Takes a listing in pieces of any length. Pure."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[ListingEntry]:
        """Yield the entries that are whole now; raises BadListing."""
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= _LENGTH_BYTES:
                begin = start + _LENGTH_BYTES
                end = begin + int.from_bytes(self._buffer[start:begin], "little")
                if end - begin > MAX_ENTRY_BYTES:
                    raise BadListing("an entry is too long")
                if end > len(self._buffer):
                    break
                start = end
                yield decode_entry_untrusted(bytes(self._buffer[begin:end]))
        finally:
            del self._buffer[:start]

    def close(self) -> None:
        """Say that there is no more; raises BadListing if an entry is cut short."""
        if self._buffer:
            raise BadListing("an entry is cut short")


def decode_entry_untrusted(data: bytes) -> ListingEntry:
    """Return the entry in its CBOR; raises BadListing."""
    try:
        fields = loads_untrusted(data, items=_ITEMS, depth=3)
    except BadCbor as error:
        raise BadListing("an entry is not CBOR") from error
    match fields:
        case [bytes(path), int(kind), int(mode), int(modified), content] if (
            _is_path(path) and 0 <= mode <= _PERMISSIONS and abs(modified) <= MAX_NUMBER
        ):
            match kind, content:
                case EntryKind.FOLDER, None:
                    return ListingEntry(path, EntryKind.FOLDER, mode, modified, None)
                case EntryKind.FILE, bytes(inline) if len(inline) <= INLINE_BYTES:
                    return ListingEntry(path, EntryKind.FILE, mode, modified, inline)
                case EntryKind.FILE, list() if (stream := stream_untrusted(content)) is not None:
                    return ListingEntry(path, EntryKind.FILE, mode, modified, stream)
                case EntryKind.LINK, bytes(target) if 0 < len(target) <= MAX_PATH_BYTES and b"\0" not in target:
                    return ListingEntry(path, EntryKind.LINK, mode, modified, target)
    raise BadListing("an entry is of a form that is not known")


def _is_path(path: bytes) -> bool:
    parts = path.split(b"/")
    return len(path) <= MAX_PATH_BYTES and b"\0" not in path and not any(part in (b"", b".", b"..") for part in parts)
