"""Logs, traces, journals and recordings of the nodes of a host, as one compressed stream: written there, and
unpacked here.

Each file is a line of JSON, {"name", "size"}, and so many bytes; {"count"} is behind the last one, so that a stream
that breaks off is noticed. There are no links, devices, owners or modes in it that a host could choose.
Keys, stores and what processes have written stay where they are.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, BinaryIO

from msgspec import Meta, Struct

from nectar_node.base.decoding import decode_untrusted
from nectar_node.base.errors import NodeError
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import LINKS_FOLDER

MAX_BYTES = 8 << 30
"""The most that one host may send, and the most that this may come to here."""
MAX_FILES = 100_000
MAX_NAME_BYTES = 1024
"""The longest name of a file, with its folders: a journal's is some 60."""
MAX_DEPTH = 16
"""The most folders around a file."""
_MAX_LINE_BYTES = 8 * MAX_NAME_BYTES
"""A character may be escaped."""
_PIECE_BYTES = 1 << 18
_OF_A_NODE = ("log*", "trace*", "recording*")
"""What is taken of a node's folder."""
_JOURNALS = "sim"
"""The folder of journals in that of a testnet."""


class BadCollection(NodeError):
    """What a host has sent is not a collection of files, or it is not all there."""


class _Header(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=MAX_NAME_BYTES)] = ""
    size: Annotated[int, Meta(ge=0, le=MAX_BYTES)] = 0
    count: Annotated[int, Meta(ge=0, le=MAX_FILES)] | None = None


def write_files(folder: Path, out: BinaryIO) -> None:
    """Write the files of the testnet in `folder` to `out`; raises OSError. A file that goes away is left out."""
    count = 0
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=3, mtime=0) as stream:
        for path in _files(folder):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                left = os.fstat(file.fileno()).st_size
                _write_line(stream, {"name": str(path.relative_to(folder)), "size": left})
                count += 1
                while left:
                    # A log may grow meanwhile. One that is put aside is shorter, and has zeros behind its end.
                    data = file.read(min(_PIECE_BYTES, left)) or bytes(min(_PIECE_BYTES, left))
                    stream.write(data)
                    left -= len(data)
        _write_line(stream, {"count": count})


def _write_line(stream: IO[bytes], value: dict[str, object]) -> None:
    stream.write(json.dumps(value).encode() + b"\n")


def _files(folder: Path) -> Iterator[Path]:
    network = LocalNetwork(folder)
    places: list[tuple[Path, tuple[str, ...]]] = [(network.place(name).path, _OF_A_NODE) for name in network.names()]
    places.append((folder / LINKS_FOLDER, ("log*",)))
    places.append((folder, (_JOURNALS,)))
    for place, patterns in places:
        for pattern in patterns:
            for path in sorted(place.glob(pattern)):
                yield from sorted(each for each in (path, *path.rglob("*")) if each.is_file() and not each.is_symlink())


def unpack_untrusted(archive: BinaryIO, target: Path) -> tuple[int, NodeError | None]:
    """Unpack what a host has sent below `target`. Return how many files are whole, and what is wrong with the rest;
    None: nothing is."""
    count = 0
    try:
        for _ in _unpacked(archive, target):
            count += 1
    except BadCollection as error:
        return count, error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        return count, BadCollection(f"it breaks off, or is damaged ({error})")
    except (OSError, ValueError) as error:
        return count, BadCollection(f"a file of it cannot be written ({error})")
    return count, None


def _unpacked(archive: BinaryIO, target: Path) -> Iterator[Path]:
    total = 0
    with gzip.GzipFile(fileobj=archive, mode="rb") as stream:
        for count in range(MAX_FILES + 1):
            header = _header_untrusted(stream)
            if header.count is not None:
                if header.count != count:
                    raise BadCollection(f"it has {count} files and speaks of {header.count}")
                return
            if count == MAX_FILES:
                break
            total += header.size
            if total > MAX_BYTES:
                raise BadCollection(f"it has more than {MAX_BYTES} bytes")
            path = target.joinpath(*_parts_untrusted(header.name))
            _write(stream, path, header.size)
            yield path
    raise BadCollection(f"it has more than {MAX_FILES} files")


def _header_untrusted(stream: IO[bytes]) -> _Header:
    line = stream.readline(_MAX_LINE_BYTES)
    if not line:
        raise BadCollection("it breaks off")
    try:
        return decode_untrusted(line, _Header)
    except ValueError as error:
        raise BadCollection(f"a line of it is not valid ({error}): is another release there?") from error


def _parts_untrusted(name: str) -> list[str]:
    """Return the folders and the file in a name; raises BadCollection for one that leads elsewhere."""
    parts = name.split("/")
    if (
        not name.isprintable()
        or len(name.encode()) > MAX_NAME_BYTES
        or len(parts) > MAX_DEPTH
        or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
    ):
        raise BadCollection(f"it has a file with the name {name[:100]!a}")
    return parts


def _write(stream: IO[bytes], path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        left = size
        while left:
            data = stream.read(min(_PIECE_BYTES, left))
            if not data:
                raise BadCollection(f"it breaks off within {path.name}")
            file.write(data)
            left -= len(data)
