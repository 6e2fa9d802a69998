"""The files of a package: their digest, by which a node knows whether it is the package that ran before, and a copy
below the node's own folder, so that a package whose folder has moved runs on after a reboot (G26).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from nectar_node.base import own_files
from nectar_node.base.errors import BadPackage
from nectar_node.base.shipped import is_shipped
from nectar_node.packages.manifest import Package
from nectar_node.packages.unpacking import PACKAGES_FOLDER

MAX_FILES = 10_000
"""Files of one package."""
MAX_BYTES = 1 << 30
"""Bytes of all of them."""
_READ_BYTES = 1 << 20
_COPY = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}|\.new-.*")
"""The names of copies, whole or not, below a node's folder."""


def with_digest(package: Package) -> Package:
    """Return the package with the digest of its files; raises BadPackage."""
    total = blake3()
    try:
        for file, size in _files(package.folder):
            hasher = blake3()
            with file.open("rb") as opened:
                while data := opened.read(_READ_BYTES):
                    hasher.update(data)
            name = os.fsencode(file.relative_to(package.folder))
            total.update(b"%d %d " % (len(name), size) + name + hasher.digest())
    except OSError as error:
        raise BadPackage(f"{error.filename or package.folder} cannot be read: {error.strerror}.") from error
    return replace(package, digest=total.hexdigest())


def has_copy(package: Package, node: Path) -> bool:
    """Return whether `with_copy` would make none."""
    return _place(package, node).is_dir()


def _place(package: Package, node: Path) -> Path:
    """Return the folder with the package's files below the node's folder `node`, or its own if it needs no copy."""
    kept = (node / PACKAGES_FOLDER).resolve()
    if is_shipped(package.folder) or kept in package.folder.resolve().parents:
        return package.folder
    # The package's id is in its own files, or is the name of the folder.
    name = blake3(f"{package.digest} {package.id}".encode()).hexdigest(16)
    return kept / name / str(package.id)


def with_copy(package: Package, node: Path) -> Package:
    """Return the package as a copy below the node's folder `node`; a package that comes with the node is as it is.

    Raises BadPackage.
    """
    final = _place(package, node)
    if final == package.folder:
        return package
    if not final.is_dir():
        try:
            _copy(package.folder, final)
        except OSError as error:
            raise BadPackage(f"{package.folder} cannot be copied to {final}: {error.strerror}.") from error
    return replace(package, folder=final, origin=package.source)


def discard_copy(package: Package) -> None:
    """Remove the copy that was made for a package that the node has not started."""
    shutil.rmtree(package.folder.parent, ignore_errors=True)


def discard_unused(node: Path, used: Iterable[Path]) -> None:
    """Remove the copies below the node's folder `node` that hold none of the folders `used`: those that a node or a
    client has left that was killed while it started a package. No client may be at work.
    """
    folder = (node / PACKAGES_FOLDER).resolve()
    kept = {place for each in used for place in (each.resolve(), *each.resolve().parents)}
    with suppress(OSError):
        for copy in folder.iterdir():
            if copy not in kept and _COPY.fullmatch(copy.name):
                shutil.rmtree(copy, ignore_errors=True)


def _copy(folder: Path, final: Path) -> None:
    """Copy a folder, complete and durable or not at all."""
    own_files.make_folder(final.parent.parent)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent.parent))
    try:
        inner = made / final.name
        inner.mkdir()
        for file, _ in _files(folder):
            target = inner / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy, _READ_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
        made.rename(final.parent)
        own_files.sync_folder(final.parent.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # if it has not become the final one


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the regular files below a folder in a fixed order, with their sizes; raises BadPackage and OSError."""
    found: list[tuple[Path, int]] = []
    size = 0
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [each for each in folders if not os.path.islink(os.path.join(place, each))]
        for name in names:
            file = Path(place, name)
            status = file.stat()
            if stat.S_ISREG(status.st_mode):
                found.append((file, status.st_size))
                size += status.st_size
        if len(found) > MAX_FILES or size > MAX_BYTES:
            raise BadPackage(
                f"{folder} holds more than a package may: {MAX_FILES} files, of {MAX_BYTES >> 20} MiB together."
            )
    yield from sorted(found)


def _raise(error: OSError) -> None:
    raise error
