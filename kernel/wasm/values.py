"""Values as Wasmtime's component API passes them, to the kernel's values and back.

A value there is a C struct of a kind and a union; a list is an array of such structs, even a list of bytes. Converters
are built once for each function, from the table's type (`wit`: limits, and what is built) and the component's own
(names, and whether something is a record or a tuple); if the two differ in shape, the component is refused.

Wasmtime has checked that a guest's values are of their types; lengths are checked here, before anything is copied.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, string_at
from typing import Any, TypeAlias

from wasmtime import _ffi
from wasmtime.component import (
    U8,
    U64,
    Bool,
    EnumType,
    ListType,
    OptionType,
    RecordType,
    ResultType,
    String,
    TupleType,
    ValType,
    VariantType,
)

from kernel.contract import limits
from kernel.contract.errors import BadModule, GuestLimit
from kernel.wasm import capi
from kernel.wasm.wit import Bytes, Enumeration, List, Option, Record, Scalar, Text, Type, Variant

Value = _ffi.wasmtime_component_val_t
"""The C struct."""

_BYTES = ctypes.sizeof(Value)
_OF = Value.of.offset
_READ_ONLY = 0x100


class ByteTally:
    """The bytes of texts and lists that one call has brought in; a few of the guest's could become many of ours."""

    def __init__(self) -> None:
        self.bytes = 0

    def add(self, count: int, limit: int, what: str) -> None:
        """Count `count` bytes or elements of something that may have `limit`. Raises GuestLimit."""
        if count > limit:
            raise GuestLimit(f"{what}: {count} exceeds the limit of {limit}")
        self.bytes += count
        if self.bytes > limits.MAX_EFFECT_BYTES:
            raise GuestLimit(f"{what}: {self.bytes} bytes in one call exceed the limit of {limits.MAX_EFFECT_BYTES}")


Read: TypeAlias = Callable[[Any, ByteTally], Any]
"""Reads a value from a C struct. Raises GuestLimit."""
Write: TypeAlias = Callable[[Any, Any], None]
"""Writes a value into a C struct that holds nothing: (struct, value as `wit` describes lowered values)."""


def reader(kind: Type, declared: ValType, what: str) -> Read:
    """Return what lifts values of a type. Raises BadModule if the component declares another one."""
    match kind, declared:
        case Scalar.BOOL, Bool():
            return lambda value, tally: value.of.boolean
        case Scalar.U8, U8():
            return lambda value, tally: value.of.u8
        case Scalar.U64, U64():
            return lambda value, tally: value.of.u64
        case Text(), String():
            return _text_reader(kind, what)
        case Bytes(), ListType() if isinstance(declared.element, U8):
            return _bytes_reader(kind, what)
        case List(), ListType():
            return _list_reader(kind, reader(kind.of, declared.element, what), what)
        case Option(), OptionType():
            return _option_reader(reader(kind.of, declared.payload, what))
        case Record(), RecordType() | TupleType():
            return _record_reader(kind, declared, what)
        case Variant(), VariantType():
            return _variant_reader(kind, declared, what)
    raise _other_type(what)


def writer(kind: Type, declared: ValType, what: str) -> Write:
    """Return what lowers values of a type. Raises BadModule if the component declares another one."""
    match kind, declared:
        case Scalar.BOOL, Bool():
            return _write_bool
        case Scalar.U64, U64():
            return _write_u64
        case Text(), String():
            return lambda value, text: write_text(value, text.encode())
        case Bytes(), ListType() if isinstance(declared.element, U8):
            return _write_bytes
        case List(), ListType():
            return _list_writer(writer(kind.of, declared.element, what))
        case Option(), OptionType():
            return _option_writer(writer(kind.of, declared.payload, what))
        case Record(), RecordType() | TupleType():
            return _record_writer(kind, declared, what)
        case Enumeration(), EnumType():
            return _enumeration_writer(declared)
        case Variant(), VariantType():
            return _variant_writer(kind, declared, what)
        case Variant(), ResultType():
            return _result_writer(kind, declared, what)
    raise _other_type(what)


def _other_type(what: str) -> BadModule:
    return BadModule(f"it declares another type for {what} than this node does")


def _same_length(one: object, other: object, what: str) -> None:
    assert isinstance(one, tuple | list)
    assert isinstance(other, tuple | list)
    if len(one) != len(other):
        raise _other_type(what)


# --- reading ----------------------------------------------------------------------------------------------------------


def _text_reader(kind: Text, what: str) -> Read:
    def read(value: Any, tally: ByteTally) -> str:
        text = value.of.string
        size = min(text.size, kind.limit) if kind.cut else text.size
        tally.add(size, kind.limit, what)
        # UTF-8 was checked; only a cut can have split a character.
        return string_at(text.data, size).decode(errors="ignore" if kind.cut else "strict")

    return read


def _bytes_reader(kind: Bytes, what: str) -> Read:
    def read(value: Any, tally: ByteTally) -> bytes:
        size = value.of.list.size
        tally.add(size, kind.limit, what)
        if not size:
            return b""
        structs = capi.memory_view(ctypes.addressof(value.of.list.data.contents), size * _BYTES, _READ_ONLY)
        return structs[_OF::_BYTES].tobytes()

    return read


def _list_reader(kind: List, element: Read, what: str) -> Read:
    def read(value: Any, tally: ByteTally) -> tuple[Any, ...]:
        found = value.of.list
        tally.add(found.size, kind.limit, what)
        return tuple(element(found.data[i], tally) for i in range(found.size))

    return read


def _option_reader(payload: Read) -> Read:
    return lambda value, tally: payload(value.of.option.contents, tally) if value.of.option else None


def _record_reader(kind: Record, declared: RecordType | TupleType, what: str) -> Read:
    fields = _fields(declared)
    _same_length(kind.fields, fields, what)
    readers = [reader(of, field, what) for (_, of), (_, field) in zip(kind.fields, fields, strict=True)]
    named, make = isinstance(declared, RecordType), kind.make

    def read(value: Any, tally: ByteTally) -> Any:
        data = value.of.record.data if named else value.of.tuple.data
        parts = [each(data[i].val if named else data[i], tally) for i, each in enumerate(readers)]
        return tuple(parts) if make is tuple else make(*parts)

    return read


def _fields(declared: RecordType | TupleType) -> list[tuple[str, ValType]]:
    if isinstance(declared, RecordType):
        return declared.fields
    return [("", element) for element in declared.elements]


def _variant_reader(kind: Variant, declared: VariantType, what: str) -> Read:
    cases, make = declared.cases, kind.make
    assert make is not None, "it is never lifted"
    _same_length(kind.cases, cases, what)
    by_name = {
        name.encode(): (number, reader(of, payload, what) if of and payload else None)
        for number, ((_, of), (name, payload)) in enumerate(zip(kind.cases, cases, strict=True))
    }

    def read(value: Any, tally: ByteTally) -> Any:
        variant = value.of.variant
        number, payload = by_name[string_at(variant.discriminant.data, variant.discriminant.size)]
        return make(number, payload(variant.val.contents, tally) if payload else None)

    return read


# --- writing ----------------------------------------------------------------------------------------------------------


def _write_bool(value: Any, given: bool) -> None:
    value.kind = _ffi.WASMTIME_COMPONENT_BOOL.value
    value.of.boolean = given


def _write_u64(value: Any, number: int) -> None:
    value.kind = _ffi.WASMTIME_COMPONENT_U64.value
    value.of.u64 = number


def write_text(value: Any, text: bytes) -> None:
    """Write a string, as UTF-8, into a C struct that holds nothing."""
    _set_name(value.of.string, text)
    value.kind = _ffi.WASMTIME_COMPONENT_STRING.value


def _set_name(name: Any, text: bytes) -> None:
    _ffi.wasm_byte_vec_new_uninitialized(byref(name), len(text))
    ctypes.memmove(name.data, text, len(text))


def _write_bytes(value: Any, data: bytes | bytearray | memoryview) -> None:
    raw, size = _ffi.wasmtime_component_vallist_t(), len(data)
    _ffi.wasmtime_component_vallist_new_uninit(byref(raw), size)
    if size:
        structs = capi.memory_view(ctypes.addressof(raw.data.contents), size * _BYTES, capi.WRITABLE)
        structs[::_BYTES] = bytes([_ffi.WASMTIME_COMPONENT_U8.value]) * size
        structs[_OF::_BYTES] = memoryview(data).cast("B")
    value.of.list = raw
    value.kind = _ffi.WASMTIME_COMPONENT_LIST.value


def _list_writer(element: Write) -> Write:
    def write(value: Any, given: tuple[Any, ...]) -> None:
        raw = _ffi.wasmtime_component_vallist_t()
        _ffi.wasmtime_component_vallist_new_uninit(byref(raw), len(given))
        for i, each in enumerate(given):
            element(raw.data[i], each)
        value.of.list = raw
        value.kind = _ffi.WASMTIME_COMPONENT_LIST.value

    return write


def _boxed(write: Write | None, given: Any) -> Any:
    """Return a pointer to a value of its own, or null."""
    if write is None:
        return None
    inner = Value()
    write(inner, given)
    return _ffi.wasmtime_component_val_new(byref(inner))


def _option_writer(payload: Write) -> Write:
    def write(value: Any, given: Any) -> None:
        value.of.option = None if given is None else _boxed(payload, given)
        value.kind = _ffi.WASMTIME_COMPONENT_OPTION.value

    return write


def _record_writer(kind: Record, declared: RecordType | TupleType, what: str) -> Write:
    fields = _fields(declared)
    _same_length(kind.fields, fields, what)
    writers = [
        (name.encode(), writer(of, field, what)) for (_, of), (name, field) in zip(kind.fields, fields, strict=True)
    ]

    def write_record(value: Any, given: tuple[Any, ...]) -> None:
        raw = _ffi.wasmtime_component_valrecord_t()
        _ffi.wasmtime_component_valrecord_new_uninit(byref(raw), len(writers))
        for i, ((name, write), part) in enumerate(zip(writers, given, strict=True)):
            _set_name(raw.data[i].name, name)
            write(raw.data[i].val, part)
        value.of.record = raw
        value.kind = _ffi.WASMTIME_COMPONENT_RECORD.value

    def write_tuple(value: Any, given: tuple[Any, ...]) -> None:
        raw = _ffi.wasmtime_component_valtuple_t()
        _ffi.wasmtime_component_valtuple_new_uninit(byref(raw), len(writers))
        for i, ((_, write), part) in enumerate(zip(writers, given, strict=True)):
            write(raw.data[i], part)
        value.of.tuple = raw
        value.kind = _ffi.WASMTIME_COMPONENT_TUPLE.value

    return write_record if isinstance(declared, RecordType) else write_tuple


def _enumeration_writer(declared: EnumType) -> Write:
    names = [name.encode() for name in declared.names]

    def write(value: Any, number: int) -> None:
        _set_name(value.of.enumeration, names[number])
        value.kind = _ffi.WASMTIME_COMPONENT_ENUM.value

    return write


def _variant_writer(kind: Variant, declared: VariantType, what: str) -> Write:
    cases = declared.cases
    _same_length(kind.cases, cases, what)
    writers = [
        (name.encode(), writer(of, payload, what) if of and payload else None)
        for (_, of), (name, payload) in zip(kind.cases, cases, strict=True)
    ]

    def write(value: Any, given: tuple[int, Any]) -> None:
        number, payload = given
        name, inner = writers[number]
        value.of.variant.val = _boxed(inner, payload)
        _set_name(value.of.variant.discriminant, name)
        value.kind = _ffi.WASMTIME_COMPONENT_VARIANT.value

    return write


def _result_writer(kind: Variant, declared: ResultType, what: str) -> Write:
    ok, error = declared.ok, declared.err
    (_, ok_kind), (_, error_kind) = kind.cases
    if ok is None or error is None or ok_kind is None or error_kind is None:
        raise _other_type(what)
    writers = writer(ok_kind, ok, what), writer(error_kind, error, what)

    def write(value: Any, given: tuple[int, Any]) -> None:
        number, payload = given
        value.of.result.val = _boxed(writers[number], payload)
        value.of.result.is_ok = number == 0
        value.kind = _ffi.WASMTIME_COMPONENT_RESULT.value

    return write
