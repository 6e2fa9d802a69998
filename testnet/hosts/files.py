"""Files between here and a host, as one compressed stream that neither side trusts.

Each file is a line of JSON, {"name", "size"}, and so many bytes; {"count"} is behind the last one, so that a stream
that breaks off is noticed. There are no links, devices, owners or modes in it that the other side could choose.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from msgspec import Meta, Struct

from nectar_node.base.decoding import decode_untrusted
from nectar_node.base.errors import NodeError

MAX_BYTES = 8 << 30
"""The most that may be sent, and that it may come to when it is unpacked."""
MAX_FILES = 100_000
MAX_NAME_BYTES = 1024
"""The longest name of a file, with its folders: a journal's is some 60."""
MAX_DEPTH = 16
"""The most folders around a file."""
_MAX_LINE_BYTES = 8 * MAX_NAME_BYTES
"""A character may be escaped."""
_PIECE_BYTES = 1 << 18


class BadCollection(NodeError):
    """What the other side has sent is not a collection of files, or it is not all there."""


class _Header(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=MAX_NAME_BYTES)] = ""
    size: Annotated[int, Meta(ge=0, le=MAX_BYTES)] = 0
    count: Annotated[int, Meta(ge=0, le=MAX_FILES)] | None = None


def write_files(folder: Path, paths: Iterable[Path], out: BinaryIO) -> None:
    """Write files below `folder` to `out`; raises OSError. One that goes away meanwhile is left out."""
    count = 0
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=3, mtime=0) as stream:
        for path in paths:
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


def _write_line(stream: gzip.GzipFile, value: dict[str, object]) -> None:
    stream.write(json.dumps(value).encode() + b"\n")


def unpack_untrusted(archive: BinaryIO, target: Path) -> tuple[int, NodeError | None]:
    """Unpack what the other side has sent below `target`. Return how many files are whole, and what is wrong with the
    rest; None: nothing is."""
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


def _header_untrusted(stream: gzip.GzipFile) -> _Header:
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


def _write(stream: gzip.GzipFile, path: Path, size: int) -> None:
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
