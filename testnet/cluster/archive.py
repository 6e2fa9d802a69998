"""What travels to a cluster: folders and files in a zip that is named by its hash.

The same files give the same bytes, so a worker knows by the name whether it has them. The code of the project is laid
out as in its wheel.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath

from blake3 import blake3

import nectar_node
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import SHIPPED_FOLDER

ROOMS = ("kernel", "net", "nectar_node", "testnet")
MAX_BYTES = 128 << 20
"""The largest zip that is made or unpacked, and the most bytes in it."""
MAX_FILES = 20_000
_HOME = Path(nectar_node.__file__).resolve().parent.parent
_SHIPPED = PurePosixPath("nectar_node", "shipped_packages")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BadCargo(ValueError):
    """The bytes are not what their name says, or not a zip that `pack` makes; the message says why."""


def name_of(archive: bytes) -> str:
    """Return the hash of a zip, in hex."""
    return blake3(archive).hexdigest()


def code() -> bytes:
    """Return the code of this project, and the packages that come with it. Raises BadInput."""
    found = {PurePosixPath(room, name): path for room in ROOMS for name, path in _below(_HOME / room)}
    for folder in sorted(SHIPPED_FOLDER.iterdir()):
        for part in ("pkg", "api", "metadata.json"):
            for name, path in _below(folder / part):
                found[_SHIPPED / folder.name / part / name] = path
    return pack(found)


def own_files(paths: Iterator[Path]) -> bytes:
    """Return a user's files and folders, each at its whole path. Raises BadInput."""
    found = {}
    for path in paths:
        for name, file in _below(path):
            found[PurePosixPath(*path.parts[1:]) / name] = file
    return pack(found)


def _below(path: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """Yield the files of a folder, or the file itself; what the interpreter and version control keep is left out."""
    if path.is_file():
        yield PurePosixPath(), path
    for each in sorted(path.rglob("*")):
        relative = each.relative_to(path)
        if each.is_file() and not {"__pycache__", ".git"} & set(relative.parts):
            yield PurePosixPath(*relative.parts), each


def pack(files: Mapping[PurePosixPath, Path]) -> bytes:
    """Return a zip of these files by name. Raises BadInput: one cannot be read, or they are too large."""
    data, total = BytesIO(), 0
    if len(files) > MAX_FILES:
        raise BadInput(f"{len(files):,} files are too many to travel to a cluster: {MAX_FILES:,} are the most.")
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            try:
                total += path.stat().st_size
                if total > MAX_BYTES:
                    raise BadInput(f"{path} makes more than {MAX_BYTES >> 20} MiB to travel to a cluster: too much.")
                content = path.read_bytes()
            except OSError as error:
                raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
            archive.writestr(zipfile.ZipInfo(str(name), _EPOCH), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def unpack_untrusted(archive: bytes, name: str, within: Path) -> Path:
    """Return the folder `name` in `within` with the files of a zip; it is unpacked once, also if several do that at the
    same time. Raises BadCargo and OSError."""
    folder = within / name
    if folder.is_dir():
        return folder
    if len(archive) > MAX_BYTES or name_of(archive) != name:
        raise BadCargo("its bytes are not those of its hash")
    made = Path(tempfile.mkdtemp(dir=within, prefix="unpacking-"))
    try:
        _unpack(archive, made)
        with suppress(OSError):  # somebody else was first
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _unpack(archive: bytes, folder: Path) -> None:
    try:
        with zipfile.ZipFile(BytesIO(archive)) as read:
            infos = read.infolist()
            if len(infos) > MAX_FILES or sum(each.file_size for each in infos) > MAX_BYTES:
                raise BadCargo("it holds too much")
            for info in infos:
                name = PurePosixPath(info.filename)
                if name.is_absolute() or ".." in name.parts or not name.parts:
                    raise BadCargo(f"it has the file {info.filename!r}")
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(read.read(info))  # checks size and sum of what it inflates
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadCargo(f"it is not a zip: {error}") from None
