"""Finds the packages that a test or a scenario names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nectar_node.base.errors import BadInput
from nectar_node.packages.manifest import read_package
from testnet.model.lab import PACKAGES
from testnet.model.travelled import local

_ANY_NODE = "any.nec"


def find_package(named: str | Path, places: Sequence[Path]) -> Path:
    """Return the folder of a package: a path, from the first of `places` that has it, or the name of one that comes
    with the node. Raises BadInput."""
    candidates = [local(place / named) for place in places]
    if len(Path(named).parts) == 1:
        candidates.append(PACKAGES / named)
    for folder in candidates:
        if _is_package(folder):
            return folder.resolve()
    there = [folder for folder in candidates if folder.is_dir()]
    if there:
        raise BadInput(f"{there[0]} is not a package: neither it nor a folder pkg in it has a manifest.json.")
    looked = " or ".join(dict.fromkeys(str(place) for place in places))
    raise BadInput(f"There is no package {str(named)!r} in {looked}{_shipped()}.")


def check_built(folder: Path) -> None:
    """Raise BadInput if the code of one of the package's processes is not there; what else is wrong with it, a node
    says when it starts it."""
    package = read_package(folder, _ANY_NODE)
    for entry in package.entries:
        file = package.folder / entry.wasm_path.strip("/")
        if not file.exists():
            where = package.folder.parent if package.folder.name == "pkg" else package.folder
            build = f"nectar build {shlex.quote(str(where))}"
            raise BadInput(f"{file}, the code of {entry.process}, is not there: `{build}` compiles it.")


def _is_package(folder: Path) -> bool:
    return any((place / "manifest.json").is_file() for place in (folder, folder / "pkg"))


def _shipped() -> str:
    names = sorted(folder.name for folder in PACKAGES.iterdir() if _is_package(folder)) if PACKAGES.is_dir() else []
    return f", nor is it one of those that come with the node: {', '.join(names)}" if names else ""
