"""Packages of the user, on their way to the nodes of a host: the folder of each travels as it is."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nectar_node.base import own_files
from nectar_node.base.errors import BadInput
from nectar_node.launcher.arguments import check_package
from testnet.hosts.files import unpack_untrusted, write_files

MAX_PACKAGES_BYTES = 256 << 20
"""The most that packages may come to: a package of the existing node has some 10 MiB."""
PACKAGES_FOLDER = "packages"
"""In the folder of a testnet on a host: what has been sent there, by its hash."""


def packed(folders: Sequence[Path]) -> bytes:
    """Return packages as a stream, each below its number and its name, which the folder gives; raises BadInput."""
    out = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="nectar-packages-") as name:
        place, total = Path(name), 0
        for number, folder in enumerate(folders):
            outer = folder.parent if folder.name == "pkg" else folder
            for path in _regular(folder, outer):
                total += path.stat().st_size
                if total > MAX_PACKAGES_BYTES:
                    raise BadInput(f"Packages of more than {MAX_PACKAGES_BYTES} bytes do not go to other machines.")
                copy = place / str(number) / outer.name / path.relative_to(outer)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        write_files(place, sorted(path for path in place.rglob("*") if path.is_file()), out)
    return out.getvalue()


def _regular(folder: Path, outer: Path) -> Iterator[Path]:
    """Yield what a node reads of a package: its files, and beside `pkg` what is said of it, and its interface."""
    for path in sorted({*folder.rglob("*"), outer / "metadata.json", *(outer / "api").rglob("*")}):
        if path.is_file() and not path.is_symlink():
            yield path


def name_of(stream: bytes) -> str:
    """Return the name of the folder in which a host keeps a stream of packages: the same packages, the same name."""
    return hashlib.blake2s(stream, digest_size=8).hexdigest()


def keep_untrusted(folder: Path, stream: bytes) -> None:
    """Unpack a stream of packages into the folder of the testnet on this host; raises NodeError and OSError."""
    place = folder / PACKAGES_FOLDER / name_of(stream)
    if place.is_dir():
        return
    own_files.make_folder(folder)
    own_files.make_folder(place.parent)
    with tempfile.TemporaryDirectory(dir=place.parent) as name:
        _, bad = unpack_untrusted(io.BytesIO(stream), Path(name) / "all")
        if bad is not None:
            raise bad
        os.rename(Path(name) / "all", place)


def kept_packages(folder: Path, name: str) -> tuple[Path, ...]:
    """Return the folders of the packages in that stream, in their order; raises BadInput if it is not there."""
    place = folder / PACKAGES_FOLDER / name
    if not (name.isalnum() and place.is_dir()):
        raise BadInput(f"There are no packages {name[:32]!r} in {folder}.")
    return tuple(
        check_package(next(each.iterdir())) for each in sorted(place.iterdir(), key=lambda each: int(each.name))
    )
