"""Which source of a package makes which of its processes. Names decide, and there is nothing to configure.

The process `pkg/NAME.wasm` is made of `src/NAME.zig` (`.c`, `.rs`, `.py`, `.ts`, `.js`), or of `src/NAME/main.zig`, or
without a folder `src` of a file beside `pkg`. A source is a process if the manifest, the scripts or a source names
its `NAME.wasm`; the others are modules. A .wasm file without a source is the author's own, and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nectar_node.base.errors import BadPackage
from nectar_node.base.plain_files import open_plain

MAX_SOURCE_BYTES = 4 << 20
"""Bytes of a source that is looked through for names."""
_NAMED = re.compile(r"([A-Za-z0-9_-]+)\.wasm\b")
_IMPORTS = re.compile(r"\b(?:import|include|from|mod|use|embedFile|require)\b")


@dataclass(frozen=True, slots=True)
class ProcessSource:
    """One process of a package, before it is compiled."""

    name: str
    """Of its .wasm file, without the suffix."""
    path: Path
    root: Path
    """The folder with all that it may import."""
    apart: frozenset[Path] = frozenset()
    """Files in `root` with which it has nothing to do: the sources of other processes."""


def find_sources(folder: Path, pkg: Path, suffixes: Mapping[str, object]) -> tuple[ProcessSource, ...]:
    """Return the processes of the package in `folder` that have a source of one of these suffixes, by name.

    `pkg`: its folder with the manifest. Raises BadPackage if two sources make one process, and OSError.
    """
    root = folder / "src" if (folder / "src").is_dir() else folder
    candidates = sorted(_candidates(root, pkg, suffixes))
    texts = {path: _text(path) for _, path in candidates}
    named = set(_NAMED.findall("\n".join((*texts.values(), *_described(pkg)))))
    found: dict[str, Path] = {}
    for name, path in candidates:
        if name not in named:
            continue
        if name in found:
            raise BadPackage(f"{found[name]} and {path} would both make {name}.wasm: rename or remove one of them.")
        found[name] = path
    return tuple(_source(name, path, root, found, texts) for name, path in found.items())


def _candidates(root: Path, pkg: Path, suffixes: Mapping[str, object]) -> Iterator[tuple[str, Path]]:
    """Yield every source that could be a process, with its name."""
    for path in root.iterdir():
        if path.name.startswith(".") or path == pkg:
            continue
        if path.suffix in suffixes and not path.is_dir():
            yield path.stem, path
        elif path.is_dir():
            yield from ((path.name, each) for each in path.glob("main.*") if each.suffix in suffixes)


def _described(pkg: Path) -> Iterator[str]:
    for name in ("manifest.json", "scripts.json"):
        if (pkg / name).is_file():
            yield _text(pkg / name)


def _text(path: Path) -> str:
    with open_plain(path) as file:
        return file.read(MAX_SOURCE_BYTES).decode("utf-8", "replace")


def _source(name: str, path: Path, root: Path, found: Mapping[str, Path], texts: Mapping[Path, str]) -> ProcessSource:
    if path.parent != root:  # a folder of its own
        return ProcessSource(name, path, path.parent)
    apart = {each for other, each in found.items() if other != name and not _imported(each, texts)}
    return ProcessSource(name, path, root, frozenset(each for each in apart if each.parent == root))


def _imported(path: Path, texts: Mapping[Path, str]) -> bool:
    """Whether a line of another source may import this one. A doubt is a yes: then too much is compiled, never too
    little."""
    word = re.compile(rf"\b{re.escape(path.stem)}\b(?!\.wasm)")
    for other, text in texts.items():
        if other != path and any(_IMPORTS.search(line) and word.search(line) for line in text.splitlines()):
            return True
    return False
