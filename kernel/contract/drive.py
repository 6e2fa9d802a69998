"""A guest's drive as an object: a tree of files.

For a guest of WASI preview 1 on a real node a drive is a folder of the host, and Wasmtime's WASI works on it.
Everywhere else it is this: `kernel.files` says what WASI makes of it, the simulator has one over its disk, and for WASI
0.2 there is one over a folder of the host (`kernel.wasm.wasi.host_drive`).
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Protocol


class Errno(enum.IntEnum):
    """Error numbers of WASI preview 1 (its witx, `errno`)."""

    BADF = 8
    BUSY = 10
    EXIST = 20
    FBIG = 22
    ILSEQ = 25
    INVAL = 28
    IO = 29
    ISDIR = 31
    LOOP = 32
    NAMETOOLONG = 37
    NOENT = 44
    NOMEM = 48
    NOSPC = 51
    NOTDIR = 54
    NOTEMPTY = 55
    NOTSUP = 58
    OVERFLOW = 61
    PERM = 63
    SPIPE = 70


class DriveError(Exception):
    """A call on files was refused; the guest gets its number."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno


class FileKind(enum.IntEnum):
    """Types of files; the numbers are WASI preview 1's (`filetype`)."""

    FOLDER = 3
    FILE = 4
    LINK = 7
    """A symbolic link."""


class FileFacts(NamedTuple):
    """What is known of a file, a folder or a link."""

    number: int
    links: int
    """How often it is in a folder."""
    size: int
    """In bytes; that of a link is its target's length."""
    accessed: int
    """Nanoseconds since 1970, as the other times."""
    modified: int
    changed: int


class FileNode(Protocol):
    """A file, a folder or a link of a drive. The same object stands for the same one for as long as anybody has it,
    whatever it is called meanwhile, and even if it is in no folder any more."""

    @property
    def kind(self) -> FileKind:
        """What it is."""


class Drive(Protocol):
    """A tree of files. Whoever calls it has checked what the kinds and names of files ask for (`kernel.files`); what
    the disk itself refuses is a DriveError."""

    def root(self) -> Any:
        """Return the drive's own folder."""

    def find(self, folder: Any, name: str) -> Any:
        """Return what has that name in a folder, or None."""

    def entries(self, folder: Any) -> list[tuple[str, Any]]:
        """Return names and nodes in a folder, always in the same order."""

    def is_gone(self, folder: Any) -> bool:
        """Whether a folder was removed."""

    def contains(self, folder: Any, other: Any) -> bool:
        """Whether the folder `other` is `folder` or lies below it."""

    def number(self, node: Any) -> int:
        """Return a node's inode: no two that exist at the same time have the same one."""

    def length(self, file: Any) -> int:
        """Return how many bytes a file has."""

    def facts(self, node: Any) -> FileFacts:
        """Describe a node."""

    def target(self, link: Any) -> str:
        """Return where a link leads."""

    def read(self, file: Any, offset: int, length: int) -> bytes:
        """Return bytes of a file from `offset` on; fewer at its end."""

    def write(self, file: Any, offset: int, data: memoryview) -> None:
        """Write into a file; a gap before `offset` is filled with zeros."""

    def set_length(self, file: Any, length: int) -> None:
        """Cut a file off, or fill it up with zeros."""

    def set_times(self, node: Any, accessed: int | None, modified: int | None) -> None:
        """Set the times of a node, in nanoseconds since 1970; None leaves one as it is."""

    def sync(self, file: Any) -> None:
        """Make a file durable: its content, and its names."""

    def make(self, folder: Any, name: str, kind: FileKind, target: str = "") -> Any:
        """Make an empty file, a folder, or a link to `target`, and return it."""

    def link(self, node: Any, folder: Any, name: str) -> None:
        """Give a file or link one more name."""

    def remove(self, folder: Any, name: str) -> None:
        """Remove what has that name: a folder is empty."""

    def rename(self, folder: Any, name: str, target_folder: Any, target_name: str) -> None:
        """Move what has a name; what has had the new one is gone."""
