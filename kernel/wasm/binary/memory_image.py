"""Takes what a core module's memory begins with apart from all else that the module is.

An interpreter that was stopped once it had started is a core module whose data is its memory at that time. Two programs
in JavaScript are such modules: nine megabytes of functions that are the same, and three of data that are not. So what
takes long to compile is compiled once (`SplitModule.shared`), with a placeholder for the memory, and each program's
memory is written over that.

That is done where it can change nothing: all data is active, at constant places within the one memory of the module's
own, so that it is there before anything can look at it and is gone as data after that, however it was cut in segments.
All other modules stay as they are. Pure. What it is given is untrusted and validated by the compiler later: `shared` is
valid exactly if the module is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from kernel.contract.errors import BadModule
from kernel.contract.message import Buffer
from kernel.wasm.binary.module import (
    DATA_COUNT_SECTION,
    DATA_SECTION,
    IMPORT_SECTION,
    MEMORY_SECTION,
    BinaryReader,
    sections_untrusted,
)

_WORTH_BYTES = 1 << 20
"""A smaller module compiles within half a second."""
_MAX_IMAGE_BYTES = 64 << 20
"""A memory that is as large when the program begins; JavaScript's has nine megabytes, Python's thirteen."""
_MAX_GROWTH = 8
"""How much larger than its data the memory may be: what is kept for a module is no more than a few times its size."""
_MAX_SEGMENTS = 100_000
"""Wasmtime's own bound."""
_PAGE_BYTES = 1 << 16

_ACTIVE, _I32_CONST, _END = 0x00, 0x41, 0x0B
_AT_ZERO = bytes([_ACTIVE, _I32_CONST, 0, _END])
"""How a segment begins that is active, of the only memory and at its beginning."""
_STEP_BYTES = 1 << 20
_PROBE_BYTES = 64
"""Of the placeholder: they occur nowhere by chance, nor by will, since they are made of a hash of all the rest."""


@dataclass(frozen=True)
class SplitModule:
    """A core module, as what it shares with others and what it does not."""

    before: bytes
    """What precedes the data section."""
    after: bytes
    segments: int
    """Segments of `shared`."""
    digest: bytes
    """A hash of all that is in `shared`."""
    image: bytes | bytearray
    """What the memory begins with."""

    @cached_property
    def placeholder(self) -> bytes:
        """As many bytes as the image; made when they are asked for, since it takes longer than all else here."""
        return _placeholder(self.digest, len(self.image))

    @property
    def shared(self) -> bytes:
        """A core module whose memory begins with a placeholder; all that differ in their data alone have the same."""
        empty = (_AT_ZERO + b"\0") * (self.segments - 1)
        size = _number(len(self.placeholder))
        data = b"".join((_number(self.segments), _AT_ZERO, size, self.placeholder, empty))
        return b"".join((self.before, bytes([DATA_SECTION]), _number(len(data)), data, self.after))

    def written_into(self, compiled: bytes) -> tuple[Buffer, ...] | None:
        """Return what the module itself compiles to, in pieces, from what `shared` was compiled to; None if that does
        not contain the placeholder exactly once."""
        places = list(_places(compiled, self.placeholder[:_PROBE_BYTES]))
        if len(places) != 1 or not compiled.startswith(self.placeholder, places[0]):
            return None
        rest = memoryview(compiled)
        return rest[: places[0]], self.image, rest[places[0] + len(self.image) :]


def _places(data: bytes, probe: bytes) -> Iterator[int]:
    """Yield where the probe occurs; in steps, since other threads of this Python wait for each."""
    for start in range(0, len(data), _STEP_BYTES):
        end = start + _STEP_BYTES + len(probe) - 1
        at = data.find(probe, start, end)
        while at >= 0:
            yield at
            at = data.find(probe, at + 1, end)


def split_untrusted(module: bytes) -> SplitModule | None:
    """Return a core module in its two parts; None if it is not of the kind that is split, or not worth it."""
    if len(module) < _WORTH_BYTES:
        return None
    try:
        return _split(module)
    except BadModule:
        return None  # the compiler says what is wrong


def _split(module: bytes) -> SplitModule | None:
    sections = dict[int, tuple[int, int]]()
    before_data = end_before = 0
    for number, start, end in sections_untrusted(module):
        if number:
            if number in sections:
                return None
            sections[number] = start, end
        if number == DATA_SECTION:
            before_data = end_before
        end_before = end
    if not before_data or MEMORY_SECTION not in sections or _imports_memory(module, sections):
        return None
    size = _memory_bytes(BinaryReader(module, *sections[MEMORY_SECTION]))
    if size is None:
        return None
    start, end = sections[DATA_SECTION]
    found = _image(BinaryReader(module, start, end), size)
    if found is None:
        return None
    image, segments = found
    # Instructions name segments by their numbers, so there are as many as before; they can only if these are announced.
    segments = segments if DATA_COUNT_SECTION in sections else 1
    before, after = module[:before_data], module[end:]
    hashed = hashlib.sha256(b"%d segments, after %d bytes" % (segments, len(before)))
    hashed.update(before)
    hashed.update(after)
    digest = hashed.digest()
    return SplitModule(before, after, segments, digest, image)


def _imports_memory(module: bytes, sections: dict[int, tuple[int, int]]) -> bool:
    if IMPORT_SECTION not in sections:
        return False
    imports = BinaryReader(module, *sections[IMPORT_SECTION]).imports()
    return any(each.kind == "memory" for each in imports)


def _memory_bytes(reader: BinaryReader) -> int | None:
    """Return how large the only memory is at first; None if there are others, or it is of a kind of its own."""
    if reader.u32() != 1:
        return None
    has_maximum = reader.byte()
    if has_maximum > 1:
        return None
    size = reader.u32() * _PAGE_BYTES
    if has_maximum:
        reader.u32()
    return size if reader.at == reader.end and 0 < size <= _MAX_IMAGE_BYTES else None


def _image(reader: BinaryReader, size: int) -> tuple[bytearray, int] | None:
    """Return what a memory of that size begins with, and of how many segments; None if one is not of the plain kind or
    out of bounds, or they are too few bytes for the size."""
    segments = reader.count(_MAX_SEGMENTS, "data segments")
    image, filled = bytearray(size), 0
    for _ in range(segments):
        if reader.byte() != _ACTIVE or reader.byte() != _I32_CONST:
            return None
        at = reader.i32() & 0xFFFFFFFF
        if reader.byte() != _END:
            return None
        length = reader.u32()
        end = reader.skip(length)
        if at + length > size:
            return None
        image[at : at + length] = reader.data[end - length : end]
        filled += length
    if reader.at != reader.end or size > filled * _MAX_GROWTH:
        return None
    return image, segments


def _placeholder(seed: bytes, size: int) -> bytes:
    """Return bytes that occur nowhere else; they neither begin nor end with zeros, which a compiler may leave out."""
    numbers = range(size // _PAGE_BYTES)
    pages = [hashlib.shake_256(seed + number.to_bytes(4, "big")).digest(_PAGE_BYTES) for number in numbers]
    return b"\1".join((b"", b"".join(pages)[1:-1], b""))


def _number(value: int) -> bytes:
    """Return LEB128."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
