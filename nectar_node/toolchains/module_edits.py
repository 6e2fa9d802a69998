"""What changes a core module without knowing what is inside its functions: more functions, and exports of others."""

from __future__ import annotations

from typing import NamedTuple

from kernel.wasm.binary.module import BinaryReader, sections_untrusted

CORE_MODULE = 1
"""Section number of a component."""
CUSTOM, IMPORTS, FUNCTIONS, EXPORTS, CODE = 0, 2, 3, 7, 10
"""Section numbers of a core module."""
HEADER_BYTES = 8
_FUNCTION = 0
"""The kind of an export."""


class ExportedFunction(NamedTuple):
    """A function that is exported."""

    number: int
    """Of the function."""
    start: int
    end: int
    """Where that is written."""


class NewFunction(NamedTuple):
    """A function to append, with the type of another."""

    like: int
    """The number of a function of this module that has the same type; no imported one."""
    body: bytes
    """Its locals and its code."""


def function_exports(module: bytes) -> dict[str, ExportedFunction]:
    """Return the functions that a module exports, by name."""
    found: dict[str, ExportedFunction] = {}
    for number, start, end in sections_untrusted(module):
        if number != EXPORTS:
            continue
        reader = BinaryReader(module, start, end)
        for _ in range(reader.u32()):
            name, kind = reader.name(), reader.byte()
            at, exported = reader.at, reader.u32()
            if kind == _FUNCTION:
                found[name] = ExportedFunction(exported, at, reader.at)
    return found


def count_functions(module: bytes) -> tuple[int, int]:
    """Return how many functions a module imports, and how many it has itself."""
    imported = own = 0
    for number, start, end in sections_untrusted(module):
        if number == IMPORTS:
            imported = sum(each.kind == "function" for each in BinaryReader(module, start, end).imports())
        elif number == FUNCTIONS:
            own = BinaryReader(module, start, end).u32()
    return imported, own


def with_functions(module: bytes, new: list[NewFunction]) -> bytes:
    """Return the module with more functions; the first has the number after that of the last of before."""
    imported, _ = count_functions(module)
    parts, until = [module[:HEADER_BYTES]], HEADER_BYTES
    for number, start, end in sections_untrusted(module):
        if number == FUNCTIONS:
            reader = BinaryReader(module, start, end)
            types = [reader.u32() for _ in range(reader.u32())]
            parts.append(section(number, _appended(module[start:end], [leb(types[f.like - imported]) for f in new])))
        elif number == CODE:
            parts.append(section(number, _appended(module[start:end], [leb(len(f.body)) + f.body for f in new])))
        else:
            parts.append(module[until:end])
        until = end
    return b"".join(parts)


def with_exports(module: bytes, functions: dict[str, int]) -> bytes:
    """Return the module with other functions under names that it exports already."""
    exports = function_exports(module)
    parts, until = [module[:HEADER_BYTES]], HEADER_BYTES
    for number, start, end in sections_untrusted(module):
        if number == EXPORTS:
            content, at = b"", start
            for name, function in sorted(functions.items(), key=lambda each: exports[each[0]].start):
                content += module[at : exports[name].start] + leb(function)
                at = exports[name].end
            parts.append(section(number, content + module[at:end]))
        else:
            parts.append(module[until:end])
        until = end
    return b"".join(parts)


def section(number: int, content: bytes) -> bytes:
    """Return a section as a file has it."""
    return bytes((number,)) + leb(len(content)) + content


def leb(number: int) -> bytes:
    """Return a number as unsigned LEB128 of no more bytes than it needs."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))


def signed_leb(number: int) -> bytes:
    """Return a number as signed LEB128 of no more bytes than it needs."""
    parts = bytearray()
    while not -0x40 <= number < 0x40:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number & 0x7F))


def _appended(content: bytes, items: list[bytes]) -> bytes:
    """Return a vector with more items."""
    reader = BinaryReader(content, 0, len(content))
    count = reader.u32()
    return leb(count + len(items)) + content[reader.at :] + b"".join(items)
