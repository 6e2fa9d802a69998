"""The files and folders of a simulated disk, as they are and as a power cut would leave them."""

from __future__ import annotations

from itertools import count
from random import Random

from nectar_node.storage import operations as ops
from nectar_node.storage.database import STORE_FILES
from testnet.sim.disk.database_files import tear
from testnet.sim.disk.file_content import File
from testnet.sim.disk.refusals import A_FOLDER, A_LINK, NO_FOLDER, NOT_FOUND, TOO_LONG, RefusedError
from testnet.sim.disk.tree import Folders, FolderStamp, Path, Tree, above

_STORE_PATHS = {(name,) for name in STORE_FILES}


class DurableTree:
    """What is on a disk, by path, beside what of it was synced.

    It is strict: a file has the content of its last sync, a folder the entries of its last sync. Only a rename takes
    effect on both folders at once, as in every file system with a journal.
    """

    def __init__(self) -> None:
        """Nothing is on it yet."""
        self.numbers = count(1)
        """Inodes."""
        self.live = Tree(seen=Folders(self.numbers))
        """What is on the disk."""
        self._kept = Tree()
        """Entries of folders when those were last synced; what is below one that is not there cannot be reached."""
        self._removed: set[Path] = set()
        """Folders that were removed since then: one that is there again is another one."""
        self.stamps: dict[Path, FolderStamp] = {}
        """What folders have beside their names; one that is not there any more may still be among them."""

    # --- what is there ------------------------------------------------------------------------------------------------

    def is_there(self, path: Path) -> bool:
        """Whether there is a file or a folder."""
        return path in self.live.files or path in self.live.folders

    def file(self, location: ops.Location) -> File:
        """Return a file that is no link; raises RefusedError."""
        file = self.entry(location)
        if file.target is not None:
            raise RefusedError(A_LINK)
        return file

    def entry(self, location: ops.Location) -> File:
        """Return a file or a link; raises RefusedError."""
        path = path_of(location)
        if path in self.live.folders or len(location.parts) == 0:
            raise RefusedError(A_FOLDER)
        if path not in self.live.files:
            raise RefusedError(NOT_FOUND)
        return self.live.files[path]

    def check_folder(self, path: Path) -> None:
        """Raise RefusedError unless there is a folder, or the root."""
        if path in self.live.files:
            raise RefusedError(NO_FOLDER)
        if len(path) > 1 and path not in self.live.folders:
            raise RefusedError(NOT_FOUND)

    def at_and_below(self, path: Path) -> list[Path]:
        """Return the paths of what is at `path` and below it, files first."""
        depth = len(path)
        return [each for each in (*self.live.files, *self.live.folders) if each[:depth] == path]

    def usage(self, path: Path) -> ops.Usage:
        """Return the bytes and files at `path` and below it."""
        depth = len(path)
        sizes = [len(file) for each, file in self.live.files.items() if each[:depth] == path]
        folders = sum(each[:depth] == path for each in self.live.folders)
        return ops.Usage(sum(sizes), len(sizes) + folders)

    def names_of(self, file: File) -> list[Path]:
        """Return the paths at which a file is, and those at which it was when these were last synced."""
        return [path for tree in (self.live, self._kept) for path, each in tree.files.items() if each is file]

    # --- changes ------------------------------------------------------------------------------------------------------

    def put(self, path: Path, file: File) -> None:
        """Put a file there, durable as the folders above it are."""
        for tree in (self.live, self._kept):
            tree.folders.update(above(path))
            tree.files[path] = file

    def put_folder(self, path: Path) -> None:
        """Make a folder and those above it, durable."""
        for tree in (self.live, self._kept):
            tree.folders.update((*above(path), path))

    def move_file(self, path: Path, target: Path) -> None:
        """Move a file in place of one that may be there; this is durable at once."""
        self.live.files[target] = self.live.files.pop(path)
        self._kept.remove(path)
        self.sync_folder(target[:-1])

    def remove_folder(self, path: Path) -> None:
        """Remove a folder with all in it; durable once the one above it is synced."""
        self.live.remove(path)
        self._removed.add(path)

    def move_folder(self, path: Path, target: Path) -> None:
        """Move a folder in place of an empty one, if one is there; this is durable at once."""
        self.live.move(path, target)
        moved = {each: stamp for each, stamp in self.stamps.items() if each[: len(path)] == path}
        self.stamps |= {target + each[len(path) :]: stamp for each, stamp in moved.items()}
        self._kept.remove(target)
        self._kept.move(path, target)
        self.sync_folder(target[:-1])

    def sync_folder(self, folder: Path) -> None:
        """Make the entries of a folder durable."""
        live, kept = self.live, self._kept
        for path in [path for path in (*kept.files, *kept.folders) if path[:-1] == folder]:
            if path not in live.folders or path in kept.files or path in self._removed:
                kept.remove(path)
                self._removed.discard(path)
        kept.folders.update(path for path in live.folders if path[:-1] == folder and path != folder)
        kept.files.update((path, file) for path, file in live.files.items() if path[:-1] == folder)

    def sync_new(self, path: Path) -> None:
        """Make a folder durable that has just got its name, with all in it; what was there before is gone."""
        self._kept.remove(path)
        self._removed = {each for each in self._removed if each[: len(path)] != path}
        for folder in [each for each in self.live.folders if each[: len(path)] == path]:
            self.sync_folder(folder)
        self.sync_folder(path[:-1])

    def lose_unsynced(self, chance: Random) -> None:
        """Cut the power: only what was synced is left; `chance` draws which other sectors of databases are."""
        folders: set[Path] = set()
        for path in sorted(self._kept.folders, key=len):
            if len(path) == 2 or path[:-1] in folders:
                folders.add(path)
        files = {path: file for path, file in self._kept.files.items() if len(path) == 2 or path[:-1] in folders}
        for path, file in files.items():
            if _is_of_database(path):
                tear(file, chance)
            else:
                file.lose_unsynced()
        self.live = Tree(dict(files), set(folders), Folders(self.numbers))
        self._kept = Tree(files, folders)
        self._removed.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self.live, self._kept = Tree(seen=Folders(self.numbers)), Tree()


def path_of(location: ops.Location) -> Path:
    """Return where a location is; raises RefusedError for a name that is too long."""
    if any(len(part.encode(errors="surrogateescape")) > ops.MAX_NAME_BYTES for part in location.parts):
        raise RefusedError(TOO_LONG)
    return (location.root, *location.parts)


def _is_of_database(path: Path) -> bool:
    """Whether SQLite writes this file, of the store or of a package."""
    return path[1:] in _STORE_PATHS or path[2:3] == (ops.DATABASES,)
