"""Has a core module note which of its basic blocks it has passed through: for searches that look for new ground.

Owns the binary format inside functions, as far as blocks need it. At the beginning of each block a few instructions set
that block's byte in a memory of their own, and count one more block. They leave operands, locals, tables and the
program's memory alone, so it computes what it would without them. They cost fuel, always as much, so whoever knows the
count knows what the program alone has used (`FUEL_OF_A_BLOCK`, `fiber`). A block begins with a function and a loop, on
both sides of a condition, and where a block ends.

A module is left as it is if it has instructions that are not known here, or too many blocks. Pure. Every byte is
untrusted, and only BadModule leaves; whether a module is valid is Wasmtime's business.
"""

from __future__ import annotations

from kernel.contract.errors import BadModule
from kernel.wasm.binary.module import (
    EXPORT_SECTION,
    FUNCTION_CODE_SECTION,
    IMPORT_SECTION,
    MEMORY_SECTION,
    BinaryReader,
    sections_untrusted,
)

EXPORT = "nectar blocks "
"""The exported memory has this name, and after it the number of blocks."""
FIRST_BLOCK = 8
"""Where the bytes of the blocks begin; before them the count of blocks passed, as 64 bits."""
FUEL_OF_A_BLOCK = 9
"""Units of fuel that noting one block takes: one for each of its instructions."""
_PAGE_BYTES = 1 << 16
MAX_BLOCKS = _PAGE_BYTES - FIRST_BLOCK
"""Of a program: an interpreter has more, and its blocks say little of the program that it runs."""
_MAX_MEMORIES = 1
_I32_CONST_0, _I32_CONST_1, _I64_CONST_1 = b"\x41\x00", b"\x41\x01", b"\x42\x01"
_I64_LOAD, _I64_STORE, _I32_STORE8, _I64_ADD = b"\x29", b"\x37", b"\x3a", b"\x7c"
_IN_MEMORY = 0x40
"""The flag of a memory argument that says that a memory's number follows."""

_LOOP, _IF, _ELSE, _END, _BR_IF = 0x03, 0x04, 0x05, 0x0B, 0x0D
_BLOCK, _BR_TABLE, _SELECT_TYPED = 0x02, 0x0E, 0x1C
_BEGINS_A_BLOCK = frozenset((_LOOP, _IF, _ELSE, _END, _BR_IF))
_WITH_TYPE = frozenset((_BLOCK, _LOOP, _IF))
_REFERENCES = (0x63, 0x64)
"""Types that go on with another one; no compiler gives them to a block."""
_LEBS: dict[int, int] = {
    **dict.fromkeys((_BLOCK, _LOOP, _IF, 0x0C, _BR_IF, 0x10, 0x12, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0x42), 1),
    **dict.fromkeys((0xD0, 0xD2), 1),
    **dict.fromkeys((0x11, 0x13), 2),
    **dict.fromkeys((0x00, 0x01, _ELSE, _END, 0x0F, 0x1A, 0x1B, 0xD1, *range(0x45, 0xC5)), 0),
}
"""The LEB128 numbers that follow an opcode."""
_LEBS_AFTER_FC = (*[0] * 8, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1)
"""The same of those with the prefix 0xFC."""
_VECTORS_WITH_MEMORY = frozenset((*range(12), 92, 93))
_VECTORS_WITH_BYTES = {12: 16, 13: 16, **dict.fromkeys(range(21, 35), 1)}
_VECTOR_LANES = range(84, 92)
"""Loads and stores of one lane."""


class _Unknown(Exception):
    """An instruction that is not known here, or more blocks than are counted."""


def with_blocks_untrusted(module: bytes) -> bytes:
    """Return a core module that notes its blocks, or the module itself if that cannot be. Raises BadModule if it is cut
    off, has several memories or exports what has such a name already."""
    sections = sections_untrusted(module)
    of = {number: (start, end) for number, start, end in sections if number}
    for number in (MEMORY_SECTION, EXPORT_SECTION, FUNCTION_CODE_SECTION):
        if number not in of:
            return module
    if IMPORT_SECTION in of:
        imports = BinaryReader(module, *of[IMPORT_SECTION]).imports()
        if any(each.kind == "memory" for each in imports):
            return module
    if BinaryReader(module, *of[MEMORY_SECTION]).u32() > _MAX_MEMORIES:
        raise BadModule("it has more than one memory")
    if any(each.name.startswith(EXPORT) for each in BinaryReader(module, *of[EXPORT_SECTION]).exports()):
        raise BadModule(f"it has an export that begins with {EXPORT!r}, which a simulation uses itself")
    try:
        code, blocks = _noting(BinaryReader(module, *of[FUNCTION_CODE_SECTION]))
    except _Unknown:
        return module
    name = f"{EXPORT}{blocks}".encode()
    more = {
        MEMORY_SECTION: b"\x01\x01\x01",  # with a maximum, of one page
        EXPORT_SECTION: _leb(len(name)) + name + b"\x02\x01",
    }
    pieces = [module[:8]]
    for number, start, end in sections:
        contents = module[start:end]
        if number == FUNCTION_CODE_SECTION:
            contents = code
        elif number in more:
            contents = _with_entry(contents, more[number])
        pieces += (bytes((number,)), _leb(len(contents)), contents)
    return b"".join(pieces)


def _with_entry(contents: bytes, entry: bytes) -> bytes:
    """Return a section with one more entry at its end."""
    reader = BinaryReader(contents, 0, len(contents))
    count = reader.u32()
    return _leb(count + 1) + contents[reader.at :] + entry


def _leb(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _noting(reader: BinaryReader) -> tuple[bytes, int]:
    """Return the contents of a code section that notes its blocks, and how many there are. Raises _Unknown."""
    count, blocks = reader.u32(), 0
    bodies = [_leb(count)]
    for _ in range(count):
        size = reader.u32()
        begin = reader.at
        body, blocks = _body(BinaryReader(reader.data, begin, reader.skip(size)), blocks)
        bodies += (_leb(len(body)), body)
    return b"".join(bodies), blocks


def _body(reader: BinaryReader, blocks: int) -> tuple[bytes, int]:
    """Return a function's body, and how many blocks there are with its own."""
    data, copied = reader.data, reader.at
    for _ in range(reader.u32()):
        reader.leb()
        reader.value_type()
    pieces: list[bytes] = []
    at = _note_at = reader.at
    while True:
        # The end of a function is no block: nothing can follow it.
        if _note_at >= 0 and at < reader.end:
            if blocks == MAX_BLOCKS:
                raise _Unknown
            pieces += (data[copied:at], _note(blocks))
            copied, blocks = at, blocks + 1
        if at >= reader.end:
            break
        opcode = reader.byte()
        _skip_immediates(reader, opcode)
        at = reader.at
        _note_at = at if opcode in _BEGINS_A_BLOCK else -1
    pieces.append(data[copied:at])
    return b"".join(pieces), blocks


_COUNT = b"".join(
    (
        _I32_CONST_0,
        _I32_CONST_0,
        _I64_LOAD + bytes((_IN_MEMORY | 3, 1, 0)),
        _I64_CONST_1,
        _I64_ADD,
        _I64_STORE + bytes((_IN_MEMORY | 3, 1, 0)),
    )
)


def _note(block: int) -> bytes:
    """Return the instructions that note a block."""
    return _COUNT + _I32_CONST_0 + _I32_CONST_1 + _I32_STORE8 + bytes((_IN_MEMORY, 1)) + _leb(FIRST_BLOCK + block)


def _skip_immediates(reader: BinaryReader, opcode: int) -> None:
    """Go on behind what follows an opcode. Raises _Unknown."""
    lebs = _LEBS.get(opcode)
    if opcode in _WITH_TYPE and reader.at < reader.end and reader.data[reader.at] in _REFERENCES:
        raise _Unknown
    if lebs is not None:
        for _ in range(lebs):
            reader.leb()
    elif 0x28 <= opcode <= 0x3E:
        _skip_memory_argument(reader)
    elif opcode == _BR_TABLE:
        for _ in range(reader.u32() + 1):
            reader.leb()
    elif opcode == _SELECT_TYPED:
        for _ in range(reader.u32()):
            reader.value_type()
    elif opcode == 0x43:
        reader.skip(4)
    elif opcode == 0x44:
        reader.skip(8)
    elif opcode == 0xFC:
        number = reader.u32()
        if number >= len(_LEBS_AFTER_FC):
            raise _Unknown
        for _ in range(_LEBS_AFTER_FC[number]):
            reader.leb()
    elif opcode == 0xFD:
        _skip_vector(reader)
    else:
        raise _Unknown


def _skip_vector(reader: BinaryReader) -> None:
    number = reader.u32()
    if number in _VECTORS_WITH_MEMORY:
        _skip_memory_argument(reader)
    elif number in _VECTOR_LANES:
        _skip_memory_argument(reader)
        reader.byte()
    else:
        reader.skip(_VECTORS_WITH_BYTES.get(number, 0))


def _skip_memory_argument(reader: BinaryReader) -> None:
    flags = reader.u32()
    if flags & _IN_MEMORY:
        reader.leb()
    reader.leb()
