"""The canonical ABI's arithmetic: how large a type is, where its fields lie, which core numbers it flattens to.

Theory of operation. The Component Model's CanonicalABI.md gives every WIT type two shapes: a layout in memory, and a
flat list of core Wasm numbers. Parameters travel flat, unless there are more than MAX_FLAT_PARAMS: then a single
pointer to a record of them does. A result of more than MAX_FLAT_RESULTS numbers is written to a pointer that the caller
appends to the parameters. This module computes both shapes; `lift` (parameters, from the guest) and `lower` (results,
to the guest) generate straight-line Python from them, once for each type, because every message takes both directions.
Interpreting the type descriptions for every message was several times slower.

In both shapes a type is the same sequence of numbers, its *leaves*: a string is pointer and length wherever it lies.
That holds as long as at most one case of a variant has a payload, which is so for everything that a guest passes in.

Pure: no memory, no guest, no Wasmtime.
"""

from __future__ import annotations

from typing import NamedTuple

from kernel.wasm.canonical.wit import (
    Bytes,
    Enumeration,
    Flags,
    Function,
    Handle,
    List,
    Option,
    Record,
    Scalar,
    Text,
    Type,
    Variant,
)

MAX_FLAT_PARAMS = 16
"""Core numbers; with more, a function takes one pointer (CanonicalABI.md, Flattening)."""
MAX_FLAT_RESULTS = 1
"""Core numbers; with more, a function takes one more pointer to write its result to."""

_SCALARS = {
    Scalar.BOOL: (1, "B"),
    Scalar.U8: (1, "B"),
    Scalar.U16: (2, "H"),
    Scalar.U32: (4, "I"),
    Scalar.S32: (4, "I"),
    Scalar.U64: (8, "Q"),
}


class Leaf(NamedTuple):
    """One number of a type's layout."""

    offset: int
    """Bytes from the start of the value in memory."""
    code: str
    """The code in the module struct: B, H, I or Q, of 1, 2, 4 and 8 bytes."""


class Layout(NamedTuple):
    """Where a value lies in memory, in bytes."""

    size: int
    alignment: int


class Signature(NamedTuple):
    """A function as core Wasm sees it."""

    params: tuple[str, ...]
    """The core types i32 or i64, with the return pointer, if there is one, at the end."""
    results: tuple[str, ...]
    spilled: bool
    """Whether the parameters lie in memory, behind the first number."""
    returns_through_pointer: bool


def align(offset: int, alignment: int) -> int:
    """Return the first multiple of `alignment`, a power of two, that is not below `offset`."""
    return (offset + alignment - 1) & -alignment


def cases(kind: Type) -> tuple[Type | None, ...] | None:
    """Return the payloads of a type with a discriminant, or None if it has none."""
    match kind:
        case Option(of):
            return None, of
        case Variant(named):
            return tuple(payload for _, payload in named)
        case Enumeration(names):
            return (None,) * len(names)
    return None


def layout(kind: Type) -> Layout:
    """Return size and alignment of a type in memory (CanonicalABI.md, Alignment and Element Size)."""
    if isinstance(kind, Scalar):
        size = _SCALARS[kind][0]
        return Layout(size, size)
    if isinstance(kind, Flags):
        return Layout(1, 1)
    if isinstance(kind, Handle):
        return Layout(4, 4)
    if isinstance(kind, Text | Bytes | List):
        return Layout(8, 4)
    if isinstance(kind, Record):
        return record_layout(tuple(field for _, field in kind.fields))
    payloads = [layout(payload) for payload in cases(kind) or () if payload]
    alignment = max((payload.alignment for payload in payloads), default=1)
    size = align(1, alignment) + max((payload.size for payload in payloads), default=0)
    return Layout(align(size, alignment), alignment)


def record_layout(fields: tuple[Type, ...]) -> Layout:
    """Return size and alignment of a record of `fields`; spilled parameters are one too."""
    size, alignment = 0, 1
    for field in map(layout, fields):
        size = align(size, field.alignment) + field.size
        alignment = max(alignment, field.alignment)
    return Layout(align(size, alignment), alignment)


def field_offsets(fields: tuple[Type, ...], start: int = 0) -> list[int]:
    """Return where each field of a record that starts at `start` lies."""
    offsets, offset = [], start
    for kind in fields:
        offset = align(offset, layout(kind).alignment)
        offsets.append(offset)
        offset += layout(kind).size
    return offsets


def payload_offset(kind: Type) -> int:
    """Return where a variant's payload lies; the discriminant, one byte, is at 0."""
    return align(1, layout(kind).alignment)


def leaves(kind: Type, offset: int = 0) -> list[Leaf]:
    """Return the numbers of a type at `offset`, in order; a variant's are its discriminant and its one payload's.

    Raises ValueError for a variant of several payloads: those overlap.
    """
    if isinstance(kind, Scalar):
        return [Leaf(offset, _SCALARS[kind][1])]
    if isinstance(kind, Flags):
        return [Leaf(offset, "B")]
    if isinstance(kind, Handle):
        return [Leaf(offset, "I")]
    if isinstance(kind, Text | Bytes | List):
        return [Leaf(offset, "I"), Leaf(offset + 4, "I")]
    if isinstance(kind, Record):
        fields = tuple(field for _, field in kind.fields)
        return [
            leaf for field, at in zip(fields, field_offsets(fields, offset), strict=True) for leaf in leaves(field, at)
        ]
    payloads = [payload for payload in cases(kind) or () if payload]
    if len(payloads) > 1:
        raise ValueError(f"the payloads of {kind} overlap")
    inner = leaves(payloads[0], offset + payload_offset(kind)) if payloads else []
    return [Leaf(offset, "B"), *inner]


def flatten(kind: Type) -> list[str]:
    """Return the core numbers of a type, i32 or i64 each (CanonicalABI.md, Flattening); no floats occur here."""
    payloads = cases(kind)
    if payloads is None:
        return ["i64" if leaf.code == "Q" else "i32" for leaf in _shallow_leaves(kind)]
    joined: list[str] = []
    for payload in payloads:
        for i, number in enumerate(flatten(payload) if payload else ()):
            if i == len(joined):
                joined.append(number)
            elif joined[i] != number:
                joined[i] = "i64"
    return ["i32", *joined]


def has_pieces(kind: Type) -> bool:
    """Return whether a value of the type may hold strings or lists, which lie elsewhere in memory."""
    if isinstance(kind, Text | Bytes | List):
        return True
    if isinstance(kind, Record):
        return any(has_pieces(field) for _, field in kind.fields)
    return any(has_pieces(payload) for payload in cases(kind) or () if payload)


def _shallow_leaves(kind: Type) -> list[Leaf]:
    if isinstance(kind, Record):
        return [Leaf(0, "Q" if number == "i64" else "I") for _, field in kind.fields for number in flatten(field)]
    return leaves(kind)


def signature(function: Function) -> Signature:
    """Return the core signature under which guests import `function`."""
    params = [number for _, kind in function.params for number in flatten(kind)]
    results = flatten(function.result) if function.result else []
    spilled = len(params) > MAX_FLAT_PARAMS
    through_pointer = len(results) > MAX_FLAT_RESULTS
    numbers = (["i32"] if spilled else params) + (["i32"] if through_pointer else [])
    return Signature(tuple(numbers), () if through_pointer else tuple(results), spilled, through_pointer)


def struct_format(numbers: list[Leaf], size: int | None = None) -> str:
    """Return the format, for the module struct, of `numbers` at their offsets, padded to `size` bytes if that is
    given."""
    parts, end = ["<"], 0
    for leaf in numbers:
        if leaf.offset > end:
            parts.append(f"{leaf.offset - end}x")
        parts.append(leaf.code)
        end = leaf.offset + {"B": 1, "H": 2, "I": 4, "Q": 8}[leaf.code]
    if size is not None and size > end:
        parts.append(f"{size - end}x")
    return "".join(parts)
