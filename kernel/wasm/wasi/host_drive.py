"""A folder of the host as a tree of files (`kernel.contract.drive`), for guests that use WASI 0.2.

No call follows a link, and none goes from one folder to another by a path: what a guest names is walked step by step
(`kernel.files.paths`), and each step opens one name in a folder that is open already. So whatever else happens in the
folder meanwhile, no way leads out of it. What is neither file nor folder nor link is not opened at all.

Owns the operating system's errors on the way; only DriveError leaves.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias
from weakref import ref

from kernel.contract.drive import DriveError, Errno, FileFacts, FileKind
from kernel.contract.errors import BadModule
from kernel.wasm.wasi.state import MAX_LISTED

MAX_DEPTH = 64
"""Folders within each other: each on a way is a descriptor of the whole node while it is walked."""

_ERRORS = {
    errno.EACCES: Errno.PERM,
    errno.EBADF: Errno.BADF,
    errno.EBUSY: Errno.BUSY,
    errno.EDQUOT: Errno.NOSPC,
    errno.EEXIST: Errno.EXIST,
    errno.EFBIG: Errno.FBIG,
    errno.EINVAL: Errno.INVAL,
    errno.EISDIR: Errno.ISDIR,
    errno.ELOOP: Errno.LOOP,
    errno.EMFILE: Errno.NOMEM,
    errno.ENAMETOOLONG: Errno.NAMETOOLONG,
    errno.ENFILE: Errno.NOMEM,
    errno.ENOENT: Errno.NOENT,
    errno.ENOMEM: Errno.NOMEM,
    errno.ENOSPC: Errno.NOSPC,
    errno.ENOTDIR: Errno.NOTDIR,
    errno.ENOTEMPTY: Errno.NOTEMPTY,
    errno.EOVERFLOW: Errno.OVERFLOW,
    errno.EPERM: Errno.PERM,
    errno.EROFS: Errno.PERM,
    errno.ETXTBSY: Errno.BUSY,
}
"""Any other error is Errno.IO."""
_KINDS = {stat.S_IFDIR: FileKind.FOLDER, stat.S_IFREG: FileKind.FILE, stat.S_IFLNK: FileKind.LINK}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking: what was a file a moment ago may be a pipe."""


class HostFolder:
    """An open folder."""

    __slots__ = ("__weakref__", "depth", "fd")

    kind = FileKind.FOLDER

    def __init__(self, fd: int, depth: int) -> None:
        self.fd = fd
        self.depth = depth

    def __del__(self) -> None:
        os.close(self.fd)


class HostFile:
    """An open file. It does not keep the folder open where it was found: each is a descriptor of the whole node, of
    which a guest has so many."""

    __slots__ = ("_folder", "fd", "name")

    kind = FileKind.FILE

    def __init__(self, fd: int, folder: HostFolder, name: str) -> None:
        self.fd = fd
        self._folder = ref(folder)
        self.name = name

    @property
    def folder(self) -> HostFolder:
        """Where it was found. Raises DriveError if nobody has that open any more."""
        found = self._folder()
        if found is None:
            raise DriveError(Errno.NOENT)
        return found

    def __del__(self) -> None:
        os.close(self.fd)


class HostLink:
    """A link, which nobody follows but `kernel.files.paths`."""

    __slots__ = ("folder", "name")

    kind = FileKind.LINK

    def __init__(self, folder: HostFolder, name: str) -> None:
        self.folder = folder
        self.name = name


class HostEntry:
    """What a listing says of something; it is not open."""

    __slots__ = ("kind", "number")

    def __init__(self, kind: FileKind, number: int) -> None:
        self.kind = kind
        self.number = number


Node: TypeAlias = HostFolder | HostFile | HostLink


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DriveError(_ERRORS.get(error.errno or 0, Errno.IO)) from None
    except ValueError:
        raise DriveError(Errno.INVAL) from None  # a name that the operating system takes none of


class HostDrive:
    """The tree below one folder."""

    def __init__(self, path: str) -> None:
        """Raises BadModule if there is no such folder."""
        try:
            self._root = HostFolder(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), 0)
        except OSError as error:
            raise BadModule(f"the drive {path} is not a folder") from error

    def root(self) -> HostFolder:
        """Return the drive's own folder."""
        return self._root

    def find(self, folder: HostFolder, name: str) -> Node | None:
        """Return what has that name in a folder, opened, or None."""
        with _refusals():
            try:
                mode = os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                return None
            return self._opened(folder, name, _KINDS.get(stat.S_IFMT(mode)))

    def _opened(self, folder: HostFolder, name: str, kind: FileKind | None) -> Node:
        match kind:
            case FileKind.LINK:
                return HostLink(folder, name)
            case FileKind.FOLDER:
                if folder.depth >= MAX_DEPTH:
                    raise DriveError(Errno.NAMETOOLONG)
                return HostFolder(os.open(name, _FOLDER, dir_fd=folder.fd), folder.depth + 1)
            case FileKind.FILE:
                try:
                    fd = os.open(name, _FILE | os.O_RDWR, dir_fd=folder.fd)
                except PermissionError:
                    fd = os.open(name, _FILE | os.O_RDONLY, dir_fd=folder.fd)
                file = HostFile(fd, folder, name)
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    return file
        raise DriveError(Errno.PERM)

    def entries(self, folder: HostFolder) -> list[tuple[str, HostEntry]]:
        """Return names and what is known of them, sorted; what is neither file nor folder nor link is left out."""
        found = list[tuple[str, HostEntry]]()
        with _refusals(), os.scandir(folder.fd) as entries:
            for entry in entries:
                if len(found) == MAX_LISTED:
                    raise DriveError(Errno.OVERFLOW)
                kind = _kind_of(entry)
                if kind is not None and _is_text(entry.name):
                    found.append((entry.name, HostEntry(kind, entry.inode())))
        return sorted(found, key=lambda each: each[0])

    def is_gone(self, folder: HostFolder) -> bool:
        """Whether a folder was removed."""
        with _refusals():
            return os.fstat(folder.fd).st_nlink == 0

    def contains(self, _folder: HostFolder, _other: HostFolder) -> bool:
        """Leave it to the operating system to find that a folder would be moved into itself."""
        return False

    def number(self, node: Node | HostEntry) -> int:
        """Return the inode."""
        return node.number if isinstance(node, HostEntry) else self._status(node).st_ino

    def _status(self, node: Node) -> os.stat_result:
        with _refusals():
            if isinstance(node, HostLink):
                return os.stat(node.name, dir_fd=node.folder.fd, follow_symlinks=False)
            return os.fstat(node.fd)

    def length(self, file: HostFile) -> int:
        """Return how many bytes a file has."""
        return self._status(file).st_size

    def facts(self, node: Node) -> FileFacts:
        """Describe a node."""
        found = self._status(node)
        times = found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns
        return FileFacts(found.st_ino, found.st_nlink, found.st_size, *(max(0, time) for time in times))

    def target(self, link: HostLink) -> str:
        """Return where a link leads."""
        with _refusals():
            target = os.readlink(link.name, dir_fd=link.folder.fd)
        if not _is_text(target):
            raise DriveError(Errno.ILSEQ)
        return target

    def read(self, file: HostFile, offset: int, length: int) -> bytes:
        """Return bytes of a file from `offset` on; fewer at its end."""
        with _refusals():
            return os.pread(file.fd, length, offset)

    def write(self, file: HostFile, offset: int, data: memoryview) -> None:
        """Write into a file."""
        with _refusals():
            while data:
                done = os.pwrite(file.fd, data, offset)
                data, offset = data[done:], offset + done

    def set_length(self, file: HostFile, length: int) -> None:
        """Cut a file off, or fill it up with zeros."""
        with _refusals():
            os.ftruncate(file.fd, length)

    def set_times(self, node: Node, accessed: int | None, modified: int | None) -> None:
        """Set the times of a node."""
        found = self._status(node)
        times = found.st_atime_ns if accessed is None else accessed, found.st_mtime_ns if modified is None else modified
        with _refusals():
            if isinstance(node, HostLink):
                os.utime(node.name, ns=times, dir_fd=node.folder.fd, follow_symlinks=False)
            else:
                os.utime(node.fd, ns=times)

    def sync(self, file: HostFile) -> None:
        """Make a file durable."""
        with _refusals():
            os.fsync(file.fd)

    def make(self, folder: HostFolder, name: str, kind: FileKind, target: str = "") -> Node:
        """Make an empty file, a folder, or a link to `target`, and return it."""
        with _refusals():
            match kind:
                case FileKind.FILE:
                    new = _FILE | os.O_RDWR | os.O_CREAT | os.O_EXCL
                    return HostFile(os.open(name, new, 0o666, dir_fd=folder.fd), folder, name)
                case FileKind.FOLDER:
                    os.mkdir(name, dir_fd=folder.fd)
                    return self._opened(folder, name, kind)
            os.symlink(target, name, dir_fd=folder.fd)
            return HostLink(folder, name)

    def link(self, node: HostFile | HostLink, folder: HostFolder, name: str) -> None:
        """Give a file or link one more name."""
        with _refusals():
            os.link(node.name, name, src_dir_fd=node.folder.fd, dst_dir_fd=folder.fd, follow_symlinks=False)

    def remove(self, folder: HostFolder, name: str) -> None:
        """Remove what has that name."""
        with _refusals():
            is_folder = stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode)
            remove: Callable[..., None] = os.rmdir if is_folder else os.unlink
            remove(name, dir_fd=folder.fd)

    def rename(self, folder: HostFolder, name: str, target_folder: HostFolder, target_name: str) -> None:
        """Move what has a name."""
        with _refusals():
            os.rename(name, target_name, src_dir_fd=folder.fd, dst_dir_fd=target_folder.fd)


def _kind_of(entry: os.DirEntry[str]) -> FileKind | None:
    if entry.is_symlink():
        return FileKind.LINK
    if entry.is_dir(follow_symlinks=False):
        return FileKind.FOLDER
    return FileKind.FILE if entry.is_file(follow_symlinks=False) else None


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8; others come with surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
