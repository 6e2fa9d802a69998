"""Reads a .wasm file just far enough to find the core module to run, and what a core module imports, exports and has.

Owns the section structure of core modules and components (the core specification's binary format, and the Component
Model's Binary.md). A core module is taken as it is. Of a component the first embedded core module is looked at: every
wit-component output embeds its main module first and the adapters around it after that. If the main module needs no
more than the process interface and WASI preview 1, it is run alone; if not, `component` says how all of them are
linked. What is inside functions is Wasmtime's business.

Pure. Every byte is untrusted, and only BadModule leaves. Nothing here allocates more than a slice of its input.
"""

from __future__ import annotations

from typing import NamedTuple

from kernel.contract import limits
from kernel.contract.errors import BadModule

_CORE = b"\0asm\x01\0\0\0"
_COMPONENT = b"\0asm\x0d\0\x01\0"
_HEADER_BYTES = 8

IMPORT_SECTION, _FUNCTION_SECTION, _TABLE_SECTION, MEMORY_SECTION = 2, 3, 4, 5
_GLOBAL_SECTION, EXPORT_SECTION, _ELEMENT_SECTION, FUNCTION_CODE_SECTION = 6, 7, 9, 10
DATA_SECTION, DATA_COUNT_SECTION = 11, 12
"""Section numbers of a core module."""
_CORE_MODULE_SECTION = 1
"""Section number of a component."""
_MAX_NAME_BYTES = 1024
"""The longest name of an import or export; a real one has less than a few hundred bytes."""
_MAX_IMPORTS = 4096
"""A real module has less than a hundred."""
_MAX_EXPORTS = 16384
"""A real module has a handful, one that exports all its functions a few thousand."""
_MAX_TABLES = 100
"""Wasmtime's own bound."""

_FUNCTION, _TABLE, _MEMORY, _GLOBAL, _TAG = range(5)
_KIND_NAMES = ("function", "table", "memory", "global", "tag")


class Import(NamedTuple):
    """One import of a core module."""

    module: str
    name: str
    kind: str
    """One of function, table, memory, global or tag."""


class Export(NamedTuple):
    """One export of a core module."""

    name: str
    kind: str
    """As in `Import`."""


class Contents(NamedTuple):
    """What a core module has to do with others."""

    imports: list[Import]
    exports: list[Export]
    tables: int
    """Tables of its own."""
    memories: int
    """Memories of its own."""
    parts: int
    """Imports, functions, globals, and bytes of what its tables begin with: each instance has some of each."""


def is_component(wasm: bytes) -> bool:
    """Return whether these are the bytes of a component, going by the header."""
    return wasm[:_HEADER_BYTES] == _COMPONENT


def core_module_untrusted(wasm: bytes) -> bytes:
    """Return the core module to run from the bytes of a .wasm file. Raises BadModule."""
    if len(wasm) > limits.MAX_MODULE_BYTES:
        raise BadModule(f"the file has {len(wasm)} bytes, more than {limits.MAX_MODULE_BYTES}")
    if wasm[:_HEADER_BYTES] == _CORE:
        _check_sections(wasm)
        return wasm
    if not is_component(wasm):
        raise BadModule("the file is neither a WebAssembly module nor a component of a known version")
    for number, start, end in sections_untrusted(wasm):
        if number == _CORE_MODULE_SECTION:
            module = wasm[start:end]
            if module[:_HEADER_BYTES] != _CORE:
                raise BadModule("the component's first core module has an unknown version")
            _check_sections(module)
            return module
    raise BadModule("the component embeds no core module")


def imports_untrusted(module: bytes) -> list[Import]:
    """Return what a core module imports, in order. Raises BadModule."""
    for number, start, end in sections_untrusted(module):
        if number == IMPORT_SECTION:
            return BinaryReader(module, start, end).imports()
    return []


def exports_untrusted(module: bytes) -> set[str]:
    """Return the names of what a core module exports. Raises BadModule."""
    for number, start, end in sections_untrusted(module):
        if number == EXPORT_SECTION:
            return {export.name for export in BinaryReader(module, start, end).exports()}
    return set()


def read_module_untrusted(module: bytes) -> Contents:
    """Return what a core module imports, exports and has. Raises BadModule."""
    if module[:_HEADER_BYTES] != _CORE:
        raise BadModule("the component embeds a core module of an unknown version")
    imports, exports, tables, memories, parts = list[Import](), list[Export](), 0, 0, 0
    seen = set[int]()
    for number, start, end in sections_untrusted(module):
        reader = BinaryReader(module, start, end)
        if number and number in seen:
            raise BadModule(f"a core module has section {number} twice")
        seen.add(number)
        if number == IMPORT_SECTION:
            imports = reader.imports()
        elif number == EXPORT_SECTION:
            exports = reader.exports()
        elif number == _TABLE_SECTION:
            tables = reader.count(_MAX_TABLES, "tables")
        elif number == MEMORY_SECTION:
            memories = reader.count(_MAX_TABLES, "memories")
        elif number in (_FUNCTION_SECTION, _GLOBAL_SECTION):
            parts += reader.u32()
        elif number == _ELEMENT_SECTION:
            parts += end - start
    return Contents(imports, exports, tables, memories, parts + len(imports))


def sections_untrusted(wasm: bytes) -> list[tuple[int, int, int]]:
    """Return number, start and end of each section of a core module or a component. Raises BadModule."""
    found: list[tuple[int, int, int]] = []
    reader = BinaryReader(wasm, _HEADER_BYTES, len(wasm))
    while reader.at < reader.end:
        if len(found) == limits.MAX_SECTIONS:
            raise BadModule(f"the file has more than {limits.MAX_SECTIONS} sections")
        number = reader.byte()
        size = reader.u32()
        found.append((number, reader.at, reader.skip(size)))
    return found


def _check_sections(module: bytes) -> None:
    sections_untrusted(module)


class BinaryReader:
    """A position within `data[:end]`; every step is checked, and raises BadModule."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def skip(self, count: int) -> int:
        """Move on by `count` bytes and return the new position."""
        if count > self.end - self.at:
            raise BadModule(f"the file is cut off: at byte {self.at} it announces {count} more bytes than it has")
        self.at += count
        return self.at

    def byte(self) -> int:
        """Return the next byte."""
        return self.data[self.skip(1) - 1]

    def u32(self) -> int:
        """Return a LEB128 number of at most 32 bits."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 32:
                    break
                return value
        raise BadModule(f"the number before byte {self.at} has more than 32 bits")

    def i32(self) -> int:
        """Return a LEB128 number of at most 32 bits with a sign."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                value -= (byte & 0x40) << (shift + 1)
                if not -(1 << 31) <= value < 1 << 31:
                    break
                return value
        raise BadModule(f"the number before byte {self.at} has more than 32 bits")

    def leb(self) -> None:
        """Skip a LEB128 number of at most 64 bits."""
        for _ in range(10):
            if self.byte() < 0x80:
                return
        raise BadModule(f"the number before byte {self.at} has more than 64 bits")

    def name(self) -> str:
        """Return a name: its length and its UTF-8 bytes."""
        length = self.u32()
        if length > _MAX_NAME_BYTES:
            raise BadModule(f"a name of {length} bytes; {_MAX_NAME_BYTES} is the limit")
        end = self.skip(length)
        try:
            return self.data[end - length : end].decode()
        except UnicodeDecodeError as error:
            raise BadModule(f"the name before byte {end} is not UTF-8") from error

    def count(self, limit: int, what: str) -> int:
        """Return how many of something follow, at least a byte each."""
        count = self.u32()
        if count > limit:
            raise BadModule(f"{count} {what}; {limit} is the limit")
        if count > self.end - self.at:
            raise BadModule(f"the file is cut off: at byte {self.at} it announces {count} {what}")
        return count

    def imports(self) -> list[Import]:
        """Return the contents of an import section."""
        found = []
        for _ in range(self.count(_MAX_IMPORTS, "imports")):
            module, name, kind = self.name(), self.name(), self.byte()
            if kind >= len(_KIND_NAMES):
                raise BadModule(f"{name!r} of {module!r} is imported as something unknown (kind {kind})")
            self._skip_type(kind)
            found.append(Import(module, name, _KIND_NAMES[kind]))
        return found

    def exports(self) -> list[Export]:
        """Return the contents of an export section."""
        found = []
        for _ in range(self.count(_MAX_EXPORTS, "exports")):
            name, kind = self.name(), self.byte()
            if kind >= len(_KIND_NAMES):
                raise BadModule(f"{name!r} is exported as something unknown (kind {kind})")
            self.u32()
            found.append(Export(name, _KIND_NAMES[kind]))
        return found

    def _skip_type(self, kind: int) -> None:
        if kind == _FUNCTION:
            self.leb()
        elif kind == _GLOBAL:
            self.value_type()
            self.byte()
        elif kind == _TAG:
            self.byte()
            self.leb()
        else:
            if kind == _TABLE:
                self.value_type()
            self._skip_limits()

    def value_type(self) -> None:
        """Skip a type of a value."""
        # 0x63 and 0x64 are `ref null` and `ref`, followed by a heap type.
        if self.byte() in (0x63, 0x64):
            self.leb()

    def _skip_limits(self) -> None:
        flags = self.byte()
        self.leb()
        if flags & 1:
            self.leb()
        if flags & 8:
            # The custom page size's logarithm.
            self.leb()
