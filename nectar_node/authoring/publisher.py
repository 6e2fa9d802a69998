"""Gives a package another publisher, in all files of its folder that name it.

The publisher stands in metadata.json, and in each id of the package and of its processes: in the manifest, sources,
tests and README. It is changed in all of them or in none. What is built is not looked at: it is built again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from kernel.contract.address import PackageId
from nectar_node.base.errors import BadInput, BadPackage
from nectar_node.packages.manifest import Package
from net.base.node_names import is_node_name

MAX_FILES = 10_000
"""Files that are looked through."""
MAX_FILE_BYTES = 4 << 20
"""A larger file is no text that an author has written."""
_NOT_WRITTEN = {"node_modules", "target", "zig-out", "__pycache__"}
"""Folders with what is made, or fetched."""
_PUBLISHER = re.compile(r'("publisher"\s*:\s*)"[^"\\]*"')
_METADATA = "metadata.json"


def check_node_name(name: str) -> None:
    """Raise BadInput if no node can have the name, and so nobody could publish a package of it."""
    if not is_node_name(name):
        raise BadInput(f"{name!r} is not the name of a node, such as ann.nec, and only nodes publish packages.")


def with_publisher(text: str, package: PackageId, publisher: str) -> str:
    """Return a text in which each id of the package and of its processes has another publisher."""
    former = f"{re.escape(package.package)}:{re.escape(package.publisher)}"
    # A dot can belong to a publisher's name, or end a sentence.
    return re.sub(rf"(?<![\w.~-]){former}(?![\w~-]|\.\w)", f"{package.package}:{publisher}", text)


def change_publisher(folder: Path, package: Package, publisher: str) -> tuple[str, ...]:
    """Make `publisher` the publisher of the package in `folder`; return the files that have changed, relative to it.

    Raises BadInput, BadPackage and OSError.
    """
    check_node_name(publisher)
    folder, former = folder.resolve(), package.id
    if former.publisher == publisher:
        return ()
    changed = dict(_changed(folder, former, publisher))
    places = [each / _METADATA for each in (package.folder, folder)]
    place = next((each for each in places if each.is_file()), places[0])
    said, count = _PUBLISHER.subn(rf'\g<1>"{publisher}"', changed.get(place) or _text(place) or "")
    if count != 1:
        raise BadPackage(f'{place} does not say who publishes {former}: write "publisher": "{publisher}" there.')
    changed[place] = said
    staged = [(_staged(path, text), path) for path, text in changed.items()]
    for staging, path in staged:
        staging.replace(path)
    return tuple(sorted(path.relative_to(folder).as_posix() for path in changed))


def _changed(folder: Path, package: PackageId, publisher: str) -> Iterator[tuple[Path, str]]:
    for number, path in enumerate(_files(folder)):
        if number == MAX_FILES:
            raise BadPackage(f"{folder} has more than {MAX_FILES:,} files: change the publisher by hand.")
        text = _text(path)
        if text is not None and (new := with_publisher(text, package, publisher)) != text:
            yield path, new


def _files(folder: Path) -> Iterator[Path]:
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(each for each in inner if not each.startswith(".") and each not in _NOT_WRITTEN)
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix not in (".wasm", ".zip") and not path.is_symlink():
                yield path


def _text(path: Path) -> str | None:
    """Return what an author has written; None: it is none of that."""
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        return None
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


def _staged(path: Path, text: str) -> Path:
    staging = path.with_name(f".{path.name}.new")
    staging.write_bytes(text.encode())
    staging.chmod(path.stat().st_mode & 0o777)
    return staging
