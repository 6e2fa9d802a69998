"""Files and folders that are ours alone: nobody else could have made or changed what a node relies on.

sshd demands the same of `~/.ssh` (StrictModes). A path is walked from `/`, each folder opened below the one before. On
the way, a folder must belong to us or to root, and nobody else may write into it, unless it is sticky, as /tmp is:
there nobody can take away what is ours. A link is followed if we or root have made it. The last folder must be ours
itself, and so must a file in it, which must not be a link. What is made has the modes 0700 and 0600 whatever the umask,
and a file is written whole or not at all.

Once a folder has been checked, other users cannot change that: its path may be used from then on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from shlex import quote

from nectar_node.base.descriptors import insist
from nectar_node.base.errors import BadFolder, NotOurs

_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Flags for opening a file: a pipe that somebody has left must not hang the opener."""
_MAX_LINKS = 40
"""Links that are followed on one path, as Linux has it."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ELSEWHERE = "move it away, or choose another --dir."


# --- folders --------------------------------------------------------------------------------------------------------


@contextmanager
def folder(path: Path, *, make: bool = False) -> Iterator[int]:
    """Return a descriptor of the folder `path`, which is ours; with `make`, it and those above it are made if missing.

    Raises NotOurs, and OSError if it does not exist; with `make` BadFolder if it, or one above it, is not a folder.
    """
    with _named(path):
        descriptor = insist(lambda: _open_folder(path, make=make))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = _open_folder(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder, or check that it is ours. Raises NotOurs and OSError."""
    with folder(path, make=True):
        pass


def tighten(path: Path) -> None:
    """Check that a folder, if it exists, is ours, and keep everybody else from writing into it.

    This is for folders that former versions have made as the umask wanted it, and in which every file is checked by
    itself. Raises NotOurs and OSError.
    """
    with suppress(FileNotFoundError), _named(path):
        descriptor = insist(lambda: _open_folder(path, tightened=True))
        os.close(descriptor)


def _open_folder(path: Path, *, make: bool = False, tightened: bool = False) -> int:
    shown = Path(os.path.abspath(path))
    way = _walk(path, shown, make=make)
    try:
        descriptor = os.open(".", _FOLDER, dir_fd=way)
    finally:
        os.close(way)
    try:
        found = os.fstat(descriptor)
        if tightened and found.st_uid == os.geteuid() and found.st_mode & _OTHERS_WRITE:
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~_OTHERS_WRITE)
            found = os.fstat(descriptor)
        _check_ours(found, shown)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _walk(path: Path, shown: Path, *, make: bool) -> int:
    """Return the last folder of a path, of which only the way there is checked."""
    ahead = [*reversed((Path.cwd() / path).parts[1:])]
    here, way = Path("/"), os.open("/", _WAY)
    links = 0
    try:
        while ahead:
            _check_way(os.fstat(way), here, shown)
            name = ahead.pop()
            try:
                found = os.stat(name, dir_fd=way, follow_symlinks=False)
            except FileNotFoundError:
                if not make:
                    raise
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=way)
                    os.chmod(name, 0o700, dir_fd=way)  # what the umask has left of that
                found = os.stat(name, dir_fd=way, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if found.st_uid not in _trusted() or links > _MAX_LINKS:
                    raise NotOurs(f"{here / name} is a link that {_name(found.st_uid)} made: choose another --dir.")
                target = Path(os.readlink(name, dir_fd=way))
                ahead += reversed(target.parts[1:] if target.is_absolute() else target.parts)
                if not target.is_absolute():
                    continue
                name, here = "/", Path("/")
            try:
                inner = os.open(name, _WAY, dir_fd=way)
            except NotADirectoryError as error:
                if not make:
                    raise
                raise BadFolder(f"{here / name} is not a folder: {_ELSEWHERE}") from error
            outer, way = way, inner  # first, since Ctrl-C may come after the close, and `way` is closed then
            os.close(outer)
            here = here.parent if name == ".." else here / name
    except BaseException:
        os.close(way)
        raise
    return way


# --- files ----------------------------------------------------------------------------------------------------------


def open_file(path: Path, flags: int, *, pipe: bool = False) -> int:
    """Open a file of ours, and make it if `flags` have O_CREAT; with `pipe`, it may also be a named pipe.

    Raises NotOurs, and OSError if it does not exist.
    """
    with _named(path):
        return insist(lambda: _open_file(path, flags, pipe=pipe))


def _open_file(path: Path, flags: int, *, pipe: bool = False) -> int:
    with _folder(path.parent) as within:
        if flags & os.O_CREAT:
            with suppress(FileExistsError):
                return _create(within, path.name, flags)
        return _open_existing(within, path, flags, pipe=pipe)


def _open_existing(within: int, path: Path, flags: int, *, pipe: bool) -> int:
    before = _look(within, path)
    if not (stat.S_ISREG(before.st_mode) or (pipe and stat.S_ISFIFO(before.st_mode))):
        raise NotOurs(f"{path} is not a file: {_ELSEWHERE}")
    descriptor = os.open(path.name, (flags & ~(os.O_CREAT | os.O_TRUNC)) | _FILE, dir_fd=within)
    try:
        _check_ours(os.fstat(descriptor), path)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
        os.set_blocking(descriptor, not flags & os.O_NONBLOCK)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _create(within: int, name: str, flags: int) -> int:
    descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=within)
    os.fchmod(descriptor, 0o600)  # what the umask has left of that
    return descriptor


def read(path: Path, limit: int | None = None) -> bytes:
    """Return the content of a file of ours, at most `limit` bytes of it. Raises NotOurs, and OSError if it does not
    exist.
    """
    with _named(path):
        return insist(lambda: _read(path, -1 if limit is None else limit))


def _read(path: Path, limit: int) -> bytes:
    with os.fdopen(_open_file(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def write(path: Path, data: bytes) -> None:
    """Replace the content of a file of ours, so that a crash leaves the old or the new; return when it is durable.

    Raises NotOurs and OSError.
    """
    with _named(path):
        insist(lambda: _write(path, data))


def _write(path: Path, data: bytes) -> None:
    staging = f".{path.name}.new"
    with _folder(path.parent) as within:
        with suppress(FileNotFoundError):
            _look(within, path)  # what others have put there stays for people to look at
        with suppress(FileNotFoundError):
            os.unlink(staging, dir_fd=within)
        try:
            with os.fdopen(_create(within, staging, os.O_WRONLY), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(staging, path.name, src_dir_fd=within, dst_dir_fd=within)
        except OSError:
            with suppress(OSError):
                os.unlink(staging, dir_fd=within)  # the bytes of one that did not fit would fill the disk
            raise
        os.fsync(within)


def sync_folder(path: Path) -> None:
    """Make the names in a folder of ours durable; raises NotOurs and OSError."""
    with _folder(path) as within:
        os.fsync(within)


def check(path: Path, *, secret: bool = False) -> None:
    """Check that what is there, if anything is, is ours and not a link; with `secret`, also that nobody else can read
    it.

    Raises NotOurs.
    """
    with suppress(FileNotFoundError), folder(path.parent) as within:
        found = _look(within, path)
        if secret and stat.S_IMODE(found.st_mode) & _OTHERS:
            raise NotOurs(f"{path} is a secret that {_who(found, _OTHERS)} can read: `chmod 600 {quote(str(path))}`.")


def remove(path: Path) -> None:
    """Remove a file, a socket or a link from a folder of ours; nothing happens if it does not exist.

    Raises NotOurs, and BadFolder if it is a folder.
    """
    with suppress(FileNotFoundError, NotADirectoryError), folder(path.parent) as within, _named(path):
        try:
            os.unlink(path.name, dir_fd=within)
        except IsADirectoryError as error:
            raise BadFolder(f"{path} is not a file: {_ELSEWHERE}") from error


def check_named_file(path: Path) -> None:
    """Check that a file that the user has named is made by us or root, and that nobody else can change it.

    It may be wherever such a file can be. Raises NotOurs, and OSError if it does not exist.
    """
    real = path.resolve(strict=True)
    with _way_to(real) as within:
        found = os.stat(real.name, dir_fd=within, follow_symlinks=False)
        _check_way(found, path, path)


@contextmanager
def _way_to(path: Path) -> Iterator[int]:
    way = _walk(path.parent, path, make=False)
    try:
        _check_way(os.fstat(way), path.parent, path)
        yield way
    finally:
        os.close(way)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Make OSErrors inside this context name the whole path, not a name in a folder."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


# --- the rules ------------------------------------------------------------------------------------------------------


def _look(within: int, path: Path) -> os.stat_result:
    """Return the status of a path in a folder of ours, if that is ours and not a link. Raises NotOurs and
    FileNotFoundError.
    """
    found = os.stat(path.name, dir_fd=within, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        raise NotOurs(f"{path} is a link, which is not followed here: remove it, or choose another --dir.")
    _check_ours(found, path)
    return found


def _check_ours(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        raise NotOurs(f"{path} belongs to {_name(found.st_uid)}: choose another --dir.")
    if _is_open(found):
        raise NotOurs(
            f"{path} can be written by {_who(found, _OTHERS_WRITE)}: see that it is as you left it, "
            f"then `chmod go-w {quote(str(path))}`, or choose another --dir."
        )


def _check_way(found: os.stat_result, here: Path, target: Path) -> None:
    """Check that what is at `here`, on the way to `target`, cannot be replaced by others."""
    if found.st_uid not in _trusted():
        raise NotOurs(f"{here} belongs to {_name(found.st_uid)}, who could replace {target}: choose another place.")
    if _is_open(found) and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        raise NotOurs(
            f"{here} can be written by {_who(found, _OTHERS_WRITE)}, who could replace {target}: "
            f"`chmod go-w {quote(str(here))}`, or choose another place."
        )


def _is_open(found: os.stat_result) -> bool:
    """Whether others may write.

    A user's own group, of the same name and with nobody else in it, does not count: with such groups a umask of 002 is
    usual.
    """
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid, found.st_uid)


def _trusted() -> set[int]:
    """Return the users who may own a folder on the way: this user, root, and the user before sudo."""
    ours = os.geteuid()
    trusted = {0, ours, _owner_of_root()}
    before = os.environ.get("SUDO_UID", "")
    if ours == 0 and before.isascii() and before.isdigit():
        trusted.add(int(before))
    return trusted


@cache
def _owner_of_root() -> int:
    """Return root's user id as seen here: in a user namespace it is another one."""
    return os.stat("/").st_uid


@cache
def _is_own_group(group: int, user: int) -> bool:
    import grp
    import pwd

    try:
        found, name = grp.getgrgid(group), pwd.getpwuid(user).pw_name
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}


def _who(found: os.stat_result, bits: int) -> str:
    return "everybody" if found.st_mode & bits & stat.S_IRWXO else "its group"


def _name(user: int) -> str:
    """Return a user's name, for people."""
    import pwd

    try:
        return f"user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"user {user}"
