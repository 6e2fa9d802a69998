"""Zip archives that somebody else made: read, checked whole, and unpacked piece by piece.

The standard library's zipfile is not used: it builds an object for each entry of a central directory before anybody can
count them, and raises half a dozen kinds of exception. What can harm is refused: names that lead out of the folder,
links, encryption, more entries or bytes than the bounds, contents that are not what the directory says. The format:
PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end); not its 64-bit extension,
which nothing within the bounds needs.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kernel.contract.message import Buffer
from nectar_node.storage.names import why_refused
from nectar_node.storage.operations import MAX_DEPTH, is_part

MAX_ENTRIES = 10_000
"""Files and folders in one archive."""
MAX_UNPACKED_BYTES = 512 << 20
"""Bytes of all unpacked files of one archive together."""
MAX_NAME_BYTES = 1024
"""Bytes of an entry's path."""

_END = struct.Struct("<4s4H2LH")
_DIRECTORY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_SIGNATURE, _DIRECTORY_SIGNATURE, _LOCAL_SIGNATURE = b"PK\5\6", b"PK\1\2", b"PK\3\4"
_MAX_COMMENT = 0xFFFF
_ENCRYPTED, _UTF8 = 0x0001, 0x0800
_STORED, _DEFLATED = 0, 8
_PIECE = 1 << 20


class BadArchive(Exception):
    """An archive cannot be unpacked, or not safely; the message is the rest of "the archive …"."""


class Entry(NamedTuple):
    """One file or folder of an archive."""

    parts: tuple[str, ...]
    """Names below the folder that it is unpacked into, each a valid one (`is_part`)."""
    is_folder: bool
    method: int
    offset: int
    """Offset of its local header."""
    packed: int
    """Bytes in the archive."""
    length: int
    """Bytes unpacked, as the directory says."""
    checksum: int
    """CRC-32, as the directory says."""


def entries_untrusted(data: Buffer) -> list[Entry]:
    """Return the entries of an archive, whose contents are not checked yet; raises BadArchive."""
    view = memoryview(data)
    entries = _read_directory_untrusted(view)
    if sum(entry.length for entry in entries) > MAX_UNPACKED_BYTES:
        raise BadArchive(f"unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
    return entries


def verify_untrusted(data: Buffer, entries: list[Entry]) -> Iterator[None]:
    """Check that all entries can be unpacked, in steps; raises BadArchive.

    So nothing is written of an archive that turns out to be damaged at its end.
    """
    view = memoryview(data)
    for entry in entries:
        for _ in unpack_untrusted(view, entry):
            yield


def unpack_untrusted(data: Buffer, entry: Entry) -> Iterator[Buffer]:
    """Yield the content of a file, in pieces; raises BadArchive if it is not what the directory says."""
    packed = _packed_untrusted(memoryview(data), entry)
    checksum = length = 0
    pieces = _slices(packed) if entry.method == _STORED else _inflate_untrusted(packed, entry)
    for piece in pieces:
        length += len(piece)
        if length > entry.length:
            break
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if length != entry.length or checksum != entry.checksum:
        raise BadArchive(f"is damaged: {'/'.join(entry.parts)[:100]!r} is not what its directory says")


def _read_directory_untrusted(view: memoryview) -> list[Entry]:
    count, size, start = _find_end_untrusted(view)
    if count > MAX_ENTRIES:
        raise BadArchive(f"has more than {MAX_ENTRIES} entries")
    entries, used, position, end = list[Entry](), list[tuple[int, int]](), start, start + size
    for _ in range(count):
        if position + _DIRECTORY.size > end:
            raise BadArchive("is damaged: its directory is cut off")
        fields = _DIRECTORY.unpack_from(view, position)
        after = position + _DIRECTORY.size + sum(fields[10:13])
        if fields[0] != _DIRECTORY_SIGNATURE or after > end:
            raise BadArchive("is damaged: its directory is cut off")
        name = bytes(view[position + _DIRECTORY.size :][: fields[10]])
        entry = _entry_untrusted(fields, name)
        used.append((entry.offset, entry.offset + _LOCAL.size + entry.packed))
        if entry.parts:
            entries.append(entry)
        position = after
    _check_overlaps(used, start)
    return entries


def _check_overlaps(used: list[tuple[int, int]], end: int) -> None:
    """Raise BadArchive if a byte belongs to two entries, or to one and the directory: with those, a few kilobytes
    become gigabytes.
    """
    before = 0
    for start, after in sorted(used):
        if start < before or after > end:
            raise BadArchive("has entries that overlap")
        before = after


def _find_end_untrusted(view: memoryview) -> tuple[int, int, int]:
    """Return the number of entries, and size and offset of the directory."""
    tail = bytes(view[-(_END.size + _MAX_COMMENT) :])
    last = len(tail) - _END.size
    position = tail.rfind(_END_SIGNATURE, 0, last + len(_END_SIGNATURE)) if last >= 0 else -1
    if position < 0:
        raise BadArchive("is not a zip archive, or is cut off")
    _, disk, directory_disk, here, count, size, start, _ = _END.unpack_from(tail, position)
    if disk or directory_disk or here != count or start == 0xFFFFFFFF:
        raise BadArchive("is in several parts or in the 64-bit format, which this node does not read")
    if start + size > len(view) - len(tail) + position:
        raise BadArchive("is damaged: its directory is cut off")
    return count, size, start


def _entry_untrusted(fields: tuple[int, ...], name: bytes) -> Entry:
    flags, method, checksum, packed, length = fields[3], fields[4], *fields[7:10]
    if len(name) > MAX_NAME_BYTES:
        raise BadArchive(f"has an entry whose name is longer than {MAX_NAME_BYTES} bytes")
    text = _decode_untrusted(name, flags)
    parts = tuple(part for part in text.removesuffix("/").split("/") if part != ".")
    is_folder = text.endswith("/")
    if parts == ("",):
        parts = ("..",)  # "/" and the empty name: refused below
    if "\\" in text or not all(is_part(part) for part in parts):
        raise BadArchive(f"has an entry with the name {text[:100]!r}, which leads out of its folder or is not a name")
    why = next((why for why in map(why_refused, parts) if why is not None), None)
    if why is not None:
        raise BadArchive(f"has an entry, {text[:100]!r}, with a name that {why}")
    if len(parts) > MAX_DEPTH:
        raise BadArchive(f"has an entry in more than {MAX_DEPTH} folders, {text[:100]!r}")
    if flags & _ENCRYPTED:
        raise BadArchive(f"has an encrypted entry, {text[:100]!r}")
    if stat.S_ISLNK(fields[15] >> 16):
        raise BadArchive(f"has a link in it, {text[:100]!r}")
    if method not in (_STORED, _DEFLATED):
        raise BadArchive(f"packs {text[:100]!r} with a method that this node does not know ({method})")
    return Entry(parts, is_folder, method, fields[16], packed, length, checksum)


def _decode_untrusted(name: bytes, flags: int) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise BadArchive("has an entry whose name is not text") from None
        return name.decode("cp437")  # which knows every byte


def _packed_untrusted(view: memoryview, entry: Entry) -> memoryview:
    if entry.offset + _LOCAL.size > len(view):
        raise BadArchive("is damaged: an entry lies beyond its end")
    fields = _LOCAL.unpack_from(view, entry.offset)
    start = entry.offset + _LOCAL.size + fields[9] + fields[10]
    if fields[0] != _LOCAL_SIGNATURE or start + entry.packed > len(view):
        raise BadArchive("is damaged: an entry lies beyond its end")
    return view[start : start + entry.packed]


def _slices(data: memoryview) -> Iterator[Buffer]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _inflate_untrusted(packed: memoryview, entry: Entry) -> Iterator[Buffer]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest: Buffer = packed
    try:
        while not inflater.eof:
            piece = inflater.decompress(rest, _PIECE)
            if not piece and not inflater.unconsumed_tail:
                return  # cut off
            rest = inflater.unconsumed_tail
            yield piece
    except zlib.error as error:
        raise BadArchive(f"is damaged: {'/'.join(entry.parts)[:100]!r} cannot be unpacked") from error
