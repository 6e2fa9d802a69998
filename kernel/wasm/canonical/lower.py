"""Lowering: an answer of the kernel, into a guest's memory.

Theory of operation: see `abi`. A result needs one piece of guest memory for each string and list in it, and only the
guest's cabi_realloc may give it. Calling into the guest from here would cost two microseconds a piece and would trap
whenever the guest's time slice ends inside such a call, so a Wasm adapter (`adapter`) does it, in three steps:

1. `lower` turns the answer into a `Lowered`: the pieces (bytes, by reference, and how large and aligned a place each
   needs), and images: structs whose numbers are all known but for the pieces' addresses.
2. The adapter asks cabi_realloc for a place for each piece, at native speed and BATCH at a time.
3. `Lowered.place` copies each piece to its place, once, whatever its size, and notes the address; after the last one
   it packs the images. Only numbers are left to be written by then, so it fails for the guest's reasons alone.

What was rejected: one flat buffer with a table of relocations that the adapter walks. It needs a scratch area in guest
memory for as long as the guest lives, which a garbage collecting or resetting allocator in the guest may take back, or
a second linear memory for every guest; and everything is copied three times.

The code for a type forks where a variant has several payloads, so that each shape of a message is one struct. Most
messages are plain: no list has an element, no text is there that need not be. For those the third step is generated
too, piece by piece (`Plain`); a loop over pieces took 1.1 microseconds longer for a round trip. Addresses come again
and again, so what they become is cached (another 0.8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct, error
from typing import Any, NamedTuple, TypeAlias, cast

from kernel.contract.errors import GuestTrap
from kernel.wasm.canonical.abi import Leaf, cases, field_offsets, layout, leaves, payload_offset, struct_format
from kernel.wasm.canonical.kept import KEPT_BYTES, LargeForm, keeping
from kernel.wasm.canonical.source import Source
from kernel.wasm.canonical.wit import (
    Bytes,
    Enumeration,
    Flags,
    Handle,
    List,
    Option,
    Record,
    Scalar,
    Text,
    Type,
    Variant,
)

BATCH = 8
"""Pieces that the adapter asks places for before it hands them over."""

ALIGNMENT_BITS = 2
"""Bits by which a piece's code is its size shifted; the binary logarithm of its alignment, 0 to 3, is below."""

Image: TypeAlias = tuple[Struct, int, int, int, int, int]
"""How to pack, which numbers (from, until), and where: at the address that is the number with the fourth index (-1:
the return pointer), plus an offset; last, which of the address's bits must be zero."""

_GENERATED_NAME = re.compile(r"\b[a-z]+[0-9]+\b")
"""The names that `Source.name` makes."""


class Plain:
    """An answer on its way into guest memory, of a shape for which placing is generated too (see the module
    docstring)."""

    __slots__ = ("_parts", "_place", "_target", "codes")

    def __init__(self, place: Callable[..., None], codes: Sequence[int], target: int, parts: tuple[Any, ...]) -> None:
        self.codes = codes
        """The codes of its pieces, at most BATCH."""
        self._place = place
        self._target = target
        self._parts = parts

    def place_untrusted(self, memory: memoryview, addresses: tuple[int, ...]) -> bool:
        """Copy all pieces to their addresses, as `Lowered.place_untrusted` does; there is one batch."""
        try:
            self._place(memory, self._target, addresses, self._parts)
        except (ValueError, error) as cause:
            # A slice that the memory's end cuts is shorter than its piece.
            raise GuestTrap("the place for a result, or one from cabi_realloc, lies outside the memory") from cause
        return True


class Lowered:
    """An answer on its way into guest memory.

    Pieces are three parallel lists, not one of tuples, because this is built for every message.
    """

    __slots__ = ("_at", "_codes", "_data", "_images", "_numbers", "_slots", "_target", "codes")

    def __init__(
        self,
        target: int,
        data: list[bytes | memoryview],
        codes: list[int],
        slots: list[int],
        numbers: list[int],
        images: list[Image],
    ) -> None:
        """`target` is the return pointer; `data` what to copy, empty for a list that images fill; `slots` the index of
        the number that is each piece's address."""
        self.codes: Sequence[int] = codes[:BATCH]
        """The codes of the pieces to be placed next."""
        self._data = data
        self._codes = codes
        self._slots = slots
        self._numbers = numbers
        self._images = images
        self._target = target
        self._at = 0

    def place_untrusted(self, memory: memoryview, addresses: tuple[int, ...]) -> bool:
        """Copy the next pieces, those of `codes`, to as many `addresses`; after the last, write the images; return
        whether it was the last.

        Raises GuestTrap, and may have written some of it, if an address is misaligned or its piece does not fit in
        `memory`; with a larger one it may be called again.
        """
        data, slots, numbers, end = self._data, self._slots, self._numbers, len(memory)
        if len(data) > BATCH:
            data, slots = data[self._at : self._at + BATCH], slots[self._at : self._at + BATCH]
        for piece, slot, address in zip(data, slots, addresses, strict=True):
            until = address + len(piece)
            if until > end:
                raise GuestTrap("cabi_realloc returned a place that lies outside the memory")
            memory[address:until] = piece
            numbers[slot] = address
        done = self._at + len(data)
        if done == len(self._data):
            self._pack(memory, end)
        # Last, so that after an error the same call may be tried again.
        self._at = done
        self.codes = self._codes[done : done + BATCH]
        return not self.codes

    def _pack(self, memory: memoryview, end: int) -> None:
        numbers = self._numbers
        for struct, first, until, parent, offset, mask in self._images:
            address = (self._target if parent < 0 else numbers[parent]) + offset
            if address & mask:
                raise GuestTrap("the place for a result is not aligned")
            if address + struct.size > end:
                raise GuestTrap("the place for a result lies outside the memory")
            struct.pack_into(memory, address, *numbers[first:until])


def lower_text(text: bytes) -> Lowered:
    """Return one piece that is referred to by nothing: the argument of init."""
    return Lowered(0, [text], [len(text) << ALIGNMENT_BITS], [0], [0], [])


Lower: TypeAlias = Callable[[object, int], Lowered | Plain]
"""(value, return pointer) to what is placed in guest memory."""


def compile_lower(kind: Type, title: str, present: Callable[[object], object] | None = None) -> Lower:
    """Return the function that lowers values of `kind`, or what `present` makes such values of."""
    return _Compiler(title).lower(kind, present)


def _as_bytes(data: bytearray | memoryview) -> memoryview:
    return memoryview(data).cast("B")


class _Piece(NamedTuple):
    """A piece in the making; texts are expressions of the generated code."""

    offset: int
    """The offset of its address in the image."""
    data: str
    code: str
    condition: str | None = None
    """When there is such a piece; None: always."""
    then: str | None = None
    """What follows it, for a list: the loop over its elements; `{slot}` in it is the number that is its address."""
    absent: str | None = None
    """The condition that this piece is not there, or has no elements: only then may the answer be plain."""
    empty: str | None = None
    """The code of a list without elements."""


class _Shape:
    """What is known of an image on one path through the generated code; copied where the path forks."""

    def __init__(self) -> None:
        self.numbers: list[tuple[int, str, str, str]] = []
        """Offset, struct code and expression of each number, and the expression if the answer is plain."""
        self.pieces: list[_Piece] = []

    def copy(self) -> _Shape:
        shape = _Shape()
        shape.numbers, shape.pieces = list(self.numbers), list(self.pieces)
        return shape


class _Compiler:
    """Writes the lowering of one type, and of every type that it has lists of."""

    def __init__(self, title: str) -> None:
        self._source = Source(f"lower {title}", {"as_bytes": _as_bytes, "Lowered": Lowered, "Plain": Plain})
        self._elements: dict[Type, str] = {}
        self._in_list = False
        self._mask = 0

    def lower(self, kind: Type, present: Callable[[object], object] | None) -> Lower:
        source = self._source
        self._mask = layout(kind).alignment - 1
        with source.function("def lower(value, target):"):
            if present:
                source.line(f"value = {source.constant('present', present)}(value)")
            self._emit([(kind, "value", 0)], _Shape())
        return cast("Lower", source.compile("lower"))

    def _element_function(self, kind: Type) -> str:
        """Return the name of a function that appends the image of a list's element to an answer."""
        if kind not in self._elements:
            outer, self._in_list, self._mask = (self._in_list, self._mask), True, layout(kind).alignment - 1
            name = self._elements[kind] = self._source.name("element")
            head = f"def {name}(value, data, codes, slots, numbers, images, parent, offset):"
            with self._source.function(head):
                self._emit([(kind, "value", 0)], _Shape())
            self._in_list, self._mask = outer
        return self._elements[kind]

    def _emit(self, rest: list[tuple[Type, str, int]], shape: _Shape) -> None:
        """Write what is to be lowered, in order: types, expressions and offsets; at the end, finish the image."""
        if not rest:
            self._finish(shape)
            return
        (kind, value, offset), *rest = rest
        match kind:
            case Scalar() | Enumeration() | Flags() | Handle():
                shape.numbers.append((offset, leaves(kind)[0].code, value, value))
            case Text() | Bytes() | List():
                self._piece(kind, self._bind(value), offset, shape)
            case Record() if kind.interned:
                self._interned(kind, value, offset, shape)
            case Record(fields):
                names = [self._source.name("field") for _ in fields]
                self._source.line(f"{', '.join(names)}, = {value}")
                kinds = tuple(field for _, field in fields)
                offsets = field_offsets(kinds, offset)
                rest = [*zip(kinds, names, offsets, strict=True), *rest]
            case Option(of) if isinstance(of, Scalar | Text | Bytes | Handle | Enumeration):
                self._option(of, self._bind(value), offset, offset + payload_offset(kind), shape)
            case Option() | Variant():
                self._fork(kind, value, offset, rest, shape)
                return
        self._emit(rest, shape)

    def _bind(self, value: str) -> str:
        name = self._source.name("v")
        self._source.line(f"{name} = {value}")
        return name

    def _interned(self, kind: Record, value: str, offset: int, shape: _Shape) -> None:
        source, count = self._source, len(leaves(kind)) // 2
        texts, codes = ([source.name(stem) for _ in range(count)] for stem in ("text", "code"))
        names, encoded = ", ".join([*texts, *codes]), source.constant("encoded", _encoded(kind))
        with source.block("try:"):
            source.line(f"{names}, = {encoded}({value})")
        with source.block(f"except {source.constant('kept', LargeForm)} as large:"):
            source.line(f"{names}, = large.form")
        for text, code, pointer in zip(texts, codes, leaves(kind, offset)[::2], strict=True):
            shape.pieces.append(_Piece(pointer.offset, text, code))
            shape.numbers += [
                (pointer.offset, "I", "0", "0"),
                (pointer.offset + 4, "I", f"len({text})", f"len({text})"),
            ]

    def _piece(self, kind: Text | Bytes | List, value: str, offset: int, shape: _Shape) -> None:
        if isinstance(kind, List):
            size, alignment = layout(kind.of)
            code = f"len({value}) * {size << ALIGNMENT_BITS} + {alignment.bit_length() - 1}"
            function = self._element_function(kind.of)
            append = f"{function}(element, data, codes, slots, numbers, images, {{slot}}, i * {size})"
            loop = f"for i, element in enumerate({value}): {append}"
            empty = str(alignment.bit_length() - 1)
            shape.pieces.append(_Piece(offset, "b''", code, then=loop, absent=f"not {value}", empty=empty))
        else:
            self._encode(kind, value)
            shape.pieces.append(_Piece(offset, value, f"len({value}) << {ALIGNMENT_BITS}"))
        length = f"len({value})"
        plain = "0" if isinstance(kind, List) else length
        shape.numbers += [(offset, "I", "0", "0"), (offset + 4, "I", length, plain)]

    def _encode(self, kind: Text | Bytes, value: str) -> None:
        if isinstance(kind, Text):
            self._source.line(f"{value} = {value}.encode()")
        else:
            self._source.line(f"if type({value}) is not bytes: {value} = as_bytes({value})")

    def _option(
        self, of: Scalar | Text | Bytes | Handle | Enumeration, value: str, offset: int, inner: int, shape: _Shape
    ) -> None:
        """Write an option of a leaf, which does not fork: its payload is zero where there is none."""
        source = self._source
        if isinstance(of, Scalar | Handle | Enumeration):
            number = f"{value} or 0"
            shape.numbers.append((offset, "B", f"{value} is not None", f"{value} is not None"))
            shape.numbers.append((inner, leaves(of)[0].code, number, number))
            return
        shape.numbers.append((offset, "B", f"{value} is not None", "0"))
        length = source.name("length")
        source.line(f"{length} = 0")
        with source.block(f"if {value} is not None:"):
            self._encode(of, value)
            source.line(f"{length} = len({value})")
        shape.pieces.append(
            _Piece(inner, value, f"{length} << {ALIGNMENT_BITS}", f"{value} is not None", None, f"{value} is None")
        )
        shape.numbers += [(inner, "I", "0", "0"), (inner + 4, "I", length, "0")]

    def _fork(self, kind: Type, value: str, offset: int, rest: list[tuple[Type, str, int]], shape: _Shape) -> None:
        source, payloads = self._source, cases(kind) or ()
        inner = offset + payload_offset(kind)
        if isinstance(kind, Option):
            payload = self._bind(value)
            case = f"({payload} is not None)"
        else:
            case, payload = source.name("case"), source.name("payload")
            source.line(f"{case}, {payload} = {value}")
        shape.numbers.append((offset, "B", case, case))
        for number, of in enumerate(payloads):
            with source.block("else:" if number == len(payloads) - 1 else f"if {case} == {number}:"):
                first = [(of, payload, inner)] if of else []
                self._emit([*first, *rest], shape.copy())
                if self._in_list:
                    source.line("return")

    def _finish(self, shape: _Shape) -> None:
        """Write the end of a path: the image's numbers are known, and so are the pieces that must be there."""
        source, numbers = self._source, sorted(shape.numbers)
        slots = {offset: slot for slot, (offset, *_) in enumerate(numbers)}
        layout = Struct(struct_format([Leaf(offset, code) for offset, code, *_ in numbers]))
        if not self._in_list:
            self._finish_plain(shape, layout)
        struct = source.constant("STRUCT", layout)
        first = "first + " if self._in_list else ""
        sure = [piece for piece in shape.pieces if piece.condition is None]
        columns = {
            "numbers": ", ".join(expression for _, _, expression, _ in numbers),
            "data": ", ".join(piece.data for piece in sure),
            "codes": ", ".join(piece.code for piece in sure),
            "slots": ", ".join(f"{first}{slots[piece.offset]}" for piece in sure),
        }
        if self._in_list:
            source.line("first = len(numbers)")
            source.line(f"images.append(({struct}, first, first + {len(numbers)}, parent, offset, {self._mask}))")
        else:
            source.line(f"images = [({struct}, 0, {len(numbers)}, -1, 0, {self._mask})]")
        for column, expressions in columns.items():
            source.line(f"{column} {'+=' if self._in_list else '='} [{expressions}]")
        for piece in shape.pieces:
            slot = f"{first}{slots[piece.offset]}"
            if piece.condition:
                with source.block(f"if {piece.condition}:"):
                    source.line(f"data.append({piece.data}); codes.append({piece.code}); slots.append({slot})")
            if piece.then:
                source.line(piece.then.format(slot=slot))
        if not self._in_list:
            source.line("return Lowered(target, data, codes, slots, numbers, images)")

    def _finish_plain(self, shape: _Shape, layout: Struct) -> None:
        """Write the shorter end of a path, for an answer without the pieces that need not be there."""
        source, numbers = self._source, sorted(shape.numbers)
        sure = [piece for piece in shape.pieces if piece.condition is None]
        if len(sure) > BATCH:
            return
        addresses = {piece.offset: source.name("address") for piece in sure}
        values = [addresses.get(offset, plain) for offset, _, _, plain in numbers]
        copied = [piece for piece in sure if piece.then is None]
        used = " ".join([*values, *(piece.data for piece in copied)])
        names = sorted(set(_GENERATED_NAME.findall(used)) - set(addresses.values()))
        place, pack = source.name("place"), source.constant("pack", layout.pack_into)
        unaligned = source.constant("unaligned", _unaligned)
        with source.function(f"def {place}(memory, target, addresses, parts):"):
            if addresses:
                source.line(f"{', '.join(addresses.values())}, = addresses")
            if names:
                source.line(f"{', '.join(names)}, = parts")
            for piece in copied:
                address = addresses[piece.offset]
                source.line(f"memory[{address}:{address} + len({piece.data})] = {piece.data}")
            with source.block(f"if target & {self._mask}:"):
                source.line(f"raise {unaligned}()")
            source.line(f"{pack}(memory, target, {', '.join(values)})")
        codes = "".join(f"{piece.empty or piece.code}, " for piece in sure)
        absent = " and ".join(piece.absent for piece in shape.pieces if piece.absent)
        with source.block(f"if {absent or True}:"):
            source.line(f"return Plain({place}, ({codes}), target, ({''.join(f'{name}, ' for name in names)}))")


def _unaligned() -> GuestTrap:
    return GuestTrap("the place for a result is not aligned")


@lru_cache(None)
def _encoded(kind: Record) -> Callable[[object], tuple[bytes | int, ...]]:
    """Return a cached function from a record of texts to these, encoded, and the code of each, which it may raise as
    LargeForm; one cache for each type."""

    def texts(record: Record, value: Any) -> list[bytes]:
        found: list[bytes] = []
        for (_, field), part in zip(record.fields, value, strict=True):
            found += texts(field, part) if isinstance(field, Record) else [part.encode()]
        return found

    @keeping
    def encode(value: object) -> tuple[bytes | int, ...]:
        found = texts(kind, value)
        form: tuple[bytes | int, ...] = (*found, *(len(text) << ALIGNMENT_BITS for text in found))
        if sum(map(len, found)) > KEPT_BYTES:
            raise LargeForm(form)
        return form

    return encode
