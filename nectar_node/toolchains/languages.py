"""The languages of processes: which suffix is compiled by what, and what else its result depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import c, javascript, once, python, rust, zig

COMPILERS: dict[str, Callable[[Path, Path], None]] = {
    ".py": python.build,
    ".c": c.build,
    ".zig": zig.build,
    ".rs": rust.build,
    **dict.fromkeys(javascript.SUFFIXES, javascript.build),
}
"""What compiles sources of a suffix."""
_PARTS = {
    ".py": ("python/nectar", "zig/wit"),
    ".c": ("c/nectar.h",),
    ".zig": ("zig",),
    ".rs": ("rust",),
    **dict.fromkeys(javascript.SUFFIXES, ("javascript", "zig/wit")),
}
BESIDE = {
    ".rs": ("Cargo.toml", "Cargo.lock"),
    **dict.fromkeys(javascript.SUFFIXES, ("package.json", "package-lock.json")),
}
"""Files of the package that say what its sources depend on."""
_HERE = Path(__file__).parent


def fingerprint(suffix: str) -> str:
    """Return a hash of what the project adds to every process of this language: its SDK, the versions of its tools, and
    how they are called."""
    return once.fingerprint([*(SDK_FOLDER / part for part in _PARTS[suffix]), _HERE], suffix)
