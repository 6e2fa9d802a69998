"""Logs, traces, journals and recordings of the nodes of a host, as a tar: written there, and unpacked here.

Keys, stores and what processes have written stay where they are.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nectar_node.base.errors import NodeError
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import LINKS_FOLDER

MAX_BYTES = 8 << 30
"""The most that one host may send."""
MAX_FILES = 100_000
_OF_A_NODE = ("log*", "trace*", "recording*")
"""What is taken of a node's folder."""
_JOURNALS = "sim"
"""The folder of journals in that of a testnet."""


def write_files(folder: Path, out: BinaryIO) -> None:
    """Write a tar of the testnet in `folder` to `out`; raises OSError. Files that go away meanwhile are left out."""
    with tarfile.open(fileobj=out, mode="w|gz") as tar:
        for path in _files(folder):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                member = tar.gettarinfo(arcname=str(path.relative_to(folder)), fileobj=file)
                tar.addfile(member, _Bounded(file, member.size))  # a log may grow meanwhile


class _Bounded:
    """The first bytes of a file; behind its end, zeros, since a log that is put aside is shorter."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, count: int = -1) -> bytes:
        count = self._left if count < 0 else min(count, self._left)
        data = self._file.read(count)
        self._left -= count
        return data + bytes(count - len(data))


def _files(folder: Path) -> Iterator[Path]:
    network = LocalNetwork(folder)
    places: list[tuple[Path, tuple[str, ...]]] = [(network.place(name).path, _OF_A_NODE) for name in network.names()]
    places.append((folder / LINKS_FOLDER, ("log*",)))
    places.append((folder, (_JOURNALS,)))
    for place, patterns in places:
        for pattern in patterns:
            for path in sorted(place.glob(pattern)):
                yield from sorted(each for each in (path, *path.rglob("*")) if each.is_file() and not each.is_symlink())


def unpack_untrusted(archive: Path, target: Path) -> int:
    """Unpack what a host has sent below `target`, and return how many files; raises NodeError."""
    count, size = 0, 0
    try:
        with tarfile.open(archive, mode="r|gz") as tar:
            for member in tar:
                count, size = count + 1, size + member.size
                if count > MAX_FILES or size > MAX_BYTES:
                    raise NodeError(
                        f"A host sends more than {MAX_FILES} files or {MAX_BYTES} bytes: its disk may be odd."
                    )
                if not member.isfile():
                    raise NodeError(f"A host sends {member.name!r}, which is not a file.")
                tar.extract(member, target, set_attrs=False, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise NodeError(f"What a host has sent cannot be unpacked: {error}.") from error
    return count
