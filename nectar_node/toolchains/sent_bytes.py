"""Lets a component that componentize-py has built free the bytes that it sends.

Its runtime copies each `bytes` that a process passes to the node, by `wit_dylib_pop_list`, into memory that the code
around it takes for the interpreter's and the interpreter for that code's: so nobody frees it, and a process ends after
it has sent half a gigabyte. The runtime has a list, though, of what is freed once a call has returned, and a function
that adds to it, `wit_dylib_dealloc_bytes`. So this appends one function to the module of the runtime, which calls the
first and then the second, and exports it in place of the first. Nothing else in the component changes, and all
processes have the same module still, which a node compiles once.
"""

from __future__ import annotations

from typing import NamedTuple

from kernel.wasm.binary.module import BinaryReader, sections_untrusted

_CORE_MODULE = 1
"""Section number of a component."""
_IMPORTS, _FUNCTIONS, _EXPORTS, _CODE = 2, 3, 7, 10
"""Section numbers of a core module."""
_FUNCTION = 0
"""The kind of an export."""
_HEADER_BYTES = 8
MADE = "frees-sent-bytes-1"
"""What has been made of a component, for a key of those that are kept."""
POP_LIST, FREE_LATER = "wit_dylib_pop_list", "wit_dylib_dealloc_bytes"
"""(the call, the type, where to write the address) to the length; the address is zero if it is no list of bytes, but
one whose elements are taken one by one. And (the call, address, length, alignment, whether to free it later)."""


def free_sent_bytes(component: bytes) -> bytes:
    """Return the component with a runtime that frees what it sends. Raises ValueError if it has no such runtime."""
    parts, found, until = [component[:_HEADER_BYTES]], False, _HEADER_BYTES
    for number, start, end in sections_untrusted(component):
        section = component[until:end]
        if number == _CORE_MODULE:
            mended = _mended(component[start:end])
            if mended is not None:
                section, found = _section(number, mended), True
        parts.append(section)
        until = end
    if not found:
        raise ValueError(f"no core module exports {POP_LIST} and {FREE_LATER}")
    return b"".join(parts)


def _mended(module: bytes) -> bytes | None:
    """Return the module with the function; None: it is not the runtime."""
    sections = {number: (start, end) for number, start, end in sections_untrusted(module) if number}
    if not {_IMPORTS, _FUNCTIONS, _EXPORTS, _CODE} <= sections.keys():
        return None
    exports = _function_exports(BinaryReader(module, *sections[_EXPORTS]))
    if not {POP_LIST, FREE_LATER} <= exports.keys():
        return None
    pop_list, free_later = exports[POP_LIST], exports[FREE_LATER]
    imported = sum(each.kind == "function" for each in BinaryReader(module, *sections[_IMPORTS]).imports())
    types = BinaryReader(module, *sections[_FUNCTIONS])
    kinds = [types.u32() for _ in range(types.u32())]
    new = imported + len(kinds)
    body = _freeing(pop_list.number, free_later.number)
    parts, until = [module[:_HEADER_BYTES]], _HEADER_BYTES
    for number, start, end in sections_untrusted(module):
        content = module[start:end]
        if number == _FUNCTIONS:
            content = _appended(content, _leb(kinds[pop_list.number - imported]))
        elif number == _CODE:
            content = _appended(content, _leb(len(body)) + body)
        elif number == _EXPORTS:
            content = module[start : pop_list.start] + _leb(new) + module[pop_list.end : end]
        parts.append(_section(number, content) if number in (_FUNCTIONS, _CODE, _EXPORTS) else module[until:end])
        until = end
    return b"".join(parts)


class _Export(NamedTuple):
    number: int
    """Of the function."""
    start: int
    end: int
    """Where that is written."""


def _function_exports(reader: BinaryReader) -> dict[str, _Export]:
    found = {}
    for _ in range(reader.u32()):
        name, kind = reader.name(), reader.byte()
        start, number = reader.at, reader.u32()
        if kind == _FUNCTION:
            found[name] = _Export(number, start, reader.at)
    return found


def _freeing(pop_list: int, free_later: int) -> bytes:
    """Return the code of a function that does what `pop_list` does, and has bytes freed once the call is over.

    Parameters 0 to 2 are those of POP_LIST; local 3 is the length, and 4 the address.
    """
    code = b"\x01\x02\x7f"  # two locals of i32
    code += b"\x20\x00\x20\x01\x20\x02\x10" + _leb(pop_list) + b"\x21\x03"  # length = pop_list(call, type, where)
    code += b"\x20\x02\x28\x02\x00\x22\x04"  # address = load(where)
    code += b"\x04\x40"  # if it is not zero:
    code += b"\x20\x00\x20\x04\x20\x03\x41\x01\x41\x01\x10" + _leb(free_later)
    # free_later(call, address, length, 1, 1)
    return code + b"\x0b\x20\x03\x0b"  # return length


def _appended(content: bytes, item: bytes) -> bytes:
    """Return a vector with one item more."""
    reader = BinaryReader(content, 0, len(content))
    count = reader.u32()
    return _leb(count + 1) + content[reader.at :] + item


def _section(number: int, content: bytes) -> bytes:
    return bytes((number,)) + _leb(len(content)) + content


def _leb(number: int) -> bytes:
    """Return a number as unsigned LEB128 of no more bytes than it needs."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))
