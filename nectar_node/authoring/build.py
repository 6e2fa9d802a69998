"""Compiles what has changed of a package, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from nectar_node.authoring.sources import ProcessSource, find_sources
from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.base.errors import BadPackage, DoesNotCompile
from nectar_node.base.plain_files import is_there, open_plain
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.packages.manifest import MAX_MANIFEST_BYTES, Package
from nectar_node.packages.startable import read_startable
from nectar_node.toolchains import once
from nectar_node.toolchains.languages import BESIDE, COMPILERS, fingerprint

RECORD = ".built.json"
"""Beside `pkg`: of what each .wasm file was made, and that it was made here."""
SDK_LINK = ".sdk"
"""Beside `src`: a link to the SDK, for editors. It is renewed with each build, and is no part of the package."""
_ANY_NODE = "any.nec"
"""Manifests are read for some node; which one makes no difference to whether they are right."""


class _Made(Struct, frozen=True):
    sources: str
    """The hash of its sources, of the SDK and of the tools."""
    bytes: str
    """SHA-256 of the file, in hex."""


class _Record(Struct, frozen=True):
    files: dict[str, _Made]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build has done; each is the name of a .wasm file."""

    package: Package
    compiled: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    """Files of processes that the package had before."""


def build(folder: Path, began: Callable[[str], object] = lambda name: None) -> Built:
    """Compile the processes of the package in `folder` whose sources have changed, to where `nectar start` finds them.

    If one does not compile, nothing is changed. `began` is told of each as it is compiled. Raises BadPackage;
    DoesNotCompile, with a path relative to `folder`; NoTools; OSError.
    """
    folder = folder.resolve()
    pkg = find_pkg(folder)
    read_manifest(folder)
    sources = find_sources(folder, pkg, COMPILERS)
    _link_sdk(folder)
    before, after = _read_record(folder), dict[str, _Made]()
    with tempfile.TemporaryDirectory(prefix="nectar-build-") as name:
        fresh: dict[str, Path] = {}
        for source in sources:
            file = f"{source.name}.wasm"
            sources_hash = made_of(source, folder)
            kept = before.get(file)
            if kept is not None and kept.sources == sources_hash and _digest(pkg / file) == kept.bytes:
                after[file] = kept
                continue
            began(file)
            fresh[file] = _compile(source, folder, Path(name) / file)
            after[file] = _Made(sources_hash, _digest(fresh[file]))
        _check_complete(folder, pkg, after)
        removed = tuple(sorted(each for each in before.keys() - after.keys() if _remove(pkg / each, before[each])))
        for file, made in fresh.items():
            once.deliver(made, pkg / file)
    _write_record(folder, after)
    unchanged = tuple(sorted(after.keys() - fresh.keys()))
    return Built(read_startable(folder, _ANY_NODE), tuple(fresh), unchanged, removed)


def find_pkg(folder: Path) -> Path:
    """Return the folder with the manifest of the package in `folder`; raises BadPackage."""
    for pkg in (folder / "pkg", folder):
        if is_there(pkg / "manifest.json"):
            return pkg
    raise BadPackage(
        f"{folder} is not a package: it has no pkg/manifest.json. Name its folder, or make one with `nectar new NAME`."
    )


def read_manifest(folder: Path) -> Package:
    """Return the package, whose processes need not be there yet; raises BadPackage."""
    return read_startable(folder, _ANY_NODE)


def made_of(source: ProcessSource, folder: Path) -> str:
    """Return the hash of all that the process is made of."""
    suffix = source.path.suffix
    beside = (folder / name for name in BESIDE.get(suffix, ()))
    parts = [source.root, *(each for each in beside if each.is_file())]
    return once.fingerprint(parts, f"{source.name} {fingerprint(suffix)}", source.apart)


def _compile(source: ProcessSource, folder: Path, output: Path) -> Path:
    try:
        COMPILERS[source.path.suffix](source.path, output)
    except DoesNotCompile as error:
        raise DoesNotCompile(str(error).replace(f"{folder}{os.sep}", "")) from None
    return output


def _check_complete(folder: Path, pkg: Path, made: dict[str, _Made]) -> None:
    """Raise BadPackage if the manifest names a process that nothing makes."""
    for entry in read_manifest(folder).entries:
        path = entry.wasm_path.strip("/")
        if path not in made and not (pkg / path).is_file():
            name = Path(path).stem
            place = "src/" if (folder / "src").is_dir() else ""
            kinds = ", ".join(f"{place}{name}{suffix}" for suffix in (".zig", ".c", ".rs", ".py", ".ts"))
            raise BadPackage(
                f"{pkg / 'manifest.json'} names {entry.wasm_path}, which nothing makes: there is no {kinds}."
            )


def _link_sdk(folder: Path) -> None:
    """Renew the link to the SDK in a package whose sources have a folder."""
    link = folder / SDK_LINK
    if not (folder / "src").is_dir() or (link.exists() and not link.is_symlink()):
        return
    if not link.is_symlink() or link.readlink() != SDK_FOLDER:
        staging = folder / f"{SDK_LINK}.new"
        with suppress(OSError):  # an editor without it is no reason not to build
            staging.unlink(missing_ok=True)
            staging.symlink_to(SDK_FOLDER)
            staging.replace(link)


def _read_record(folder: Path) -> dict[str, _Made]:
    """Return what was built here before; nothing, if that cannot be known: then it is built again."""
    with suppress(OSError, BadShape):
        with open_plain(folder / RECORD) as file:
            found = decode_untrusted(file.read(MAX_MANIFEST_BYTES), _Record).files
        return {name: made for name, made in found.items() if re.fullmatch(r"[A-Za-z0-9_-]+\.wasm", name)}
    return {}


def _write_record(folder: Path, made: dict[str, _Made]) -> None:
    files = {name: {"sources": each.sources, "bytes": each.bytes} for name, each in sorted(made.items())}
    staging = folder / f"{RECORD}.new"
    try:
        staging.write_text(json.dumps({"files": files}, indent=2) + "\n", "utf-8")
        staging.replace(folder / RECORD)
    finally:
        staging.unlink(missing_ok=True)


def _remove(path: Path, made: _Made) -> bool:
    """Remove a file that was built for a process that is gone, unless somebody has put another in its place."""
    if _digest(path) != made.bytes:
        return False
    path.unlink()
    once.debug_path(path).unlink(missing_ok=True)
    return True


def _digest(path: Path) -> str:
    try:
        with open_plain(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
