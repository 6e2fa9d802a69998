"""A folder as one file: first a list of all that is in it, then the contents of its files, one after the other.

That file need not exist: a byte of it is found from the list alone, so whoever has the folder can read any piece of it,
and a transfer that was broken off goes on at the byte where it was. The same folder gives the same bytes. Names, times
and permissions are in the list; owners, setuid bits and what makes two names one file (hard links) are not.

    "NECFOLD1", u32 bytes of the list, u32 entries, the list, the contents
    entry: u8 kind, u16 permissions, i64 nanoseconds since 1970, u64 bytes, u16 bytes of its path, u16 bytes of where it
           leads, the path, where it leads

Numbers are little-endian. The folder itself comes first, with an empty path, and each folder before what is in it.
"""

from __future__ import annotations

import enum
import errno
import struct
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from blake3 import blake3

MAX_ENTRIES = 100_000
"""Files, folders and links in one folder: as many as a package may have in its drives. Their list takes some 50 MiB."""
MAX_LIST_BYTES = 32 << 20
"""Bytes of the list."""
MAX_PATH_BYTES = 4096
"""Bytes of an entry's path, and of where a link leads, as Linux has it."""
MAX_DEPTH = 90
"""Folders in each other: with the drive, the inbox and what lies above, the 100 of the vfs."""
MAX_LENGTH = 1 << 62
"""Bytes of a packed folder."""
OWNER_OF_FILE, OWNER_OF_FOLDER = 0o600, 0o700
"""Permissions that the owner has in any case: the node itself must be able to read and remove what it holds."""

_MAGIC = b"NECFOLD1"
_FRAME = struct.Struct("<8sII")
_ENTRY = struct.Struct("<BHqQHH")
_LEAST_ENTRY = _ENTRY.size + 1
_TIMES = 1 << 63
_STEP = 256
"""Entries that are decoded in one step."""


class BadPackedFolder(OSError):
    """A folder cannot be packed or unpacked; `strerror` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)


class PackedKind(enum.IntEnum):
    """What an entry is."""

    FOLDER = 1
    FILE = 2
    LINK = 3


class PackedEntry(NamedTuple):
    """One file, folder or link."""

    path: str
    """From the folder on, with slashes; empty: the folder itself."""
    kind: PackedKind
    mode: int = 0
    """Permissions, of nine bits; 0 for a link."""
    modified: int = 0
    """Nanoseconds since 1970."""
    size: int = 0
    """Bytes of a file."""
    target: str = ""
    """Where a link leads."""


class PackedPiece(NamedTuple):
    """Some bytes of a packed folder."""

    entry: PackedEntry | None
    """Of whose content they are; None: of the list, with its frame."""
    offset: int
    length: int


NameRefused = Callable[[str], str | None]
"""Returns why no file may have a name: the rest of "its name …"; None: one may."""


class PackedFolder:
    """What is in a folder, and where each of its bytes is in the packed one."""

    def __init__(self, entries: tuple[PackedEntry, ...], head: bytes) -> None:
        """`head` is the list with its frame."""
        self.entries = entries
        self.head = head
        self.files = [entry for entry in entries if entry.kind is PackedKind.FILE]
        """In the order of their contents."""
        self._ends = list(accumulate((entry.size for entry in self.files), initial=len(head)))
        self.length = self._ends[-1]
        """Bytes of the packed folder."""
        self.version = int.from_bytes(blake3(head).digest(8), "little", signed=True)
        """Differs from that of any other list: of folders in which anything has another name, time or size."""

    @property
    def content_bytes(self) -> int:
        """Return the bytes of all files together."""
        return self.length - len(self.head)

    def pieces(self, offset: int, length: int) -> Iterator[PackedPiece]:
        """Yield what so many bytes from `offset` on consist of; fewer at the end."""
        end = min(offset + length, self.length)
        if offset < min(end, len(self.head)):
            piece = PackedPiece(None, offset, min(end, len(self.head)) - offset)
            offset += piece.length
            yield piece
        number = bisect_right(self._ends, offset) - 1
        while offset < end:
            start, after = self._ends[number], self._ends[number + 1]
            if after > offset:
                piece = PackedPiece(self.files[number], offset - start, min(end, after) - offset)
                offset += piece.length
                yield piece
            number += 1

    def whole_files(self, length: int) -> int:
        """Return how many files are whole in the first `length` bytes."""
        return max(0, bisect_right(self._ends, length) - 1)


def pack(entries: Iterable[PackedEntry]) -> PackedFolder:
    """Return a folder with these entries, the folder itself first; raises BadPackedFolder if there are too many."""
    kept, encoded, length = list[PackedEntry](), list[bytes](), 0
    for entry in entries:
        path, target = entry.path.encode(), entry.target.encode()
        if len(path) > MAX_PATH_BYTES or len(target) > MAX_PATH_BYTES:
            raise BadPackedFolder(f"a path in it, {shown(entry.path)}, has more than {MAX_PATH_BYTES} bytes")
        owner = {PackedKind.FILE: OWNER_OF_FILE, PackedKind.FOLDER: OWNER_OF_FOLDER, PackedKind.LINK: 0}[entry.kind]
        mode = 0 if entry.kind is PackedKind.LINK else entry.mode & 0o777 | owner
        size = entry.size if entry.kind is PackedKind.FILE else 0
        modified = kept_time(entry.modified)
        kept.append(entry._replace(mode=mode, modified=modified, size=size))
        encoded += (_ENTRY.pack(entry.kind, mode, modified, size, len(path), len(target)), path, target)
        length += _ENTRY.size + len(path) + len(target)
        if len(kept) > MAX_ENTRIES or length > MAX_LIST_BYTES:
            raise BadPackedFolder(too_many())
    data = b"".join(encoded)
    return PackedFolder(tuple(kept), _FRAME.pack(_MAGIC, len(data), len(kept)) + data)


def kept_time(modified: int) -> int:
    """Return the nearest time that an entry can have: file systems have times outside of the years 1677 to 2262."""
    return max(-_TIMES, min(_TIMES - 1, modified))


def too_many() -> str:
    """Return why a folder with more entries is not sent."""
    return (
        f"it has more than {MAX_ENTRIES:,} files and folders, or their names take more than "
        f"{MAX_LIST_BYTES >> 20} MiB: send its parts, or a packed file"
    )


def head_bytes_untrusted(frame: bytes) -> int:
    """Return the bytes of a packed folder's list with its frame, from the first 16 of them; raises BadPackedFolder."""
    if len(frame) < _FRAME.size:
        raise BadPackedFolder("it is no packed folder")
    magic, length, entries = _FRAME.unpack_from(frame)
    if magic != _MAGIC:
        raise BadPackedFolder("it is no packed folder")
    if length > MAX_LIST_BYTES or entries > MAX_ENTRIES or entries * (_LEAST_ENTRY - 1) > length:
        raise BadPackedFolder(too_many())
    return int(_FRAME.size + length)


FRAME_BYTES = _FRAME.size


def decode_untrusted(head: bytes, name_refused: NameRefused) -> PackedFolder:
    """Return what is in a packed folder, from its list, in one go; see `decoding_untrusted`."""
    work = decoding_untrusted(head, name_refused)
    while True:
        try:
            next(work)
        except StopIteration as end:
            packed: PackedFolder = end.value
            return packed


def decoding_untrusted(head: bytes, name_refused: NameRefused) -> Generator[None, None, PackedFolder]:
    """Return what is in a packed folder, from its list, in steps; raises BadPackedFolder.

    Whoever makes these entries one after the other in an empty folder, and follows no link, stays in it. Whoever
    follows the links stays in it, too.
    """
    if head_bytes_untrusted(head) != len(head):
        raise BadPackedFolder("its list is cut off")
    entries, position, folders, seen = list[PackedEntry](), _FRAME.size, set[str](), set[str]()
    for number in range(_FRAME.unpack_from(head)[2]):
        if not number % _STEP:
            yield
        if position + _ENTRY.size > len(head):
            raise BadPackedFolder("its list is cut off")
        kind, mode, modified, size, path_bytes, target_bytes = _ENTRY.unpack_from(head, position)
        position += _ENTRY.size
        after = position + path_bytes + target_bytes
        if after > len(head) or kind not in _KINDS or path_bytes > MAX_PATH_BYTES or target_bytes > MAX_PATH_BYTES:
            raise BadPackedFolder("its list is damaged")
        path = _text_untrusted(head[position : position + path_bytes])
        target = _text_untrusted(head[position + path_bytes : after])
        position = after
        entry = PackedEntry(path, PackedKind(kind), mode, modified, size, target)
        _check_untrusted(entry, folders, seen, name_refused)
        entries.append(entry._replace(mode=_kept(entry)))
    if position != len(head) or not entries:
        raise BadPackedFolder("its list is damaged")
    packed = PackedFolder(tuple(entries), head)
    if packed.length > MAX_LENGTH:
        raise BadPackedFolder("its files are larger than any disk")
    return packed


_KINDS = frozenset(PackedKind)


def _text_untrusted(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadPackedFolder(f"a name in it is not UTF-8: {data[:80]!r}") from None


def _kept(entry: PackedEntry) -> int:
    if entry.kind is PackedKind.LINK:
        return 0
    return entry.mode & 0o777 | (OWNER_OF_FILE if entry.kind is PackedKind.FILE else OWNER_OF_FOLDER)


def _check_untrusted(entry: PackedEntry, folders: set[str], seen: set[str], name_refused: NameRefused) -> None:
    """Check one more entry; `folders` are those that have been checked, `seen` all."""
    path = entry.path
    if not seen:
        if path or entry.kind is not PackedKind.FOLDER:
            raise BadPackedFolder("its list does not begin with the folder itself")
    else:
        above, slash, name = path.rpartition("/")
        if (why := name_refused(name)) is not None:
            raise BadPackedFolder(f"a file in it, {shown(path)}, cannot be kept: its name {why}")
        if above not in folders or (slash and not above):  # "/x" would be "x", and counted as one folder deeper
            raise BadPackedFolder(f"a file in it, {shown(path)}, lies in what is no folder of it")
        if path in seen:
            raise BadPackedFolder(f"it has two files that are called {shown(path)}")
        if path.count("/") >= MAX_DEPTH:
            raise BadPackedFolder(f"a file in it, {shown(path)}, lies in more than {MAX_DEPTH} folders")
    if entry.size and entry.kind is not PackedKind.FILE:
        raise BadPackedFolder("its list is damaged")
    if bool(entry.target) is not (entry.kind is PackedKind.LINK):
        raise BadPackedFolder("its list is damaged")
    if entry.kind is PackedKind.LINK and leads_out(path, entry.target):
        raise BadPackedFolder(f"a link in it, {shown(path)}, leads out of it")
    seen.add(path)
    if entry.kind is PackedKind.FOLDER:
        folders.add(path)


def leads_out(path: str, target: str) -> bool:
    """Whether a link at `path` of a folder may lead out of it.

    Only names may follow the `..` at its beginning. Since each link is in real folders, those lead up to one of the
    folder's own, and names from there lead down, or over another link of which the same holds.
    """
    if not target or target.startswith("/") or "\0" in target:
        return True
    room, names = path.count("/"), 0
    for part in target.split("/"):
        if part == "..":
            room -= 1
            if names or room < 0:
                return True
        elif part not in ("", "."):
            names += 1
    return False


def shown(path: str) -> str:
    """Return a path for people: short, and with nothing in it that a terminal obeys."""
    return repr(path if len(path) <= 100 else f"{path[:40]}…{path[-59:]}")


class LeftOutOfFolder:
    """What of a folder cannot be sent and is left out."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._first = ""

    def add(self, path: str, what: tuple[str, str]) -> None:
        """Leave out one; `what` says what it is, and what several of them are."""
        self._first = self._first or path
        self._counts[what] = self._counts.get(what, 0) + 1

    def sentence(self) -> str:
        """Return what is left out; empty: nothing."""
        if not self._counts:
            return ""
        listed = " and ".join(f"{count} {what[count > 1]}" for what, count in self._counts.items())
        first = "the first of them " if sum(self._counts.values()) > 1 else ""
        return f"left out: {listed}, {first}{shown(self._first)}"


LINKS_OUT = ("link that leads out of the folder", "links that lead out of the folder")
SPECIAL = ("device, pipe or socket", "devices, pipes and sockets")
