"""From what the user names to a package folder that a node can start: a folder as it is, a zip, or a single .wasm file.

Zips and single files are copied below the node's own folder, each under a digest of its content: what runs is never
overwritten, and the same file twice is the same folder. A zip is untrusted: its entries, their names and what they
unpack to are bounded and checked before anything is written.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.limits import MAX_MODULE_BYTES
from nectar_node.base import own_files
from nectar_node.base.errors import BadInput, BadPackage
from nectar_node.base.plain_files import is_there, open_plain
from nectar_node.base.shipped import LOCAL_PUBLISHER, shipped
from nectar_node.storage.operations import is_part

MAX_ZIP_BYTES = 512 << 20
"""Bytes of a zip, and of what it unpacks to."""
MAX_DIRECTORY_BYTES = 4 << 20
"""Bytes of a zip's list of entries, which is read as a whole: some forty thousand of them."""
PACKAGES_FOLDER = "packages"
"""The folder, in a node's folder, of packages that were given as a zip or as a single file."""

_COPY_BYTES = 1 << 18
_END = b"PK\x05\x06"
_END_BYTES = 22
_END_64 = b"PK\x06\x07"
_END_64_BYTES = 20
_MAX_COMMENT_BYTES = 0xFFFF
_WASM = b"\0asm"
_ZIP = (b"PK\x03\x04", _END)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A package folder that is ready to be started."""

    folder: Path
    copy: Path | None
    """The copy that was made below the node's folder; None: it is the user's own, or was there before."""


@dataclass(frozen=True, slots=True)
class SingleFile:
    """The settings with which a .wasm file without a manifest is started."""

    process: ProcessId
    public: bool
    networking: bool
    capabilities: tuple[object, ...]
    """Capabilities as a manifest has them."""
    on_exit: str | None
    """`restart`, or anything else for none."""

    def manifest(self) -> list[dict[str, object]]:
        """Return the manifest that it lacks."""
        entry: dict[str, object] = {
            "process_name": self.process.process,
            "process_wasm_path": f"/{self.process.process}.wasm",
            "on_exit": "Restart" if self.on_exit == "restart" else "None",
            "request_networking": self.networking,
            "request_capabilities": list(self.capabilities),
            "grant_capabilities": [],
            "public": self.public,
        }
        return [entry]


def is_single_file(path: Path) -> bool:
    """Whether `path` is a .wasm file, good or bad; False: a folder or a zip.

    Raises BadInput if nothing is there, and BadPackage if it is something else.
    """
    try:
        if path.is_dir():
            return False
        if not path.exists():
            raise _absent(path)
        if not path.is_file():
            raise BadPackage(f"{path} is neither a file nor a folder.")
        with path.open("rb") as file:
            beginning = file.read(4)
    except (OSError, ValueError) as error:
        raise BadPackage(f"{path} cannot be read: {_why(error)}.") from error
    if beginning in _ZIP or path.suffix == ".zip":
        return False
    if beginning == _WASM or path.suffix == ".wasm":
        return True
    raise BadPackage(
        f"{path} is not a package: expected a .wasm component or module, or a folder or zip with manifest.json."
    )


def _absent(path: Path) -> BadInput:
    if len(path.parts) != 1 or path.suffix:
        return BadInput(f"{path} does not exist: check the path.")
    return BadInput(f"{path} is no path and no package that comes with the node: these are {', '.join(shipped())}.")


def name_for(path: Path, name: str | None) -> ProcessId:
    """Return the process id for a single file: `name`, whole or only its first part, or the file's name; raises
    BadInput.
    """
    chosen = name if name is not None else re.sub(r"[^a-z0-9_.-]+", "-", path.stem.lower()).strip("-")[:63] or "process"
    try:
        return ProcessId.parse(chosen if ":" in chosen else f"{chosen}:{chosen}:{LOCAL_PUBLISHER}")
    except BadAddress as error:
        raise BadInput(f"{error}: --name takes a process's name, or process:package:publisher.") from error


# --- preparing ------------------------------------------------------------------------------------------------------


def prepare(path: Path, node: Path, *, apart: bool = False) -> Prepared:
    """Return the package in the folder or zip `path`; a zip is unpacked below the node's folder `node`. Raises
    BadPackage.
    """
    if not path.is_dir():
        return unpack_untrusted(path, node, apart=apart)
    if not any(is_there(folder / "manifest.json") for folder in (path, path / "pkg")):
        raise BadPackage(f"{path} is not a package: it holds no manifest.json, and no pkg/manifest.json.")
    return Prepared(path, None)


def wrap(path: Path, how: SingleFile, node: Path) -> Prepared:
    """Return a package around a single .wasm file, below the node's folder `node`; raises BadPackage."""
    try:
        with open_plain(path) as file:
            code = file.read(MAX_MODULE_BYTES + 1)
    except OSError as error:
        raise BadPackage(f"{path} cannot be read: {_why(error)}.") from error
    if len(code) > MAX_MODULE_BYTES:
        raise BadPackage(f"{path} is larger than the {MAX_MODULE_BYTES >> 20} MiB that a process's code may have.")
    manifest = json.dumps(how.manifest(), indent=2).encode()

    def fill(folder: Path) -> None:
        (folder / f"{how.process.process}.wasm").write_bytes(code)
        (folder / "manifest.json").write_bytes(manifest)

    return _make(node, str(how.process.package_id), hashlib.sha256(manifest + code).digest(), fill)


def unpack_untrusted(path: Path, node: Path, *, apart: bool = False) -> Prepared:
    """Return the package in a zip, unpacked below the node's folder `node`; raises BadPackage.

    `apart`: in a folder of its own, which nobody shares who unpacks the same zip, for whoever is to discard it.
    """
    try:
        with open_plain(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_ZIP_BYTES:
                raise BadPackage(f"{path} is larger than the {MAX_ZIP_BYTES >> 20} MiB that a package may have.")
            check_directory_untrusted(file, path)
            digest = hashlib.file_digest(file, "sha256").digest()
            with zipfile.ZipFile(file) as archive:
                entries = checked_entries_untrusted(archive.infolist(), path)
                fill = partial(_extract, archive, entries, path=path)
                return _make(node, path.stem, digest, fill, apart=apart)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise BadPackage(f"{path} is a damaged zip, or one of an unknown kind: {_why(error)}.") from error
    except OSError as error:
        raise BadPackage(f"{path} cannot be unpacked: {_why(error)}.") from error


def _make(node: Path, name: str, digest: bytes, fill: Callable[[Path], None], *, apart: bool = False) -> Prepared:
    """Make the folder `packages/DIGEST/NAME`, or one `apart` from all others, complete or not at all."""
    if not is_part(name):
        raise BadPackage(f"{name!r} cannot be a folder's name: rename the file.")
    final = node / PACKAGES_FOLDER / hashlib.sha256(name.encode() + b"/" + digest).hexdigest()[:16]
    if final.is_dir() and not apart:
        return Prepared(final / name, None)
    own_files.make_folder(final.parent)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent))
    try:
        (made / name).mkdir()
        fill(made / name)
        if apart:
            return Prepared(made / name, made)
        with suppress(FileExistsError):
            move_folder(made, final)  # unless another one has been faster
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    shutil.rmtree(made, ignore_errors=True)  # if it has not become the final one
    return Prepared(final / name, final)


def move_folder(made: Path, final: Path) -> None:
    """Give a folder its name; raises FileExistsError if there is one of that name already, and OSError."""
    try:
        made.rename(final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(error.errno, error.strerror, str(final)) from error
        raise


def discard(prepared: Prepared) -> None:
    """Remove what was made for a package that the node has not started."""
    if prepared.copy is not None:
        shutil.rmtree(prepared.copy, ignore_errors=True)


def discard_replaced(folder: Path, prepared: Prepared, node: Path) -> None:
    """Remove the package in `folder`, which the node has replaced, if it was made like `prepared`."""
    packages = (node / PACKAGES_FOLDER).resolve()
    if packages in folder.parents:
        old = packages / folder.relative_to(packages).parts[0]
        if old not in prepared.folder.resolve().parents:
            shutil.rmtree(old, ignore_errors=True)


# --- zips -----------------------------------------------------------------------------------------------------------


def check_directory_untrusted(file: io.BufferedReader, path: Path) -> None:
    """Check that a zip's list of entries is small enough to be read as a whole; raises BadPackage."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - _END_64_BYTES - _MAX_COMMENT_BYTES))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise BadPackage(f"{path} is not a zip, or its end is missing.")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if directory > MAX_DIRECTORY_BYTES or tail[max(0, at - _END_64_BYTES) : at].startswith(_END_64):
        raise BadPackage(
            f"{path} lists too many files: a package has at most {MAX_DIRECTORY_BYTES >> 20} MiB of names."
        )
    file.seek(0)


def checked_entries_untrusted(entries: list[zipfile.ZipInfo], path: Path) -> list[zipfile.ZipInfo]:
    """Return the files of a zip; raises BadPackage if anything in it would land elsewhere or unpack to too much."""
    names = set()
    for entry in entries:
        parts = entry.filename.removesuffix("/").split("/")
        if not all(is_part(part) for part in parts) or "\\" in entry.filename:
            raise BadPackage(
                f"{path} is refused: its entry {entry.filename!r} would not stay inside the package's folder."
            )
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BadPackage(f"{path} is refused: its entry {entry.filename!r} is a link, or not a file at all.")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadPackage(
                f"{path} is refused: its entry {entry.filename!r} is encrypted, or neither stored nor deflated."
            )
        if tuple(parts) in names:
            raise BadPackage(f"{path} is refused: it holds {entry.filename!r} twice.")
        names.add(tuple(parts))
    if sum(entry.file_size for entry in entries) > MAX_ZIP_BYTES:
        raise BadPackage(f"{path} is refused: it unpacks to more than {MAX_ZIP_BYTES >> 20} MiB.")
    if names.isdisjoint({("manifest.json",), ("pkg", "manifest.json")}):
        raise BadPackage(f"{path} is not a package: it holds no manifest.json, and no pkg/manifest.json.")
    return entries


def _extract(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path, path: Path) -> None:
    left = MAX_ZIP_BYTES
    for entry in entries:
        target = folder.joinpath(*entry.filename.split("/"))
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, target.open("xb") as file:
            while data := source.read(_COPY_BYTES):
                left -= len(data)  # the sizes in the list of entries need not be true
                if left < 0:
                    raise BadPackage(f"{path} is refused: it unpacks to more than {MAX_ZIP_BYTES >> 20} MiB.")
                file.write(data)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
