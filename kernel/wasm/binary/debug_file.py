"""The debug file of a program: which functions and lines of its sources its code comes from.

Compilers' own debug information is twenty times as large as the code. So a guest comes without it, and what is needed
to explain a trap lies in a file beside it, written when it is compiled: for each place in the code the function, the
source file and the line, and the calls that the compiler has put in place of a call (inlined).

The layout, all numbers u32, little-endian: MAGIC; the SHA-256 of the .wasm file; the number of rows, places, scopes and
strings. A row is where in the file a stretch of code begins, and the number of its place. A place is the number of a
scope, the string of a file, and a line. A scope is the string of a function, the number of the scope into which it was
inlined, which is lower, and the file and line of that call; without such a scope, NONE. A string is the offset of its
bytes in what follows the tables, and their number. Rows are sorted.

A file may come from anybody. All entries have a fixed size and are looked up, never read through, so that neither a
large nor a false one costs anything: an entry that cannot be is unknown. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from kernel.contract.errors import BadModule

MAGIC = b"nectdbg1"
SUFFIX = ".debug"
"""What the name of a debug file has more than that of its .wasm file."""
NONE = 0xFFFFFFFF
"""The number of nothing: code that is nobody's, a call from nowhere, a name that is not known."""
MAX_BYTES = 16 << 20
"""Bytes of a debug file; that of a program of two megabytes has two."""
MAX_TEXT = 200
"""Bytes of a function's or a file's name; the rest is cut."""
MAX_INLINED = 16
"""Calls within each other that one stretch of code may come from."""

_HEADER = struct.Struct("<8s32s4I")
_ROW, _PLACE, _SCOPE, _STRING = map(struct.Struct, ("<2I", "<3I", "<4I", "<2I"))


class CodePlace(NamedTuple):
    """A place in the sources."""

    function: str
    """"": not known."""
    file: str
    """"": not known."""
    line: int


class DebugFile:
    """A debug file, as it is looked up."""

    def __init__(self, data: bytes, digest: str) -> None:
        """Raises BadModule if it is none, or that of another program than the one with this SHA-256, in hex."""
        if len(data) > MAX_BYTES:
            raise BadModule(f"the debug file has more than {MAX_BYTES} bytes")
        if len(data) < _HEADER.size:
            raise BadModule("the debug file is cut off")
        magic, program, self._rows, self._places, self._scopes, self._strings = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise BadModule("the debug file has an unknown format")
        if program.hex() != digest:
            raise BadModule("the debug file is that of another build")
        self._data = data
        self._at_places = _HEADER.size + self._rows * _ROW.size
        self._at_scopes = self._at_places + self._places * _PLACE.size
        self._at_strings = self._at_scopes + self._scopes * _SCOPE.size
        self._at_text = self._at_strings + self._strings * _STRING.size
        if self._at_text > len(data):
            raise BadModule("the debug file is cut off")

    def places(self, offset: int) -> list[CodePlace]:
        """Return where the code at this offset of the .wasm file comes from: the innermost of the calls that were
        inlined there first, the function that they are in last; empty: that is not known."""
        number = self._find(offset)
        if number >= self._places:
            return []
        scope, file, line = _PLACE.unpack_from(self._data, self._at_places + number * _PLACE.size)
        found = list[CodePlace]()
        while scope < self._scopes and len(found) < MAX_INLINED:
            name, parent, call_file, call_line = _SCOPE.unpack_from(self._data, self._at_scopes + scope * _SCOPE.size)
            found.append(CodePlace(self._text(name), self._text(file), line))
            if parent >= scope:
                break
            scope, file, line = parent, call_file, call_line
        return found

    def _find(self, offset: int) -> int:
        """Return the number of the place at this offset, or one that there is not."""
        low, high = 0, self._rows
        while low < high:
            middle = (low + high) // 2
            start, _ = _ROW.unpack_from(self._data, _HEADER.size + middle * _ROW.size)
            low, high = (middle + 1, high) if start <= offset else (low, middle)
        if not low:
            return NONE
        number: int = _ROW.unpack_from(self._data, _HEADER.size + (low - 1) * _ROW.size)[1]
        return number

    def _text(self, number: int) -> str:
        if number >= self._strings:
            return ""
        offset, length = _STRING.unpack_from(self._data, self._at_strings + number * _STRING.size)
        start = self._at_text + offset
        return self._data[start : start + min(length, MAX_TEXT)].decode(errors="replace")


class Scope(NamedTuple):
    """A function, or a call of one that was inlined."""

    function: str
    within: Scope | None = None
    """What it was inlined into."""
    file: str = ""
    """The file of that call."""
    line: int = 0


class Stretch(NamedTuple):
    """Where a stretch of code begins, and where it comes from."""

    start: int
    """Its offset in the .wasm file."""
    scope: Scope | None
    """None: nothing is known of it."""
    file: str = ""
    line: int = 0


def write(digest: bytes, stretches: Iterable[Stretch]) -> bytes:
    """Return the debug file of the program with this SHA-256; the stretches are sorted by where they begin."""
    return _Writer().write(digest, stretches)


class _Writer:
    """Gives everything that a debug file refers to its number."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {"": NONE}
        self._scopes: dict[Scope, int] = {}
        self._scope_rows: list[bytes] = []
        self._places: dict[tuple[int, int, int], int] = {}

    def write(self, digest: bytes, stretches: Iterable[Stretch]) -> bytes:
        rows, before = list[bytes](), NONE
        for start, scope, file, line in stretches:
            place = NONE
            if scope is not None:
                key = self._scope(scope), self._string(file), line
                place = self._places.setdefault(key, len(self._places))
            if place != before:
                rows.append(_ROW.pack(start, place))
            before = place
        places = [_PLACE.pack(*key) for key in self._places]
        texts = [text.encode() for text, number in self._strings.items() if number != NONE]
        strings, offset = list[bytes](), 0
        for text in texts:
            strings.append(_STRING.pack(offset, len(text)))
            offset += len(text)
        counts = len(rows), len(places), len(self._scope_rows), len(strings)
        header = _HEADER.pack(MAGIC, digest, *counts)
        return b"".join((header, *rows, *places, *self._scope_rows, *strings, *texts))

    def _scope(self, scope: Scope) -> int:
        known = self._scopes.get(scope)
        if known is not None:
            return known
        within = NONE if scope.within is None else self._scope(scope.within)
        self._scope_rows.append(_SCOPE.pack(self._string(scope.function), within, self._string(scope.file), scope.line))
        self._scopes[scope] = len(self._scope_rows) - 1
        return self._scopes[scope]

    def _string(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = len(self._strings) - 1
        return self._strings[text]
