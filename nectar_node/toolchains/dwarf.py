"""Reads DWARF 2 to 5, the debug information of compilers, just far enough: the lines of code, its functions, and the
calls that were inlined.

Theory of operation. `.debug_line` is a program for each unit of compilation that makes rows: an offset in the code, a
file, a line. `.debug_info` is a tree of entries for each unit; those of functions and of inlined calls have the ranges
of their code, and refer to other entries for their names. What else there is, types and variables, is skipped by the
form of its values. All sections are those of one core module, and offsets count from the contents of its code section.

Raises BadDebugInfo for what makes no sense; every loop consumes bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_DEPTH = 200
"""Entries within each other, and references from one to another."""


class BadDebugInfo(Exception):
    """The debug information is damaged, or has something that is not known."""


class LineRow(NamedTuple):
    """A row of a line table: from here on, the code is that of a line."""

    start: int
    file: str
    line: int
    """0: of none."""
    ends: bool
    """Whether it is only the end of the rows before it."""


class Subprogram(NamedTuple):
    """A function, or a call that was inlined, with those inlined into it."""

    name: str
    ranges: list[tuple[int, int]]
    """From, and up to."""
    file: str
    """Of an inlined call, the file with the call."""
    line: int
    inlined: list[Subprogram]


class _Cursor:
    """A position in a section."""

    __slots__ = ("at", "data", "end", "wide")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None, wide: bool = False) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end
        self.wide = wide
        """Whether offsets have 64 bits."""
        if not 0 <= at <= self.end <= len(data):
            raise BadDebugInfo("a section is cut off")

    def skip(self, count: int) -> int:
        """Move on; return where that began."""
        began = self.at
        if count < 0 or count > self.end - began:
            raise BadDebugInfo("a section is cut off")
        self.at = began + count
        return began

    def number(self, size: int) -> int:
        return int.from_bytes(self.data[self.skip(size) : self.at], "little")

    def offset(self) -> int:
        return self.number(8 if self.wide else 4)

    def unsigned(self) -> int:
        """Return a LEB128 number."""
        value = shift = 0
        while True:
            byte = self.data[self.skip(1)]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 70:
                raise BadDebugInfo("a number is too long")

    def signed(self) -> int:
        """Return a signed LEB128 number."""
        began = self.at
        value = self.unsigned()
        bits = 7 * (self.at - began)
        return value - (1 << bits) if value >> (bits - 1) else value

    def text(self) -> str:
        end = self.data.find(b"\0", self.at, self.end)
        if end < 0:
            raise BadDebugInfo("a text does not end")
        began = self.skip(end + 1 - self.at)
        return self.data[began:end].decode(errors="replace")

    def unit(self) -> _Cursor:
        """Return a cursor over what follows, which begins with its length; move on behind that."""
        length, wide = self.number(4), False
        if length == 0xFFFFFFFF:
            length, wide = self.number(8), True
        began = self.skip(length)
        return _Cursor(self.data, began, self.at, wide)


class _Entry(NamedTuple):
    """An entry with those of its attributes that are of use, by their numbers."""

    at: int
    tag: int
    values: dict[int, object]
    children: list[_Entry]


@dataclass(slots=True)
class _Unit:
    """A unit of compilation."""

    begins: int
    version: int
    address_bytes: int
    wide: bool
    root: _Entry | None = None
    names: dict[int, str] = field(default_factory=dict)
    """What each entry is within, for those that are in something with a name."""


_NAME, _LINES, _LOW, _HIGH, _DIRECTORY = 0x03, 0x10, 0x11, 0x12, 0x1B
_ORIGIN, _SPECIFICATION, _RANGES, _CALL_FILE, _CALL_LINE = 0x31, 0x47, 0x55, 0x58, 0x59
_STR_OFFSETS, _ADDR_BASE, _RNGLISTS_BASE = 0x72, 0x73, 0x74
_WANTED = {
    *(_NAME, _LINES, _LOW, _HIGH, _DIRECTORY, _ORIGIN, _SPECIFICATION, _RANGES, _CALL_FILE, _CALL_LINE),
    *(_STR_OFFSETS, _ADDR_BASE, _RNGLISTS_BASE),
}
_SUBPROGRAM, _INLINED = 0x2E, 0x1D
_NAMESPACES = {0x39, 0x13, 0x02, 0x17, 0x04}
"""Namespaces, structures, classes, unions and enumerations: what is in them has a name within theirs."""
_KEPT = _NAMESPACES | {_SUBPROGRAM, _INLINED, 0x0B, 0x11}
"""With blocks and units."""


class _Reference(NamedTuple):
    """The offset of an entry in `.debug_info`."""

    at: int


class _Indexed(NamedTuple):
    """The number of a string, an address or a list of ranges, to be looked up once the unit's bases are known."""

    form: int
    number: int


class DebugInfo:
    """The debug information of a core module."""

    def __init__(self, sections: dict[str, bytes]) -> None:
        """`sections`: custom sections by their names. Raises BadDebugInfo, as does every method."""
        self._sections = sections
        self._entries = dict[int, tuple[_Unit, _Entry]]()
        info, units = _Cursor(sections.get(".debug_info", b"")), list[_Unit]()
        while info.at < info.end:
            unit = _read_unit(sections, info, self._entries)
            if unit is not None:
                units.append(unit)
        self._readers = [_Functions(sections, unit, self._entries) for unit in units if unit.root is not None]

    def functions(self) -> Iterator[Subprogram]:
        """Yield the functions that have code."""
        for reader in self._readers:
            yield from reader.functions()

    def lines(self) -> Iterator[LineRow]:
        """Yield the rows of all line tables."""
        folders = {reader.lines_at: reader.folder for reader in self._readers}
        cursor = _Cursor(self._sections.get(".debug_line", b""))
        while cursor.at < cursor.end:
            at = cursor.at
            yield from _LineProgram(self._sections, cursor.unit(), folders.get(at, "")).rows()


# --- entries ----------------------------------------------------------------------------------------------------------


def _read_unit(sections: dict[str, bytes], info: _Cursor, entries: dict[int, tuple[_Unit, _Entry]]) -> _Unit | None:
    begins = info.at
    cursor = info.unit()
    version = cursor.number(2)
    if not 2 <= version <= 5:
        raise BadDebugInfo(f"DWARF {version} is not known")
    kind = cursor.number(1) if version >= 5 else 1
    if version >= 5:
        address_bytes, abbreviations = cursor.number(1), cursor.offset()
    else:
        abbreviations, address_bytes = cursor.offset(), cursor.number(1)
    if kind != 1:
        return None  # types, and what is split off: no code
    if address_bytes not in (4, 8):
        raise BadDebugInfo(f"addresses of {address_bytes} bytes")
    unit = _Unit(begins, version, address_bytes, cursor.wide)
    shapes = _abbreviations(sections.get(".debug_abbrev", b""), abbreviations)
    stack: list[list[_Entry]] = [[]]
    while cursor.at < cursor.end:
        at = cursor.at
        code = cursor.unsigned()
        if code == 0:
            if len(stack) > 1:
                stack.pop()
            continue
        shape = shapes.get(code)
        if shape is None:
            raise BadDebugInfo(f"entry {at} has no shape")
        tag, has_children, attributes = shape
        entry = _Entry(at, tag, {}, [])
        for name, form, constant in attributes:
            value = _value(sections, cursor, unit, form, constant)
            if name in _WANTED:
                entry.values[name] = value
        if tag in _KEPT:
            stack[-1].append(entry)
            entries[at] = unit, entry
            if unit.root is None:
                unit.root = entry
        if has_children:
            if len(stack) > MAX_DEPTH:
                raise BadDebugInfo("entries are within each other too deeply")
            stack.append(entry.children)
    return unit


_Shape = tuple[int, bool, list[tuple[int, int, int]]]


def _abbreviations(section: bytes, at: int) -> dict[int, _Shape]:
    """Return tag, whether there are children, and attributes (name, form, constant), by code."""
    cursor, found = _Cursor(section, at), dict[int, _Shape]()
    while code := cursor.unsigned():
        tag, has_children = cursor.unsigned(), bool(cursor.number(1))
        attributes = []
        while True:
            name, form = cursor.unsigned(), cursor.unsigned()
            constant = cursor.signed() if form == 0x21 else 0
            if not name and not form:
                break
            attributes.append((name, form, constant))
        found[code] = tag, has_children, attributes
    return found


_FIXED = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x0C: 1, 0x1E: 16}
"""Sizes of constants and flags."""
_REFERENCES = {0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8}
"""Sizes of references within a unit."""
_BLOCKS = {0x0A: 1, 0x03: 2, 0x04: 4}
"""Sizes of the lengths of blocks."""
_INDEXED = {0x1A: 0, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4, 0x1B: 0, 0x29: 1, 0x2A: 2, 0x2B: 3, 0x2C: 4, 0x23: 0}
"""Sizes of numbers of strings, addresses and lists of ranges; 0: LEB128."""
_STRING_NUMBERS = {0x1A, 0x25, 0x26, 0x27, 0x28}
_ADDRESS_NUMBERS = {0x1B, 0x29, 0x2A, 0x2B, 0x2C}


def _value(sections: dict[str, bytes], cursor: _Cursor, unit: _Unit, form: int, constant: int) -> object:
    """Return an attribute's value; None for what is of no use."""
    if form in _FIXED:
        return cursor.number(_FIXED[form])
    if form in _REFERENCES:
        return _Reference(unit.begins + cursor.number(_REFERENCES[form]))
    if form in _INDEXED:
        size = _INDEXED[form]
        return _Indexed(form, cursor.number(size) if size else cursor.unsigned())
    if form in _BLOCKS:
        cursor.skip(cursor.number(_BLOCKS[form]))
        return None
    match form:
        case 0x01:
            return cursor.number(unit.address_bytes)
        case 0x08:
            return cursor.text()
        case 0x09 | 0x18:
            cursor.skip(cursor.unsigned())
            return None
        case 0x0D:
            return cursor.signed()
        case 0x0F | 0x22:
            return cursor.unsigned()
        case 0x0E | 0x1F:
            section = sections.get(".debug_str" if form == 0x0E else ".debug_line_str", b"")
            return _Cursor(section, cursor.offset()).text()
        case 0x10:
            return _Reference(cursor.number(unit.address_bytes) if unit.version == 2 else cursor.offset())
        case 0x15:
            return _Reference(unit.begins + cursor.unsigned())
        case 0x16:
            return _value(sections, cursor, unit, _direct(cursor), 0)
        case 0x17:
            return cursor.offset()
        case 0x19:
            return 1
        case 0x20:
            cursor.skip(8)
            return None
        case 0x21:
            return constant
    raise BadDebugInfo(f"a value of form {form:#x} is not known")


def _direct(cursor: _Cursor) -> int:
    form = cursor.unsigned()
    if form in (0x16, 0x21):
        raise BadDebugInfo("a form has no form")
    return form


class _Functions:
    """Makes functions of a unit's entries."""

    def __init__(self, sections: dict[str, bytes], unit: _Unit, entries: dict[int, tuple[_Unit, _Entry]]) -> None:
        assert unit.root is not None
        self._sections = sections
        self._unit = unit
        self._entries = entries
        self._root = unit.root.values
        lines = self._root.get(_LINES)
        self.lines_at = lines.at if isinstance(lines, _Reference) else lines if isinstance(lines, int) else None
        """Where its line table is."""
        self.folder = self._string(self._root.get(_DIRECTORY))
        """What relative paths are relative to."""
        self._files = dict[int, str]()
        if self.lines_at is not None:
            cursor = _Cursor(sections.get(".debug_line", b""), self.lines_at)
            self._files = _LineProgram(sections, cursor.unit(), self.folder).files
        low = self._address(self._root.get(_LOW))
        self._base = low or 0
        self._qualify(unit.root.children, "")

    def _qualify(self, entries: list[_Entry], within: str) -> None:
        for entry in entries:
            inside = within
            if entry.tag in _NAMESPACES:
                name = self._string(entry.values.get(_NAME))
                inside = f"{within}{name}::" if name else within
            if within:
                self._unit.names[entry.at] = within
            if entry.tag != _INLINED:
                self._qualify(entry.children, inside)

    def functions(self) -> Iterator[Subprogram]:
        """Yield the functions of the unit."""
        assert self._unit.root is not None
        return self._functions(self._unit.root.children)

    def _functions(self, entries: list[_Entry]) -> Iterator[Subprogram]:
        for entry in entries:
            if entry.tag == _SUBPROGRAM and (ranges := self._ranges(entry)):
                yield Subprogram(self._name(entry), ranges, "", 0, list(self._inlined(entry.children)))
            elif entry.tag != _INLINED:
                yield from self._functions(entry.children)

    def _inlined(self, entries: list[_Entry]) -> Iterator[Subprogram]:
        for entry in entries:
            if entry.tag == _INLINED:
                file, line = entry.values.get(_CALL_FILE), entry.values.get(_CALL_LINE)
                where = self._files.get(file, "") if isinstance(file, int) else ""
                number = line if isinstance(line, int) else 0
                ranges, below = self._ranges(entry), list(self._inlined(entry.children))
                yield Subprogram(self._name(entry), ranges, where, number, below)
            elif entry.tag != _SUBPROGRAM:
                yield from self._inlined(entry.children)

    def _name(self, entry: _Entry) -> str:
        unit = self._unit
        for _ in range(MAX_DEPTH):
            name = entry.values.get(_NAME)
            if name is not None:
                return unit.names.get(entry.at, "") + self._string(name)
            reference = entry.values.get(_ORIGIN) or entry.values.get(_SPECIFICATION)
            found = self._entries.get(reference.at) if isinstance(reference, _Reference) else None
            if found is None:
                return ""
            unit, entry = found
        raise BadDebugInfo("an entry refers to itself")

    def _string(self, value: object) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, _Indexed) and value.form in _STRING_NUMBERS:
            size = 8 if self._unit.wide else 4
            base = self._root.get(_STR_OFFSETS)
            at = (base if isinstance(base, int) else 2 * size) + value.number * size
            offset = _Cursor(self._sections.get(".debug_str_offsets", b""), at).number(size)
            return _Cursor(self._sections.get(".debug_str", b""), offset).text()
        return ""

    def _address(self, value: object) -> int | None:
        if isinstance(value, _Indexed) and value.form in _ADDRESS_NUMBERS:
            return self._listed_address(value.number)
        return value if isinstance(value, int) else None

    def _listed_address(self, number: int) -> int:
        size, base = self._unit.address_bytes, self._root.get(_ADDR_BASE)
        at = (base if isinstance(base, int) else 8) + number * size
        return _Cursor(self._sections.get(".debug_addr", b""), at).number(size)

    def _ranges(self, entry: _Entry) -> list[tuple[int, int]]:
        """Return the ranges of an entry's code, without those of code that was left out."""
        ranges = entry.values.get(_RANGES)
        if ranges is not None:
            found = list(self._range_list(ranges))
        else:
            low, high = self._address(entry.values.get(_LOW)), entry.values.get(_HIGH)
            if low is None or high is None:
                return []
            # A constant is a length, an address the end; here both are numbers, and an end is not below its begin.
            end = self._address(high)
            found = [(low, end if self._unit.version < 4 and end is not None else low + (end or 0))]
        return [(low, high) for low, high in found if low < high and low and low < _gone(self._unit.address_bytes)]

    def _range_list(self, value: object) -> Iterator[tuple[int, int]]:
        if self._unit.version >= 5:
            yield from self._range_list_5(value)
            return
        if not isinstance(value, int):
            return
        size = self._unit.address_bytes
        cursor, base, highest = (
            _Cursor(self._sections.get(".debug_ranges", b""), value),
            self._base,
            (1 << 8 * size) - 1,
        )
        while True:
            low, high = cursor.number(size), cursor.number(size)
            if low == high == 0:
                return
            if low == highest:
                base = high
            else:
                yield base + low, base + high

    def _range_list_5(self, value: object) -> Iterator[tuple[int, int]]:
        section, size = self._sections.get(".debug_rnglists", b""), self._unit.address_bytes
        if isinstance(value, _Indexed):
            offset_bytes, found = 8 if self._unit.wide else 4, self._root.get(_RNGLISTS_BASE)
            start = found if isinstance(found, int) else 12
            value = start + _Cursor(section, start + value.number * offset_bytes).number(offset_bytes)
        if not isinstance(value, int):
            return
        cursor, base = _Cursor(section, value), self._base
        while kind := cursor.number(1):
            match kind:
                case 1:
                    base = self._listed_address(cursor.unsigned())
                case 2:
                    yield self._listed_address(cursor.unsigned()), self._listed_address(cursor.unsigned())
                case 3:
                    low = self._listed_address(cursor.unsigned())
                    yield low, low + cursor.unsigned()
                case 4:
                    yield base + cursor.unsigned(), base + cursor.unsigned()
                case 5:
                    base = cursor.number(size)
                case 6:
                    yield cursor.number(size), cursor.number(size)
                case 7:
                    low = cursor.number(size)
                    yield low, low + cursor.unsigned()
                case _:
                    raise BadDebugInfo(f"a list of ranges has the unknown entry {kind}")


def _gone(address_bytes: int) -> int:
    """Return the lowest of the addresses that linkers give to code that they have left out."""
    return (1 << 8 * address_bytes) - 2


# --- lines ------------------------------------------------------------------------------------------------------------


class _LineProgram:
    """The line table of a unit, as a program."""

    def __init__(self, sections: dict[str, bytes], cursor: _Cursor, folder: str) -> None:
        """`folder`: what relative paths are relative to."""
        self._sections = sections
        self._folder = folder
        self._cursor = cursor
        self._version = cursor.number(2)
        if not 2 <= self._version <= 5:
            raise BadDebugInfo(f"a line table of version {self._version} is not known")
        self._address_bytes = 4
        if self._version >= 5:
            self._address_bytes = cursor.number(1)
            cursor.skip(1)
        length = cursor.offset()
        self._program = cursor.at + length
        self._unit = cursor.number(1)
        if self._version >= 4:
            cursor.skip(1)
        cursor.skip(1)
        (self._line_base,) = struct.unpack("b", cursor.data[cursor.skip(1) : cursor.at])
        self._line_range, self._first_special = cursor.number(1), cursor.number(1)
        if not self._line_range or not self._first_special:
            raise BadDebugInfo("a line table makes no sense")
        self._operands = [cursor.number(1) for _ in range(self._first_special - 1)]
        self.files: dict[int, str] = self._file_names_5() if self._version >= 5 else self._file_names()
        """Paths, by their numbers."""

    def _file_names(self) -> dict[int, str]:
        cursor, folders, files = self._cursor, [self._folder], dict[int, str]()
        while folder := cursor.text():
            folders.append(_joined(self._folder, folder))
        while name := cursor.text():
            number = cursor.unsigned()
            cursor.unsigned()
            cursor.unsigned()
            files[len(files) + 1] = _joined(folders[number] if number < len(folders) else "", name)
        return files

    def _file_names_5(self) -> dict[int, str]:
        folders = [_joined(self._folder, name) for name, _ in self._names()]
        return {
            number: _joined(folders[folder] if folder < len(folders) else self._folder, name)
            for number, (name, folder) in enumerate(self._names())
        }

    def _names(self) -> list[tuple[str, int]]:
        """Return names, and the number of each one's folder."""
        cursor = self._cursor
        shape = [(cursor.unsigned(), cursor.unsigned()) for _ in range(cursor.number(1))]
        count = cursor.unsigned()
        if count > cursor.end - cursor.at or (count and not shape):
            raise BadDebugInfo("a line table is cut off")
        found, unit = [], _Unit(0, 5, self._address_bytes, cursor.wide)
        for _ in range(count):
            name, folder = "", 0
            for content, form in shape:
                value = _value(self._sections, cursor, unit, form, 0)
                if content == 1 and isinstance(value, str):
                    name = value
                elif content == 2 and isinstance(value, int):
                    folder = value
            found.append((name, folder))
        return found

    def rows(self) -> Iterator[LineRow]:
        """Run the program."""
        cursor = self._cursor
        cursor.skip(self._program - cursor.at)
        address, file, line = 0, 1, 1
        while cursor.at < cursor.end:
            code = cursor.number(1)
            if code >= self._first_special:
                special = code - self._first_special
                address += self._unit * (special // self._line_range)
                line += self._line_base + special % self._line_range
                yield self._row(address, file, line)
            elif code == 0:
                length = cursor.unsigned()
                inside = _Cursor(cursor.data, cursor.skip(length), cursor.at)
                kind = inside.number(1) if length else 0
                if kind == 1:
                    yield LineRow(address, "", 0, True)
                    address, file, line = 0, 1, 1
                elif kind == 2:
                    address = inside.number(inside.end - inside.at)
            else:
                match code:
                    case 1:
                        yield self._row(address, file, line)
                    case 2:
                        address += self._unit * cursor.unsigned()
                    case 3:
                        line += cursor.signed()
                    case 4:
                        file = cursor.unsigned()
                    case 8:
                        address += self._unit * ((255 - self._first_special) // self._line_range)
                    case 9:
                        address += cursor.number(2)
                    case _:
                        for _ in range(self._operands[code - 1]):
                            cursor.unsigned()

    def _row(self, address: int, file: int, line: int) -> LineRow:
        return LineRow(address, self.files.get(file, ""), max(line, 0), False)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and not name.startswith("/") else name
