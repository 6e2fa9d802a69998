"""Finds what a path names, as Linux does below a folder that it must not leave (openat2 with RESOLVE_BENEATH).

A path that is absolute, or goes above the folder where it begins, by `..` or by a link, is refused with PERM, as by
Wasmtime. A `..` undoes the last step of the way, links followed, and not the last name of the text.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kernel.contract.drive import Drive, DriveError, Errno, FileKind

MAX_PATH_BYTES = 4095
"""Bytes of a path (Linux's PATH_MAX, without the NUL at its end)."""
MAX_NAME_BYTES = 255
"""Bytes of one name in a path (Linux's NAME_MAX)."""
MAX_LINKS = 40
"""Links that are followed on one way (Linux's MAXSYMLINKS)."""


class PathEnd(NamedTuple):
    """Where a path leads."""

    folder: Any
    """The folder that has, or could have, the last name; None: the path ends with `.` or `..`."""
    name: str
    node: Any
    """What is there; None: nothing."""
    slash: bool
    """Whether the path ends with a slash, so that only a folder can be meant."""


def check_text(text: str) -> None:
    """Raise DriveError for a text that no call of the operating system takes."""
    if "\0" in text:
        raise DriveError(Errno.INVAL)


def check_path(path: str) -> None:
    """Raise DriveError for a text that is no path."""
    if not path:
        raise DriveError(Errno.NOENT)
    check_text(path)
    if len(path.encode()) > MAX_PATH_BYTES:
        raise DriveError(Errno.NAMETOOLONG)


def check_name(name: str) -> None:
    """Raise DriveError for a name that no file can have."""
    check_text(name)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise DriveError(Errno.NAMETOOLONG)


def walk(drive: Drive, start: Any, path: str, *, follow: bool, creates: bool = False) -> PathEnd:
    """Go from the folder `start` to what `path` names; `follow` says what becomes of a link at the end of the way.

    With `creates`, a name with a slash behind it is refused before anybody looks for it. Raises DriveError.
    """
    check_path(path)
    names, slash = _split(path)
    names.reverse()
    way, links = [start], 0
    while True:
        name, last = names.pop(), not names
        if name == ".":
            found = way[-1]
        elif name == "..":
            if len(way) == 1:
                raise DriveError(Errno.PERM)
            way.pop()
            found = way[-1]
        else:
            if last and slash and creates:
                raise DriveError(Errno.ISDIR)
            check_name(name)
            found = drive.find(way[-1], name)
            if found is not None and found.kind is FileKind.LINK and (follow or slash or not last):
                links += 1
                if links > MAX_LINKS:
                    raise DriveError(Errno.LOOP)
                further, their_slash = _split(drive.target(found))
                names += reversed(further)
                slash = slash or (last and their_slash)
                continue
            if last:
                return PathEnd(way[-1], name, found, slash)
            way.append(_folder(found))
        if last:
            return PathEnd(None, name, found, slash)


def _split(path: str) -> tuple[list[str], bool]:
    if path.startswith("/"):
        raise DriveError(Errno.PERM)
    return [name for name in path.split("/") if name], path.endswith("/")


def _folder(node: Any) -> Any:
    if node is None:
        raise DriveError(Errno.NOENT)
    if node.kind is not FileKind.FOLDER:
        raise DriveError(Errno.NOTDIR)
    return node


def existing(drive: Drive, start: Any, path: str, *, follow: bool) -> Any:
    """Return what a path names; raises DriveError if nothing is there."""
    place = walk(drive, start, path, follow=follow)
    if place.slash:
        return _folder(place.node)
    if place.node is None:
        raise DriveError(Errno.NOENT)
    return place.node


def parent(drive: Drive, start: Any, path: str) -> tuple[Any, str]:
    """Return the folder that a path's last name is in, and that name, or `.` if the path can only mean a folder; raises
    DriveError. Nobody has looked for the name yet, and what may be a link is not followed.
    """
    head, separator, name = path.rpartition("/")
    if not path:
        raise DriveError(Errno.NOENT)
    if name == ".." or (separator and name in ("", ".")):
        return _folder(existing(drive, start, path, follow=True)), "."
    return (_folder(existing(drive, start, head or "/", follow=True)) if separator else start), name


def without_slashes(path: str) -> str:
    """Return a path without the slashes at its end."""
    return path.rstrip("/") or path[:1]
