"""The pieces of a release that are missing: which one is asked of whom, and which are there. Pure.

Each piece is asked of one source. When all are asked for, a source that has room is asked for one that another has been
asked for too, the oldest first; and one that has nothing to do at all, for one that more have been asked for. So
sources that stall do not hold up the others, however many they are.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from nectar_node.releases.document import Release
from nectar_node.sharing.sources import ReleaseSource


class Piece(NamedTuple):
    """A piece of a file."""

    file: int
    """The number of the file in the document, from 0."""
    number: int
    """The number of the piece in the file, from 0."""


class Pieces:
    """The pieces of one release."""

    def __init__(self, release: Release) -> None:
        """None is missing until `miss` says so."""
        self._release = release
        self._waiting: deque[Piece] = deque()
        self._asked: dict[Piece, list[ReleaseSource]] = {}
        """Pieces on their way, and who is asked for each, the oldest first."""
        self._writing: set[Piece] = set()
        self._left = [0] * len(release.files)
        """How many pieces of each file are not on the disk."""
        self.there = release.size
        """Bytes that are on the disk."""

    def size(self, piece: Piece) -> int:
        """Return the bytes of a piece."""
        return self._release.files[piece.file].piece_size(piece.number)

    def hash(self, piece: Piece) -> bytes:
        """Return the hash of a piece."""
        return self._release.files[piece.file].piece_hashes[piece.number]

    def miss(self, piece: Piece) -> None:
        """Note that a piece is not on the disk."""
        self._waiting.append(piece)
        self._left[piece.file] += 1
        self.there -= self.size(piece)

    @property
    def done(self) -> bool:
        """Whether all are on the disk."""
        return not (self._waiting or self._asked or self._writing)

    @property
    def wanted(self) -> bool:
        """Whether any is to come from a source."""
        return bool(self._waiting or self._asked)

    @property
    def under_way(self) -> int:
        """How many are asked for, or being written."""
        return len(self._asked) + len(self._writing)

    def take(self, source: ReleaseSource, most: int) -> Piece | None:
        """Return the piece that a source is to be asked for; None: it has been asked for all that there is, or `most`
        are under way.
        """
        piece: Piece | None = None
        if self._waiting and self.under_way < most:
            piece = self._waiting.popleft()
        elif not self._waiting:
            others = [each for each, asked in self._asked.items() if source not in asked]
            piece = min(others, key=lambda each: len(self._asked[each]), default=None)
            if piece is not None and len(self._asked[piece]) > 1 and source.asked:
                piece = None
        if piece is not None:
            self._asked.setdefault(piece, []).append(source)
            source.asked.add(piece)
        return piece

    def arrived(self, piece: Piece) -> bool:
        """Note that a piece has arrived and is right; return whether it is to be written: another source may have been
        faster.
        """
        if piece not in self._asked:
            return False
        for source in self._asked.pop(piece):
            source.asked.discard(piece)
        self._writing.add(piece)
        return True

    def failed(self, piece: Piece, source: ReleaseSource) -> None:
        """Note that a source does not send a piece."""
        source.asked.discard(piece)
        asked = self._asked.get(piece, [])
        if source in asked:
            asked.remove(source)
            if not asked:
                del self._asked[piece]
                self._waiting.appendleft(piece)

    def forget(self, source: ReleaseSource) -> None:
        """Note that a source is not asked any more."""
        for piece in [each for each in source.asked if isinstance(each, Piece)]:
            self.failed(piece, source)

    def written(self, piece: Piece) -> bool:
        """Note that a piece is on the disk; return whether its file is complete now."""
        self._writing.discard(piece)
        self._left[piece.file] -= 1
        self.there += self.size(piece)
        return self.complete(piece.file)

    def complete(self, file: int) -> bool:
        """Return whether all pieces of a file are on the disk."""
        return self._left[file] == 0
