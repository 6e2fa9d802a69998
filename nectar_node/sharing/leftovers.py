"""What fetches have left on the disk that have not come to their end: how much it is, and what nobody has gone on with
for a week. Pure.

Beside the folder of each such release lies a file that says what it is, since when, and how many bytes it may come to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from nectar_node.releases.document import Release
from nectar_node.sharing.parts import FETCHING
from nectar_node.sharing.wire.limits import ABANDONED_SECONDS
from nectar_node.storage.operations import (
    FileType,
    ListFolder,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    ReadAt,
    RemoveFile,
    RemoveFolder,
    Replace,
)

_NOTE = ".json"
_NOTE_BYTES = 4096
_MOST = 1024
"""Leftovers that are looked at after a boot."""


class LeftoverToken(NamedTuple):
    """The token of an operation."""

    what: str
    hash: str = ""


@dataclass(slots=True)
class Leftover:
    """A release of which a part may be there."""

    bytes: int
    """Of the whole release."""
    time: float
    """When somebody fetched it last, in Unix seconds."""


class Leftovers:
    """Those of one node, by the hashes of their documents in hexadecimal digits."""

    def __init__(self, root: str, do: Callable[[Operation, str, LeftoverToken], None]) -> None:
        """`root` is the folder of the copies of packages; `do` has an operation carried out in a lane: `done` brings
        what comes of it.
        """
        self.all: dict[str, Leftover] = {}
        self.removing: set[str] = set()
        """What is being removed now."""
        self._root = root
        self._do = do

    def look(self) -> None:
        """Find what earlier boots have left."""
        self._do(ListFolder(Location(self._root, (FETCHING,)), limit=2 * _MOST), "", LeftoverToken("list"))

    def bytes(self, hash: str) -> int:
        """Return the bytes that all but one may come to."""
        return sum(each.bytes for key, each in self.all.items() if key != hash)

    def begin(self, hash: str, release: Release, unix: float) -> None:
        """Note that a release is being fetched."""
        self.all[hash] = Leftover(release.size, unix)
        told = {"package": str(release.package), "version": release.version.text, "bytes": release.size, "time": unix}
        self._do(MakeFolder(Location(self._root, (FETCHING,))), hash, LeftoverToken("folder"))
        self._do(Replace(self._note(hash), json.dumps(told).encode()), hash, LeftoverToken("note"))

    def end(self, hash: str) -> None:
        """Note that a release is whole, and in its place."""
        self.all.pop(hash, None)
        self._do(RemoveFile(self._note(hash)), hash, LeftoverToken("note"))

    def sweep(self, unix: float, busy: set[str]) -> list[str]:
        """Remove what is abandoned, and is not being fetched now; return the hashes."""
        old = [hash for hash, each in self.all.items() if unix - each.time > ABANDONED_SECONDS and hash not in busy]
        for hash in old:
            self.removing.add(hash)
            folder = Location(self._root, (FETCHING, hash))
            self._do(RemoveFolder(folder, recursive=True), hash, LeftoverToken("remove", hash))
        return old

    def done(self, token: LeftoverToken, outcome: Outcome, unix: float) -> None:
        """Learn what has come of an operation; what fails is tried again at the next boot."""
        match token:
            case ("list", _) if isinstance(outcome, list):
                self._listed(outcome, unix)
            case ("read", hash) if hash not in self.all:
                self.all[hash] = _read_untrusted(outcome, unix)
            case ("remove", hash):
                self.removing.discard(hash)
                self.end(hash)

    def _listed(self, entries: list[tuple[str, FileType]], unix: float) -> None:
        hashes = {name.removesuffix(_NOTE) for name, _ in entries}
        for hash in sorted(hashes)[:_MOST]:
            self._do(ReadAt(self._note(hash), 0, _NOTE_BYTES), hash, LeftoverToken("read", hash))

    def _note(self, hash: str) -> Location:
        return Location(self._root, (FETCHING, f"{hash}{_NOTE}"))


def _read_untrusted(outcome: Outcome, unix: float) -> Leftover:
    """Return what a file says; one that says nothing was begun now."""
    if isinstance(outcome, bytes | bytearray):
        try:
            match json.loads(outcome):
                case {"bytes": int(size), "time": int() | float() as time} if size >= 0:
                    return Leftover(size, min(float(time), unix))
        except (ValueError, RecursionError, OverflowError):
            pass
    return Leftover(0, unix)
