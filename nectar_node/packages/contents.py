"""The files of a package: their digest, by which a node knows whether it is the package that ran before, and a copy
below the node's own folder, so that a package whose folder has moved runs on after a reboot (G26), and an installed one
is what was installed.

The file `.release` of a package that came as a zip is its proof and none of its files (`nectar_node.releases.proof`).
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

from kernel.contract.address import PackageId
from nectar_node.base import own_files
from nectar_node.base.errors import BadPackage
from nectar_node.base.plain_files import open_plain
from nectar_node.base.shipped import is_shipped
from nectar_node.packages.interfaces import keep_beside
from nectar_node.packages.manifest import Package
from nectar_node.packages.unpacking import PACKAGES_FOLDER, move_folder
from nectar_node.releases.files import PROOF_FILE, FileHasher, ReleaseFile, digest
from nectar_node.releases.limits import MAX_BYTES, MAX_FILES

_READ_BYTES = 1 << 20
_COPY = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}|\.new-.*")
"""The names of copies, whole or not, below a node's folder."""


def with_digest(package: Package) -> Package:
    """Return the package with the digest of its files; raises BadPackage."""
    hashed: list[ReleaseFile] = []
    for file, size in _listed(package.folder):
        hasher = blake3()
        for data in _read(file):
            hasher.update(data)
        hashed.append(ReleaseFile(file.relative_to(package.folder).as_posix(), size, hasher.digest()))
    return replace(package, digest=digest(hashed))


def check_digest(package: Package, wanted: str) -> None:
    """Raise BadPackage if the digest of a package's files, which has been read, is not the wanted one."""
    if package.digest != wanted:
        raise BadPackage(f"The files in {package.folder} are not those that were installed: somebody has changed them.")


def release_files(package: Package) -> tuple[ReleaseFile, ...]:
    """Return the files of a package as a release lists them, in order; raises BadPackage."""
    found: list[ReleaseFile] = []
    for file, _ in _listed(package.folder):
        hasher = FileHasher(file.relative_to(package.folder).as_posix())
        for data in _read(file):
            hasher.feed(data)
        found.append(hasher.done())
    return tuple(found)


def _listed(folder: Path) -> list[tuple[Path, int]]:
    try:
        return list(_files(folder))
    except OSError as error:
        raise BadPackage(f"{error.filename or folder} cannot be read: {error.strerror}.") from error


def _read(file: Path) -> Iterator[bytes]:
    try:
        with open_plain(file) as opened:
            while data := opened.read(_READ_BYTES):
                yield data
    except OSError as error:
        raise BadPackage(f"{file} cannot be read: {error.strerror}.") from error


def has_copy(package: Package, node: Path, *, by_hash: bool = False) -> bool:
    """Return whether `with_copy` would make none."""
    return _place(package, node, by_hash=by_hash).is_dir()


def _place(package: Package, node: Path, *, by_hash: bool) -> Path:
    """Return the folder with the package's files below the node's folder `node`, or its own if it needs no copy."""
    kept = (node / PACKAGES_FOLDER).resolve()
    if is_shipped(package.folder) or (not by_hash and kept in package.folder.resolve().parents):
        return package.folder
    return place_of(package.digest, package.id, node)


def copy_name(digest: str, id: PackageId) -> str:
    """Return the name of the folder around the copy of a package with this id and this digest of its files."""
    # The package's id is in its own files, or is the name of the folder.
    return blake3(f"{digest} {id}".encode()).hexdigest(16)


def place_of(digest: str, id: PackageId, node: Path) -> Path:
    """Return the folder below the node's folder `node` in which files with that digest are kept as the package `id`."""
    return (node / PACKAGES_FOLDER).resolve() / copy_name(digest, id) / str(id)


def with_copy(package: Package, node: Path, *, by_hash: bool = False) -> Package:
    """Return the package as a copy below the node's folder `node`; a package that comes with the node is as it is.

    One that lies there already, unpacked from a zip, is copied only if it is to be kept `by_hash`. Raises BadPackage.
    """
    final = _place(package, node, by_hash=by_hash)
    if final == package.folder:
        return package
    if not final.is_dir():
        try:
            _copy(package, final)
        except OSError as error:
            raise BadPackage(f"{package.folder} cannot be copied to {final}: {error.strerror}.") from error
    with suppress(OSError, BadPackage):  # it is no more than a description
        keep_beside(package.folder, final.parent)
    return replace(package, folder=final, origin=package.source)


def discard_folder(folder: Path, node: Path) -> None:
    """Remove the copy below the node's folder `node` of which `folder` is a part."""
    kept = (node / PACKAGES_FOLDER).resolve()
    if kept in folder.parents:
        shutil.rmtree(kept / folder.relative_to(kept).parts[0], ignore_errors=True)


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


def _copy(package: Package, final: Path) -> None:
    """Copy a package's folder, complete and durable or not at all; raises BadPackage if its files are not any more
    those of which the package's digest is.
    """
    folder, hashed = package.folder, list[ReleaseFile]()
    own_files.make_folder(final.parent.parent)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent.parent))
    try:
        inner = made / final.name
        inner.mkdir()
        for file, _ in _files(folder):
            target = inner / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            hasher, size = blake3(), 0
            with open_plain(file) as source, target.open("xb") as copy:
                while data := source.read(_READ_BYTES):
                    hasher.update(data)
                    size += copy.write(data)
                copy.flush()
                os.fsync(copy.fileno())
            hashed.append(ReleaseFile(file.relative_to(folder).as_posix(), size, hasher.digest()))
        if digest(hashed) != package.digest:
            raise BadPackage(f"The files in {folder} have changed while they were copied: try again.")
        with suppress(FileExistsError):
            move_folder(made, final.parent)  # unless somebody has been faster, with the same files
        own_files.sync_folder(final.parent.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # if it has not become the final one


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the regular files below a folder in a fixed order, with their sizes; raises BadPackage and OSError."""
    found: list[tuple[Path, int]] = []
    size = 0
    inner = folder.resolve()
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [each for each in folders if not os.path.islink(os.path.join(place, each))]
        for name in names:
            file = Path(place, name)
            status = file.stat()
            if file.is_symlink() and inner not in file.resolve().parents:
                raise BadPackage(
                    f"{file} leads out of the package, to {file.resolve()}: put the file itself there, or remove it."
                )
            if not stat.S_ISREG(status.st_mode):
                raise BadPackage(f"{file} is a pipe, a device or a socket, which no package can have: remove it.")
            if file != folder / PROOF_FILE:
                found.append((file, status.st_size))
                size += status.st_size
        if len(found) > MAX_FILES or size > MAX_BYTES:
            raise BadPackage(
                f"{folder} holds more than a package may: {MAX_FILES} files, of {MAX_BYTES >> 20} MiB together."
            )
    yield from sorted(found)


def _raise(error: OSError) -> None:
    raise error
