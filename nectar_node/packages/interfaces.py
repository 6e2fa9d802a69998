"""The interfaces of a package: the files `*.wit` of its folder `api/`, beside or in the folder with its manifest, or of
the `api.zip` that the existing node's kit puts there.

They are not among the files that run. A copy of a package has them beside it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nectar_node.base.errors import BadPackage
from nectar_node.base.plain_files import open_plain
from nectar_node.interfaces.messages import ProcessApi, read_api_untrusted
from nectar_node.packages.manifest import Package
from nectar_node.releases.document import ApiFile
from nectar_node.releases.limits import MAX_INTERFACES, MAX_INTERFACES_BYTES
from nectar_node.storage.operations import is_part

API_FOLDER = "api"
"""The folder with a package's interfaces."""
_ARCHIVE = "api.zip"
_MAX_ARCHIVE_BYTES = 1 << 20
"""Bytes of such a file: it holds a few pages of text."""
_COPY = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}")
"""The folder around a copy of a package."""


def read_interface_files(folder: Path) -> tuple[ApiFile, ...]:
    """Return the interfaces of the package with the manifest in `folder`; raises BadPackage."""
    beside = [folder.parent] if folder.name == "pkg" or _COPY.fullmatch(folder.parent.name) else []
    found = {path.name: path for each in (*beside, folder) for path in _wit_files(each / API_FOLDER)}
    left, read = MAX_INTERFACES_BYTES, []
    for name, path in sorted(found.items())[:MAX_INTERFACES]:
        try:
            with open_plain(path) as file:
                data = file.read(left + 1)
            left -= len(data)
            if left < 0:
                raise BadPackage(f"The interfaces in {path.parent} are more than {MAX_INTERFACES_BYTES >> 10} KiB.")
            read.append(ApiFile(name, data.decode()))
        except OSError as error:
            raise BadPackage(f"{path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise BadPackage(f"{path} is not text.") from error
    return tuple(read) or _archived_untrusted(folder / _ARCHIVE)


def _wit_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.suffix == ".wit" and path.is_file())


def _archived_untrusted(path: Path) -> tuple[ApiFile, ...]:
    """Return the interfaces in an archive, as far as there are any: it is no more than a description."""
    found: dict[str, str] = {}
    left = MAX_INTERFACES_BYTES
    with suppress(OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        if not path.is_file() or path.stat().st_size > _MAX_ARCHIVE_BYTES:
            return ()
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.rpartition("/")[2]
                if not name.endswith(".wit") or not is_part(name) or len(found) == MAX_INTERFACES:
                    continue
                with archive.open(entry) as file:
                    data = file.read(left + 1)
                left -= len(data)
                if left < 0:
                    return ()
                found[name] = data.decode()
    return tuple(ApiFile(name, text) for name, text in sorted(found.items()))


def keep_beside(folder: Path, place: Path) -> None:
    """Put the interfaces beside `folder` into the folder `place` around its copy; raises OSError and BadPackage."""
    if folder.name != "pkg":
        return  # a copy itself, or one that has them inside
    wanted, final = (folder.parent / API_FOLDER), place / API_FOLDER
    files = read_interface_files(folder) if wanted.is_dir() else ()
    there = {path.name: path.read_bytes() for path in _wit_files(final)}
    if there == {name: text.encode() for name, text in files}:
        return
    made = Path(tempfile.mkdtemp(prefix=".api-", dir=place))
    try:
        for name, text in files:
            (made / name).write_text(text, "utf-8")
        shutil.rmtree(final, ignore_errors=True)
        made.rename(final)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # if it has not become the final one


def package_api(package: Package) -> list[ProcessApi]:
    """Return what the processes of a package understand; raises BadPackage and BadInterface."""
    names = [entry.process.process for entry in package.entries]
    return read_api_untrusted(package.id, names, read_interface_files(package.folder))
