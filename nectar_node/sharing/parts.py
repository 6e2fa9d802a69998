"""A release on the disk while it is being fetched: what of it is there already, its pieces, and its final place. Pure.

The files lie in a folder named by the release's hash until all are there, checked and synced; then the folder becomes
the copy that the node keeps of a package with these files (`nectar_node.packages.contents`), by one rename. Nothing is
written down about what has come: after a crash, or a power cut that has taken what was not synced, the files themselves
are hashed again. Files that a version has which is here already are copied.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernel.contract.message import Buffer
from nectar_node.releases.document import Release
from nectar_node.releases.files import ReleaseFile, piece_count, piece_hash
from nectar_node.releases.limits import PIECE_BYTES
from nectar_node.sharing.pieces import Piece, Pieces
from nectar_node.sharing.wire.limits import MAX_LOOKS
from nectar_node.sharing.wire.messages import FAILED, FULL
from nectar_node.storage.operations import (
    Copy,
    Create,
    DiskError,
    DiskFault,
    Hash,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    ReadAt,
    Rename,
    Replace,
    Stat,
    Sync,
    WriteAt,
)

FETCHING = ".fetching"
"""The folder with what is being fetched, beside the copies of packages: none of these has such a name."""


class PartsStage(enum.Enum):
    """What is being done with the files."""

    LOOKING = "finding what is there"
    FETCHING = "taking pieces"
    PLACING = "taking their place"
    PLACED = "all are in their place"


class _Do(enum.Enum):
    """What an operation is for."""

    FIND = "whether the copy is there"
    CHECK = "whether a file of the copy is right"
    BEGUN = "whether something was fetched before"
    FOLDER = "a folder for files"
    LOOK = "what there is of a file"
    PART = "what there is of a file's piece"
    COPY = "a file of another version"
    COPIED = "whether that is the one"
    OPEN = "a file for its pieces"
    WRITE = "a piece, or a file that is one"
    SYNC = "a whole file"
    WHOLE = "whether it is the one that was published"
    PLACE = "the copy's place"


class PartToken(NamedTuple):
    """The token of an operation."""

    what: _Do
    file: int = 0
    piece: int = 0


class Parts:
    """The files of one release."""

    def __init__(
        self,
        root: str,
        release: Release,
        hash: bytes,
        copy: tuple[str, str],
        here: Mapping[bytes, Location],
        do: Callable[[Operation, str, PartToken], None],
    ) -> None:
        """`root` is the folder of the copies of packages, and `copy` says where in it this one belongs; `here` has
        files that are on the disk, by their hashes; `do` has an operation carried out in a lane: `done` brings what
        comes of it.
        """
        self.release = release
        self.hash = hash
        self.pieces = Pieces(release)
        self.stage = PartsStage.LOOKING
        self.problem: tuple[str, str] | None = None
        """The kind of what is wrong, and a sentence; None: nothing is."""
        self._final = Location(root, copy)
        self._staged = Location(root, (FETCHING, hash.hex()))
        self._inner = Location(root, (*self._staged.parts, copy[-1]))
        self._here = here
        self._do = do
        self._name = hash.hex()[:16]
        self._going = 0
        """Operations whose outcome is not known."""
        self._to_look: deque[int] = deque()
        self._looking = 0
        self._folders = 0
        """Folders that are not made yet."""
        self._begun = False
        """Whether something was fetched before."""
        self._opened: set[int] = set()

    def begin(self) -> None:
        """Find out what is there."""
        self._carry_out(Stat(self._final), PartToken(_Do.FIND))

    @property
    def idle(self) -> bool:
        """Whether nothing is being done on the disk."""
        return not self._going

    def write(self, piece: Piece, data: Buffer) -> None:
        """Write a piece that has been checked."""
        file = self.release.files[piece.file]
        if file.size <= PIECE_BYTES:
            self._carry_out(Replace(self._place_of(file), data), PartToken(_Do.WRITE, *piece))
            return
        self._open(piece.file)
        offset = piece.number * PIECE_BYTES
        self._carry_out(WriteAt(self._place_of(file), offset, data), PartToken(_Do.WRITE, *piece))

    def place(self) -> None:
        """Give the folder its place: all files are there."""
        self.stage = PartsStage.PLACING
        self._carry_out(Rename(self._staged, self._copy_folder), PartToken(_Do.PLACE))

    @property
    def _copy_folder(self) -> Location:
        return Location(self._final.root, self._final.parts[:-1])

    def done(self, token: PartToken, outcome: Outcome) -> None:
        """Learn what has come of an operation."""
        self._going -= 1
        if self.problem is not None:
            return
        what, number, piece = token
        match what:
            case _Do.FIND:
                self._found(outcome)
            case _Do.CHECK:
                self._checked(number, outcome)
            case _Do.BEGUN:
                self._begun = not isinstance(outcome, DiskError)
                self._make_folders()
            case _Do.LOOK:
                self._looked(number, outcome)
            case _Do.PART:
                self._looked_at_part(number, piece, outcome)
            case _Do.COPIED:
                if outcome == self.release.files[number].hash:
                    self._end_look(number)
                else:
                    self._miss_all(number)
            case _Do.COPY if isinstance(outcome, DiskError) and outcome.fault is not DiskFault.FULL:
                self._miss_all(number)
            case _ if isinstance(outcome, DiskError):
                self._fail(outcome)
            case _Do.FOLDER:
                self._folders -= 1
                if not self._folders:
                    self._look_on()
            case _Do.COPY:
                self._carry_out(Hash(self._place(number)), PartToken(_Do.COPIED, number))
            case _Do.WRITE:
                if self.pieces.written(Piece(number, piece)):
                    self._settle(number)
            case _Do.SYNC:
                self._carry_out(Hash(self._place(number)), PartToken(_Do.WHOLE, number))
            case _Do.WHOLE if outcome != self.release.files[number].hash:
                path = self.release.files[number].path
                sentence = f"The pieces of {path} are not the file that the release names: its publisher has erred."
                self.problem = FAILED, sentence
            case _Do.PLACE:
                self.stage = PartsStage.PLACED

    # --- what is there ----------------------------------------------------------------------------------------------

    def _found(self, outcome: Outcome) -> None:
        if isinstance(outcome, DiskError) and outcome.fault is not DiskFault.NOT_FOUND:
            self._fail(outcome)
        elif isinstance(outcome, DiskError):
            self._carry_out(Stat(self._inner), PartToken(_Do.BEGUN))
        else:
            self._to_look.extend(range(len(self.release.files)))
            self._check_on()

    def _check_on(self) -> None:
        """Check the files of the copy that is there, a few at a time."""
        while self._to_look and self._looking < MAX_LOOKS:
            number = self._to_look.popleft()
            self._looking += 1
            location = Location(self._final.root, (*self._final.parts, *_parts(self.release.files[number])))
            self._carry_out(Hash(location), PartToken(_Do.CHECK, number))
        if not self._looking and not self._to_look:
            self.stage = PartsStage.PLACED

    def _checked(self, number: int, outcome: Outcome) -> None:
        self._looking -= 1
        if outcome != self.release.files[number].hash:
            folder = self._copy_folder
            sentence = f"The copy of this release in {folder} is damaged: move that folder away, and try again."
            self.problem = FAILED, sentence
            return
        self._check_on()

    def _make_folders(self) -> None:
        above = {self._inner.parts}
        above.update((*self._inner.parts, *_parts(file)[:-1]) for file in self.release.files)
        self._folders = len(above)
        for parts in sorted(above):
            self._carry_out(MakeFolder(Location(self._inner.root, parts)), PartToken(_Do.FOLDER))
        self._to_look.extend(range(len(self.release.files)))

    def _look_on(self) -> None:
        """Look at the files in turn, a few at a time; all folders are there."""
        while self._to_look and self._looking < MAX_LOOKS:
            number = self._to_look.popleft()
            self._looking += 1
            if self._begun:
                self._carry_out(Hash(self._place(number)), PartToken(_Do.LOOK, number))
            else:
                self._copy(number)
        if not self._looking and not self._to_look:
            self.stage = PartsStage.FETCHING

    def _looked(self, number: int, outcome: Outcome) -> None:
        file = self.release.files[number]
        if outcome == file.hash:
            self._settle(number)  # a crash may have come before it was synced
            self._end_look(number)
        elif isinstance(outcome, DiskError) or len(file.pieces) == 0:
            self._copy(number)
        else:
            self._opened.add(number)
            self._look_at_part(number, 0)

    def _look_at_part(self, number: int, piece: int) -> None:
        file = self.release.files[number]
        read = ReadAt(self._place(number), piece * PIECE_BYTES, file.piece_size(piece))
        self._carry_out(read, PartToken(_Do.PART, number, piece))

    def _looked_at_part(self, number: int, piece: int, outcome: Outcome) -> None:
        file = self.release.files[number]
        right = isinstance(outcome, bytes | bytearray) and piece_hash(outcome) == file.pieces[piece]
        if not right:
            self.pieces.miss(Piece(number, piece))
        if piece + 1 < len(file.pieces):
            self._look_at_part(number, piece + 1)
        else:
            if self.pieces.complete(number):
                self._settle(number)
            self._end_look(number)

    def _copy(self, number: int) -> None:
        """Copy a file of another version, if one has it; otherwise all of it is missing."""
        place = self._here.get(self.release.files[number].hash)
        if place is None:
            self._miss_all(number)
        else:
            self._carry_out(Copy(place, self._place(number)), PartToken(_Do.COPY, number))

    def _miss_all(self, number: int) -> None:
        file = self.release.files[number]
        for piece in range(piece_count(file.size)):
            self.pieces.miss(Piece(number, piece))
        if not file.size:
            self._carry_out(Replace(self._place(number), b""), PartToken(_Do.OPEN, number))
        self._end_look(number)

    def _end_look(self, number: int) -> None:
        self._looking -= 1
        self._look_on()

    def _settle(self, number: int) -> None:
        """Sync a file of several pieces that are all there, and see that they are what the release names."""
        if self.release.files[number].pieces:
            self._carry_out(Sync(self._place(number)), PartToken(_Do.SYNC, number))

    # --- operations -------------------------------------------------------------------------------------------------

    def _open(self, number: int) -> None:
        if number not in self._opened:
            self._opened.add(number)
            self._carry_out(Create(self._place(number), cut_off=True), PartToken(_Do.OPEN, number))

    def _place(self, number: int) -> Location:
        return self._place_of(self.release.files[number])

    def _place_of(self, file: ReleaseFile) -> Location:
        return Location(self._inner.root, (*self._inner.parts, *_parts(file)))

    def _carry_out(self, operation: Operation, token: PartToken) -> None:
        self._going += 1
        self._do(operation, f"release {self._name}/{token.file}", token)

    def _fail(self, error: DiskError) -> None:
        full = error.fault is DiskFault.FULL
        said = "the disk is full: make room, and try again" if full else error.text
        self.problem = FULL if full else FAILED, f"The release cannot be written: {said}."


def file_place(root: str, folder: str, path: str) -> Location:
    """Return where a file of a package lies whose files are in `folder`, which may be below `root`."""
    below = tuple(folder.removeprefix(f"{root}/").split("/")) if folder.startswith(f"{root}/") else ()
    return Location(root if below else folder, (*below, *path.split("/")))


def _parts(file: ReleaseFile) -> tuple[str, ...]:
    return tuple(file.path.split("/"))
