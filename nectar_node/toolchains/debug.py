"""Takes what a compiler has made apart: the small .wasm file that is a process, and beside it the debug file that
explains its traps (`kernel.wasm.binary.debug_file`).

The small file is the large one without its custom sections, so it is the same as if it had been compiled without debug
information. Paths in the debug file are relative to the author's folder, the SDK's or the compiler's: the same on every
machine.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from kernel.contract.errors import BadModule
from kernel.wasm.binary.debug_file import Scope, Stretch, write
from kernel.wasm.binary.module import BinaryReader, imports_untrusted, sections_untrusted
from nectar_node.toolchains.dwarf import BadDebugInfo, DebugInfo, Subprogram
from nectar_node.toolchains.once import debug_path

VERSION = 3
"""Grows when other files are made of the same output of a compiler."""
MAX_STEPS = 20_000_000
"""Stretches that are given a scope, each once for every call around it: two seconds; 25 KB of Rust take a hundred
thousand."""
_HEADER_BYTES = 8
_CUSTOM, _CODE = 0, 10
"""Section numbers of a core module."""
_FUNCTION_NAMES = 1
"""The number of this part of the section `name`."""
_GENERATED = re.compile(r"__(?:func|anon|struct|enum|union)_\d+|::h[0-9a-f]{16}$|\{impl#\d+\}::|\.llvm\.\d+$")
"""What compilers add to names of functions."""
_LIBRARY = re.compile(r"(?:^|/)(?:ziglang/lib|rustc[-/][^/]+/(?:library|vendor)|src/rust/library)/(.+)$")
"""Where in the compilers' folders their standard libraries lie."""


def split(built: Path, places: Mapping[str, str]) -> None:
    """Replace a core module by itself without custom sections, and write its debug file beside it.

    `places`: folders as the compiler knows them, and what they are called in the debug file, the first that fits. If
    the debug information is not understood, there is no debug file. Raises OSError.
    """
    whole = built.read_bytes()
    try:
        small = _stripped(whole)
        found = write(hashlib.sha256(small).digest(), _stretches(whole, small, places))
    except BadDebugInfo:
        found = b""
    except BadModule:
        return
    built.write_bytes(small)
    debug_path(built).unlink(missing_ok=True)
    if found:
        debug_path(built).write_bytes(found)


def called(sources: Path) -> str:
    """Return what a folder with an author's sources is called in debug files: it is that of a package, or its `src`."""
    return "src/" if sources.name == "src" else ""


def _stripped(wasm: bytes) -> bytes:
    parts, at = [wasm[:_HEADER_BYTES]], _HEADER_BYTES
    for number, _, end in sections_untrusted(wasm):
        if number != _CUSTOM:
            parts.append(wasm[at:end])
        at = end
    return b"".join(parts)


def _stretches(whole: bytes, small: bytes, places: Mapping[str, str]) -> Iterator[Stretch]:
    """Yield where each stretch of code of the small module comes from. Raises BadDebugInfo and BadModule."""
    custom = dict(_custom_sections(whole))
    code = next(((start, end) for number, start, end in sections_untrusted(small) if number == _CODE), None)
    if code is None:
        return
    begin, end = code
    bodies = list(_bodies(small, begin, end))
    first = sum(each.kind == "function" for each in imports_untrusted(small))
    named = dict(_function_names(custom.get("name", b"")))
    shorten = _Shortener(places)
    painted = [
        (low - begin, high - begin, Scope(_plain(named.get(first + number, ""))))
        for number, (low, high) in enumerate(bodies)
    ]
    info = DebugInfo(custom)
    for function in info.functions():
        _paint(function, None, shorten, painted)
    size = end - begin
    lines = {}
    for low, high, file, line in _sequences(info, bodies, begin):
        lines[low] = (shorten(file), line)
        lines.setdefault(high, ("", 0))
    edges = sorted({edge for low, high, _ in painted for edge in (low, high) if edge <= size} | lines.keys())
    scopes: list[Scope | None] = [None] * len(edges)
    steps = 0
    for low, high, found in painted:
        first_edge, last_edge = bisect_left(edges, low), bisect_left(edges, min(high, size))
        steps += last_edge - first_edge
        if steps > MAX_STEPS:
            raise BadDebugInfo("its ranges overlap without end")
        for index in range(first_edge, last_edge):
            scopes[index] = found
    file, line = "", 0
    for edge, scope in zip(edges, scopes, strict=True):
        file, line = lines.get(edge, (file, line))
        yield Stretch(begin + edge, scope, file, line)


def _sequences(info: DebugInfo, bodies: list[tuple[int, int]], begin: int) -> Iterator[tuple[int, int, str, int]]:
    """Yield from, up to, file and line of the rows of functions that are there: linkers leave rows of others behind."""
    before, ends = None, 0
    for row in info.lines():
        if before is None:
            number = bisect_left(bodies, (begin + row.start + 1,)) - 1
            inside = number >= 0 and begin + row.start < bodies[number][1]
            ends = bodies[number][1] - begin if inside else -1
        elif before.start < row.start <= ends or (row.ends and before.start < ends):
            yield before.start, min(row.start, ends), before.file, before.line
        before = None if row.ends else row


def _paint(
    function: Subprogram, within: Scope | None, shorten: _Shortener, painted: list[tuple[int, int, Scope]]
) -> None:
    """Add the ranges of a function, and over these the ones of what is inlined there."""
    scope = Scope(_plain(function.name), within, shorten(function.file), function.line)
    painted.extend((low, high, scope) for low, high in function.ranges)
    for each in function.inlined:
        _paint(each, scope, shorten, painted)


def _plain(name: str) -> str:
    return _GENERATED.sub("", name)


class _Shortener:
    """Makes paths short, and the same on every machine."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = [(f"{folder}/", name) for folder, name in places.items()]
        self._known: dict[str, str] = {"": ""}

    def __call__(self, path: str) -> str:
        """Return a path as the debug file has it."""
        if path not in self._known:
            self._known[path] = self._shortened(path)
        return self._known[path]

    def _shortened(self, path: str) -> str:
        if path.startswith("/"):
            path = posixpath.normpath(path)  # Zig goes up from the SDK to the author's folder
        library = _LIBRARY.search(path)
        if library is not None:
            return library[1]
        for folder, name in self._places:
            if path.startswith(folder):
                return f"{name}{path[len(folder) :]}"
        inside = path.removeprefix("./")
        return PurePosixPath(path).name if inside.startswith(("/", ".")) or "/../" in inside else inside


def _custom_sections(wasm: bytes) -> Iterator[tuple[str, bytes]]:
    for number, start, end in sections_untrusted(wasm):
        if number == _CUSTOM:
            reader = BinaryReader(wasm, start, end)
            yield reader.name(), wasm[reader.at : end]


def _bodies(wasm: bytes, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Yield begin and end of each function's code."""
    reader = BinaryReader(wasm, start, end)
    for _ in range(reader.u32()):
        size = reader.u32()
        began = reader.at
        yield began, reader.skip(size)


def _function_names(section: bytes) -> Iterator[tuple[int, str]]:
    reader = BinaryReader(section, 0, len(section))
    with suppress(BadModule):  # a name that is too long; those before it are known
        while reader.at < reader.end:
            part, size = reader.byte(), reader.u32()
            ends = reader.at + size
            if part == _FUNCTION_NAMES:
                for _ in range(reader.u32()):
                    yield reader.u32(), reader.name()
            reader.skip(ends - reader.at)
