"""What is on a simulated disk, by path, and which folder is which whatever it is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from kernel.contract.drive import FileKind
from testnet.sim.disk.file_content import File

Path = tuple[str, ...]
"""A disk's root, and the names below it."""


@dataclass(slots=True, eq=False)
class Folder:
    """A folder that a guest has looked at."""

    path: Path | None
    """Where it is now; None: it was removed."""
    number: int
    """Its inode."""
    modified: int = 0
    accessed: int | None = None
    """As a guest has set it; None: like `modified`."""

    @property
    def kind(self) -> FileKind:
        """What it is."""
        return FileKind.FOLDER


class Folders:
    """The folders that guests have looked at, by their paths: they stay the same ones under another name."""

    def __init__(self, numbers: Iterator[int]) -> None:
        """`numbers` gives inodes."""
        self._numbers = numbers
        self._folders: dict[Path, Folder] = {}

    def at(self, path: Path) -> Folder:
        """Return the folder that is there."""
        found = self._folders.get(path)
        if found is None:
            found = self._folders[path] = Folder(path, next(self._numbers))
        return found

    def move(self, old: Path, new: Path) -> None:
        """Move those at `old` and below it."""
        for path in self._below(old):
            folder = self._folders.pop(path)
            folder.path = new + path[len(old) :]
            self._folders[folder.path] = folder

    def remove(self, path: Path) -> None:
        """Remove those at `path` and below it."""
        for each in self._below(path):
            self._folders.pop(each).path = None

    def _below(self, path: Path) -> list[Path]:
        return [each for each in self._folders if each[: len(path)] == path]


@dataclass(slots=True)
class Tree:
    """Files and folders by their paths; a link is among the files."""

    files: dict[Path, File] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)
    seen: Folders = field(default_factory=lambda: Folders(count(1)))
    """Of the folders, those that guests have looked at."""

    def move(self, old: Path, new: Path) -> None:
        """Move all that is at `old` and below it."""
        self.seen.remove(new)
        self.seen.move(old, new)
        self.files = {_moved(each, old, new): file for each, file in self.files.items()}
        self.folders = {_moved(each, old, new) for each in self.folders}

    def remove(self, path: Path) -> None:
        """Remove all that is at `path` and below it."""
        self.seen.remove(path)
        self.files = {each: file for each, file in self.files.items() if each[: len(path)] != path}
        self.folders = {each for each in self.folders if each[: len(path)] != path}


def _moved(path: Path, old: Path, new: Path) -> Path:
    return new + path[len(old) :] if path[: len(old)] == old else path


class FolderStamp(NamedTuple):
    """What a folder has beside its name."""

    mode: int
    modified: int
    """Nanoseconds since 1970."""


def above(path: Path) -> list[Path]:
    """Return the paths of the folders above `path`, without the root."""
    return [path[:length] for length in range(2, len(path))]
