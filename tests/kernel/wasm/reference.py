"""A second, slow implementation of the canonical ABI, written from CanonicalABI.md without a look at `kernel.wasm`.

Values are plain: a record is the tuple of its fields, a variant is (case, payload), an enumeration its number, an
option None or the value, a list a tuple.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from kernel.wasm.canonical.wit import Bytes, Enumeration, Function, List, Option, Record, Scalar, Text, Type, Variant

Plain = Any


class Memory:
    """A guest's memory and a bump allocator in it."""

    def __init__(self, data: bytearray | memoryview, heap: int) -> None:
        self.data = data
        self.heap = heap

    def allocate(self, alignment: int, size: int) -> int:
        self.heap = aligned(self.heap, alignment)
        at = self.heap
        self.heap += size
        return at

    def write(self, at: int, data: bytes) -> None:
        assert at + len(data) <= len(self.data), "the test's memory is too small"
        self.data[at : at + len(data)] = data

    def read(self, at: int, size: int) -> bytes:
        assert at + size <= len(self.data)
        return bytes(self.data[at : at + size])

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.read(at, size), "little")


def aligned(at: int, alignment: int) -> int:
    return (at + alignment - 1) // alignment * alignment


def cases(kind: Type) -> list[Type | None]:
    if isinstance(kind, Option):
        return [None, kind.of]
    if isinstance(kind, Enumeration):
        return [None] * len(kind.cases)
    assert isinstance(kind, Variant)
    return [payload for _, payload in kind.cases]


NUMBER_SIZES = {Scalar.BOOL: 1, Scalar.U8: 1, Scalar.U32: 4, Scalar.U64: 8}


@cache
def alignment(kind: Type) -> int:
    if isinstance(kind, Scalar):
        return NUMBER_SIZES[kind]
    if isinstance(kind, Text | Bytes | List):
        return 4
    if isinstance(kind, Record):
        return max(alignment(field) for _, field in kind.fields)
    return max(1, *(alignment(payload) for payload in cases(kind) if payload), 1)


@cache
def size(kind: Type) -> int:
    if isinstance(kind, Scalar):
        return NUMBER_SIZES[kind]
    if isinstance(kind, Text | Bytes | List):
        return 8
    if isinstance(kind, Record):
        at = 0
        for _, field in kind.fields:
            at = aligned(at, alignment(field)) + size(field)
        return aligned(at, alignment(kind))
    largest = max((size(payload) for payload in cases(kind) if payload), default=0)
    return aligned(payload_at(kind) + largest, alignment(kind))


@cache
def payload_at(kind: Type) -> int:
    return aligned(1, max([1, *(alignment(payload) for payload in cases(kind) if payload)]))


def as_case(kind: Type, value: Plain) -> tuple[int, Plain]:
    if isinstance(kind, Option):
        return (0, None) if value is None else (1, value)
    if isinstance(kind, Enumeration):
        return value, None
    case, payload = value
    return case, payload


def pointer_and_length(memory: Memory, kind: Text | Bytes | List, value: Plain) -> tuple[int, int]:
    if isinstance(kind, List):
        at = memory.allocate(alignment(kind.of), size(kind.of) * len(value))
        for i, element in enumerate(value):
            store(memory, kind.of, element, at + i * size(kind.of))
        return at, len(value)
    data = value.encode() if isinstance(kind, Text) else value
    at = memory.allocate(1, len(data))
    memory.write(at, data)
    return at, len(data)


def store(memory: Memory, kind: Type, value: Plain, at: int) -> None:
    """Write a value as a guest would."""
    if isinstance(kind, Scalar):
        memory.write(at, int(value).to_bytes(size(kind), "little"))
    elif isinstance(kind, Text | Bytes | List):
        for i, number in enumerate(pointer_and_length(memory, kind, value)):
            memory.write(at + 4 * i, number.to_bytes(4, "little"))
    elif isinstance(kind, Record):
        for (_, field), part in zip(kind.fields, value, strict=True):
            at = aligned(at, alignment(field))
            store(memory, field, part, at)
            at += size(field)
    else:
        case, payload = as_case(kind, value)
        memory.write(at, bytes([case]))
        of = cases(kind)[case]
        if of:
            store(memory, of, payload, at + payload_at(kind))


def load(memory: Memory, kind: Type, at: int) -> Plain:
    """Read a value as a guest would."""
    if isinstance(kind, Scalar):
        number = memory.number(at, size(kind))
        return bool(number) if kind is Scalar.BOOL else number
    if isinstance(kind, Text | Bytes | List):
        pointer, length = memory.number(at, 4), memory.number(at + 4, 4)
        if isinstance(kind, List):
            assert pointer % alignment(kind.of) == 0
            return tuple(load(memory, kind.of, pointer + i * size(kind.of)) for i in range(length))
        data = memory.read(pointer, length)
        return data.decode() if isinstance(kind, Text) else data
    if isinstance(kind, Record):
        values = []
        for _, field in kind.fields:
            at = aligned(at, alignment(field))
            values.append(load(memory, field, at))
            at += size(field)
        return tuple(values)
    case = memory.number(at, 1)
    of = cases(kind)[case]
    payload = load(memory, of, at + payload_at(kind)) if of else None
    if isinstance(kind, Option):
        return payload
    return case if isinstance(kind, Enumeration) else (case, payload)


def flat(memory: Memory, kind: Type, value: Plain) -> list[int]:
    """The core numbers that a guest would pass."""
    if isinstance(kind, Scalar):
        return [int(value)]
    if isinstance(kind, Text | Bytes | List):
        return list(pointer_and_length(memory, kind, value))
    if isinstance(kind, Record):
        return [
            number for (_, field), part in zip(kind.fields, value, strict=True) for number in flat(memory, field, part)
        ]
    case, payload = as_case(kind, value)
    of = cases(kind)[case]
    numbers = flat(memory, of, payload) if of else []
    return [case, *numbers, *[0] * (flat_count(kind) - 1 - len(numbers))]


def flat_count(kind: Type) -> int:
    if isinstance(kind, Scalar):
        return 1
    if isinstance(kind, Text | Bytes | List):
        return 2
    if isinstance(kind, Record):
        return sum(flat_count(field) for _, field in kind.fields)
    return 1 + max((flat_count(payload) for payload in cases(kind) if payload), default=0)


def arguments(memory: Memory, function: Function, values: tuple[Plain, ...]) -> list[int]:
    """The core numbers with which a guest calls a function, without the return pointer."""
    record = Record(function.params, tuple)
    if sum(flat_count(kind) for _, kind in function.params) <= 16:
        return flat(memory, record, values)
    at = memory.allocate(alignment(record), size(record))
    store(memory, record, values, at)
    return [at]


def built(kind: Type, value: Plain) -> object:
    """What lifting a plain value is to give."""
    if isinstance(kind, Option):
        return None if value is None else built(kind.of, value)
    if isinstance(kind, List):
        return tuple(built(kind.of, element) for element in value)
    if isinstance(kind, Record):
        parts = [built(field, part) for (_, field), part in zip(kind.fields, value, strict=True)]
        return tuple(parts) if kind.make is tuple else kind.make(*parts)
    if isinstance(kind, Variant):
        case, payload = value
        of = cases(kind)[case]
        assert kind.make
        return kind.make(case, built(of, payload) if of else None)
    return value


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)


def plain(kind: Type) -> st.SearchStrategy[Plain]:
    """Any small value of a type."""
    if isinstance(kind, Scalar):
        return st.booleans() if kind is Scalar.BOOL else st.integers(0, 256 ** size(kind) - 1)
    if isinstance(kind, Text):
        return TEXTS
    if isinstance(kind, Bytes):
        return st.binary(max_size=40)
    if isinstance(kind, Option):
        return st.none() | plain(kind.of)
    if isinstance(kind, List):
        return st.lists(plain(kind.of), max_size=3).map(tuple)
    if isinstance(kind, Record):
        return st.tuples(*(plain(field) for _, field in kind.fields))
    if isinstance(kind, Enumeration):
        return st.integers(0, len(kind.cases) - 1)
    assert isinstance(kind, Variant)
    return st.one_of(
        *(
            st.tuples(st.just(case), plain(of) if of else st.none())
            for case, of in enumerate(payload for _, payload in kind.cases)
        )
    )
