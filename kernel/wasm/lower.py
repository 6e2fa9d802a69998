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

The code for a type forks where a variant has several payloads, so that each shape of a message is one struct.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, TypeAlias, cast

from kernel.errors import GuestTrap
from kernel.wasm.abi import Leaf, cases, field_offsets, layout, leaves, payload_offset, struct_format
from kernel.wasm.source import Source
from kernel.wasm.wit import Bytes, Enumeration, List, Option, Record, Scalar, Text, Type, Variant

BATCH = 8
"""Pieces that the adapter asks places for before it hands them over."""

ALIGNMENT_BITS = 2
"""A piece's code is its size shifted by this, and the binary logarithm of its alignment, 0 to 3, below."""

Image: TypeAlias = tuple[Struct, int, int, int, int, int]
"""How to pack, which numbers (from, until), and where: at the address that is the number with the fourth index (-1:
the return pointer), plus an offset; last, which of the address's bits must be zero."""


class Lowered:
    """An answer on its way into guest memory.

    Pieces are three parallel lists, not one of tuples, because this is built for every message.
    """

    __slots__ = ("_at", "_codes", "_data", "_images", "_numbers", "_slots", "_target")

    def __init__(
        self,
        data: list[bytes | memoryview],
        codes: list[int],
        slots: list[int],
        numbers: list[int],
        images: list[Image],
    ) -> None:
        """`data`: what to copy, empty for a list that images fill; `slots`: which number is the piece's address."""
        self._data = data
        self._codes = codes
        self._slots = slots
        self._numbers = numbers
        self._images = images
        self._target = 0
        self._at = 0

    def to(self, target: int) -> Lowered:
        """Itself, now bound for the return pointer `target`."""
        self._target = target
        return self

    def codes(self) -> list[int]:
        """How many pieces are to be placed next, at most BATCH, and then the code of each."""
        codes = self._codes
        if len(codes) > BATCH:
            codes = codes[self._at : self._at + BATCH]
        return [len(codes), *codes]

    def place_untrusted(self, memory: memoryview, addresses: tuple[int, ...]) -> bool:
        """Copy the next pieces, up to BATCH of them, to `addresses`; after the last, write the images and return true.

        Raises GuestTrap, and may have written some of it, if an address is misaligned or its piece does not fit in
        `memory`; with a larger one it may be called again.
        """
        data, slots, numbers, end = self._data, self._slots, self._numbers, len(memory)
        if len(data) > BATCH:
            data, slots = data[self._at : self._at + BATCH], slots[self._at : self._at + BATCH]
        for piece, slot, address in zip(data, slots, addresses):  # noqa: B905 (unused addresses follow)
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
        return done == len(self._data)

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
    """One piece that is referred to by nothing: the argument of init."""
    return Lowered([text], [len(text) << ALIGNMENT_BITS], [0], [0], [])


def compile_lower(
    kind: Type, title: str, present: Callable[[object], object] | None = None
) -> Callable[[object], Lowered]:
    """The function that lowers values of `kind`, or what `present` makes such values of."""
    return _Compiler(title).lower(kind, present)


def _as_bytes(data: bytearray | memoryview) -> memoryview:
    return memoryview(data).cast("B")


class _Piece(NamedTuple):
    """A piece in the making; texts are expressions of the generated code."""

    offset: int
    """Of its address in the image."""
    data: str
    code: str
    condition: str | None = None
    """None: there always is such a piece."""
    then: str | None = None
    """What follows it, for a list: the loop over its elements; `{slot}` in it is the number that is its address."""


class _Shape:
    """What is known of an image on one path through the generated code; copied where the path forks."""

    def __init__(self) -> None:
        self.numbers: list[tuple[int, str, str]] = []
        """Offset, struct code and expression of each number."""
        self.pieces: list[_Piece] = []

    def copy(self) -> _Shape:
        shape = _Shape()
        shape.numbers, shape.pieces = list(self.numbers), list(self.pieces)
        return shape


class _Compiler:
    """Writes the lowering of one type, and of every type that it has lists of."""

    def __init__(self, title: str) -> None:
        self._source = Source(f"lower {title}", {"as_bytes": _as_bytes, "Lowered": Lowered})
        self._elements: dict[Type, str] = {}
        self._in_list = False
        self._mask = 0

    def lower(self, kind: Type, present: Callable[[object], object] | None) -> Callable[[object], Lowered]:
        source = self._source
        self._mask = layout(kind).alignment - 1
        with source.function("def lower(value):"):
            if present:
                source.line(f"value = {source.constant('present', present)}(value)")
            self._emit([(kind, "value", 0)], _Shape())
        return cast("Callable[[object], Lowered]", source.compile("lower"))

    def _element_function(self, kind: Type) -> str:
        """A function that appends the image of a list's element to an answer."""
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
            case Scalar() | Enumeration():
                shape.numbers.append((offset, leaves(kind)[0].code, value))
            case Text() | Bytes() | List():
                self._piece(kind, self._bind(value), offset, shape)
            case Record(fields):
                names = [self._source.name("field") for _ in fields]
                self._source.line(f"{', '.join(names)}, = {value}")
                kinds = tuple(field for _, field in fields)
                offsets = field_offsets(kinds, offset)
                rest = [*zip(kinds, names, offsets, strict=True), *rest]
            case Option(of) if isinstance(of, Scalar | Text | Bytes):
                self._option(of, self._bind(value), offset, offset + payload_offset(kind), shape)
            case Option() | Variant():
                self._fork(kind, value, offset, rest, shape)
                return
        self._emit(rest, shape)

    def _bind(self, value: str) -> str:
        name = self._source.name("v")
        self._source.line(f"{name} = {value}")
        return name

    def _piece(self, kind: Text | Bytes | List, value: str, offset: int, shape: _Shape) -> None:
        if isinstance(kind, List):
            size, alignment = layout(kind.of)
            code = f"len({value}) * {size << ALIGNMENT_BITS} + {alignment.bit_length() - 1}"
            function = self._element_function(kind.of)
            append = f"{function}(element, data, codes, slots, numbers, images, {{slot}}, i * {size})"
            loop = f"for i, element in enumerate({value}): {append}"
            shape.pieces.append(_Piece(offset, "b''", code, then=loop))
        else:
            self._encode(kind, value)
            shape.pieces.append(_Piece(offset, value, f"len({value}) << {ALIGNMENT_BITS}"))
        shape.numbers += [(offset, "I", "0"), (offset + 4, "I", f"len({value})")]

    def _encode(self, kind: Text | Bytes, value: str) -> None:
        if isinstance(kind, Text):
            self._source.line(f"{value} = {value}.encode()")
        else:
            self._source.line(f"if type({value}) is not bytes: {value} = as_bytes({value})")

    def _option(self, of: Scalar | Text | Bytes, value: str, offset: int, inner: int, shape: _Shape) -> None:
        """An option of a leaf does not fork: its payload is zero where there is none."""
        source = self._source
        shape.numbers.append((offset, "B", f"{value} is not None"))
        if isinstance(of, Scalar):
            shape.numbers.append((inner, leaves(of)[0].code, f"{value} or 0"))
            return
        length = source.name("length")
        source.line(f"{length} = 0")
        with source.block(f"if {value} is not None:"):
            self._encode(of, value)
            source.line(f"{length} = len({value})")
        shape.pieces.append(_Piece(inner, value, f"{length} << {ALIGNMENT_BITS}", f"{value} is not None"))
        shape.numbers += [(inner, "I", "0"), (inner + 4, "I", length)]

    def _fork(self, kind: Type, value: str, offset: int, rest: list[tuple[Type, str, int]], shape: _Shape) -> None:
        source, payloads = self._source, cases(kind) or ()
        inner = offset + payload_offset(kind)
        if isinstance(kind, Option):
            payload = self._bind(value)
            case = f"({payload} is not None)"
        else:
            case, payload = source.name("case"), source.name("payload")
            source.line(f"{case}, {payload} = {value}")
        shape.numbers.append((offset, "B", case))
        for number, of in enumerate(payloads):
            with source.block("else:" if number == len(payloads) - 1 else f"if {case} == {number}:"):
                first = [(of, payload, inner)] if of else []
                self._emit([*first, *rest], shape.copy())
                if self._in_list:
                    source.line("return")

    def _finish(self, shape: _Shape) -> None:
        """Write the end of a path: the image's numbers are known, and so are the pieces that must be there."""
        source, numbers = self._source, sorted(shape.numbers)
        slots = {offset: slot for slot, (offset, _, _) in enumerate(numbers)}
        struct = source.constant("STRUCT", Struct(struct_format([Leaf(offset, code) for offset, code, _ in numbers])))
        first = "first + " if self._in_list else ""
        sure = [piece for piece in shape.pieces if piece.condition is None]
        columns = {
            "numbers": ", ".join(expression for _, _, expression in numbers),
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
            source.line("return Lowered(data, codes, slots, numbers, images)")
