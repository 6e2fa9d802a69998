"""Lifting: parameters out of a guest's memory, into the effect that they ask for.

Theory of operation: see `abi`. For each function of an interface this compiles one Python function: one unpack for all
numbers of the call, then the strings, each checked against its limit and the memory's end before it is read. Nothing
that a guest passes is trusted: a pointer outside its memory, an unaligned one, a discriminant without a case, text that
is not UTF-8 raise GuestTrap; more than `limits` allow raises GuestLimit, a GuestTrap too. Nothing else leaves.

Lists are the one place where a few bytes of guest memory could become many of ours (a thousand elements that all point
to the same megabyte), so what a list brings in altogether is bounded by MAX_EFFECT_BYTES.

Addresses come again and again; they are cached by their raw bytes and not decoded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from struct import Struct
from typing import Any, TypeAlias, cast

from kernel.contract import limits
from kernel.contract.errors import GuestLimit, GuestTrap
from kernel.wasm.canonical.abi import Leaf, layout, leaves, record_layout, signature, struct_format
from kernel.wasm.canonical.kept import KEPT_BYTES, LargeForm, keeping
from kernel.wasm.canonical.source import Source
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

Lift: TypeAlias = Callable[[memoryview, bytes | memoryview], tuple[Any, int, int]]
"""(guest memory, the call's raw arguments) to what `Function.make` built, how many bytes of strings it holds, and the
return pointer (0 if there is none). Raises only GuestTrap."""

_BYTES_OF_ELEMENT = 64
"""What one list element costs besides its strings, in the bound on a list."""


def compile_lift(function: Function, slot: int, start: int) -> Lift:
    """Return the function that lifts the parameters of `function`.

    The raw arguments are `slot` bytes each, the number lies `start` bytes into its slot.
    """
    return _Compiler(function.name).lift(function, slot, start)


def _over(what: str, count: int, limit: int) -> GuestLimit:
    return GuestLimit(f"{what}: {count} exceeds the limit of {limit}")


def _outside(what: str) -> GuestTrap:
    return GuestTrap(f"{what} lies outside the memory")


def _unaligned(what: str) -> GuestTrap:
    return GuestTrap(f"{what} is not aligned")


def _no_case(what: str, case: int) -> GuestTrap:
    return GuestTrap(f"{what} has no case {case}")


def _bad_text(what: str, error: UnicodeDecodeError) -> GuestTrap:
    return GuestTrap(f"{what} is not UTF-8: {error.reason}")


def _cut_text(data: memoryview) -> str:
    """Return the text in `data`, less a character that the cut at its end may have split. Raises UnicodeDecodeError."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            raise
        return str(data[: error.start], "utf-8")


def _interning(kind: Record) -> Callable[..., object]:
    """Return a cached function from the raw bytes of a record's texts to the record; it raises UnicodeDecodeError, and
    LargeForm with the record."""

    def build(record: Record, texts: Iterator[bytes]) -> object:
        values = [
            build(field, texts) if isinstance(field, Record) else str(next(texts), "utf-8")
            for _, field in record.fields
        ]
        return record.make(*values)

    @keeping
    def intern(*texts: bytes) -> object:
        record = build(kind, iter(texts))
        if sum(map(len, texts)) > KEPT_BYTES:
            raise LargeForm(record)
        return record

    return intern


class _Compiler:
    """Writes the lifting of one function; its code keeps the bytes so far in `total`, the memory's size in `size`."""

    def __init__(self, name: str) -> None:
        self._title = name
        self._source = Source(
            f"lift {name}",
            {
                "over": _over,
                "outside": _outside,
                "unaligned": _unaligned,
                "no_case": _no_case,
                "bad_text": _bad_text,
                "cut_text": _cut_text,
                "new": tuple.__new__,
                "LargeForm": LargeForm,
                "BUDGET": limits.MAX_EFFECT_BYTES,
            },
        )

    def lift(self, function: Function, slot: int, start: int) -> Lift:
        source, core = self._source, signature(function)
        kinds = tuple(kind for _, kind in function.params)
        slots = [Leaf(i * slot + start, "Q" if number == "i64" else "I") for i, number in enumerate(core.params)]
        arguments = source.constant("arguments", Struct(struct_format(slots)).unpack_from)
        numbers = [leaf for kind in kinds for leaf in leaves(kind)]
        names = [source.name("n") for _ in numbers]
        with source.function("def lift(view, raw):"):
            source.line("total = 0; size = len(view)")
            if core.spilled:
                source.line(f"base, {'ret, ' if core.returns_through_pointer else ''}= {arguments}(raw)")
                self._unpack_spilled(kinds, names)
            else:
                names_and_ret = [*names, *(["ret"] if core.returns_through_pointer else [])]
                source.line("".join(f"{name}, " for name in names_and_ret) + f"= {arguments}(raw)" if slots else "pass")
            feed = iter(names)
            values = [self._value(kind, feed, name) for name, kind in function.params]
            built = self._build(function.make, values)
            source.line(f"return {built}, total, {'ret' if core.returns_through_pointer else 0}")
        return cast("Lift", source.compile("lift"))

    def _unpack_spilled(self, kinds: tuple[Type, ...], names: list[str]) -> None:
        source, whole = self._source, record_layout(kinds)
        # The record has the layout of its fields in order: the same as one Record of them.
        record = Record(tuple((str(i), kind) for i, kind in enumerate(kinds)), tuple)
        unpack = source.constant("unpack", Struct(struct_format(leaves(record), whole.size)).unpack_from)
        with source.block(f"if base % {whole.alignment}:"):
            source.line("raise unaligned('the parameters')")
        with source.block(f"if base + {whole.size} > size:"):
            source.line("raise outside('the parameters')")
        source.line(f"{', '.join(names)}, = {unpack}(view, base)")

    def _value(self, kind: Type, feed: Iterator[str], what: str) -> str:
        """Write the lifting of one value, whose numbers are the next names of `feed`; return an expression for it."""
        match kind:
            case Scalar.BOOL:
                return f"({next(feed)} != 0)"
            case Scalar.U8:
                return f"({next(feed)} & 255)"
            case Scalar.U16:
                return f"({next(feed)} & 65535)"
            case Scalar() | Handle():
                return next(feed)
            case Flags(names):
                return f"({next(feed)} & {(1 << len(names)) - 1})"
            case Enumeration(names):
                return self._case(next(feed), len(names), what)
            case Text():
                return self._text(kind, next(feed), next(feed), what)
            case Bytes():
                pointer, length = next(feed), next(feed)
                self._check_span(pointer, length, kind.limit, what)
                return f"view[{pointer}:{pointer} + {length}].tobytes()"
            case List():
                return self._list(kind, next(feed), next(feed), what)
            case Record() if kind.interned:
                return self._interned(kind, feed, what)
            case Record():
                fields = [self._value(field, feed, f"{what}.{name}") for name, field in kind.fields]
                return self._build(kind.make, fields)
            case Option(of):
                return self._variant((None, of), None, feed, what)
            case Variant():
                assert kind.make, f"{kind} is never lifted"
                return self._variant(tuple(payload for _, payload in kind.cases), kind.make, feed, what)
        raise AssertionError(f"{kind} is never lifted")

    def _case(self, number: str, count: int, what: str) -> str:
        with self._source.block(f"if {number} >= {count}:"):
            self._source.line(f"raise no_case({what!r}, {number})")
        return number

    def _build(self, make: Callable[..., object], values: list[str]) -> str:
        items = "".join(f"{value}, " for value in values)
        if make is tuple:
            return f"({items})"
        maker = self._source.constant("make", make)
        if isinstance(make, type) and issubclass(make, tuple):
            # A named tuple's own constructor is a Python function around this one.
            return f"new({maker}, ({items}))"
        return f"{maker}({items})"

    def _check_span(self, pointer: str, length: str, limit: int, what: str) -> None:
        source = self._source
        with source.block(f"if {length} > {limit}:"):
            source.line(f"raise over('bytes of {what}', {length}, {limit})")
        with source.block(f"if {pointer} + {length} > size:"):
            source.line(f"raise outside({what!r})")
        source.line(f"total += {length}")

    def _text(self, kind: Text, pointer: str, length: str, what: str) -> str:
        source, value = self._source, self._source.name("text")
        decode = "str({}, 'utf-8')"
        if kind.cut:
            with source.block(f"if {pointer} + {length} > size:"):
                source.line(f"raise outside({what!r})")
            source.line(f"{length} = min({length}, {kind.limit})")
            decode = "cut_text({})"
        self._check_span(pointer, length, kind.limit, what)
        self._decode(f"{value} = " + decode.format(f"view[{pointer}:{pointer} + {length}]"), what)
        return value

    def _decode(self, statement: str, what: str) -> None:
        source = self._source
        with source.block("try:"):
            source.line(statement)
        with source.block("except UnicodeDecodeError as error:"):
            source.line(f"raise bad_text({what!r}, error) from None")

    def _interned(self, kind: Record, feed: Iterator[str], what: str) -> str:
        source, value = self._source, self._source.name("record")
        intern = source.constant("intern", _intern(kind))
        texts = []
        for _ in range(len(leaves(kind)) // 2):
            pointer, length = next(feed), next(feed)
            self._check_span(pointer, length, limits.MAX_NAME_BYTES, what)
            texts.append(f"view[{pointer}:{pointer} + {length}].tobytes()")
        self._decode(f"{value} = {intern}({', '.join(texts)})", what)
        with source.block("except LargeForm as large:"):
            source.line(f"{value} = large.form")
        return value

    def _variant(
        self,
        payloads: tuple[Type | None, ...],
        make: Callable[..., object] | None,
        feed: Iterator[str],
        what: str,
    ) -> str:
        source, value, case = self._source, self._source.name("value"), next(feed)
        maker = source.constant("make", make) if make else None
        self._case(case, len(payloads), what)
        for number, payload in enumerate(payloads):
            with source.block(f"{'el' if number else ''}if {case} == {number}:"):
                inner = self._value(payload, feed, what) if payload else "None"
                source.line(f"{value} = " + (f"{maker}({number}, {inner})" if maker else inner))
        return value

    def _list(self, kind: List, pointer: str, count: str, what: str) -> str:
        source, value = self._source, self._source.name("list")
        size, alignment = layout(kind.of)
        function = self._list_function(kind, what)
        source.line(f"{value} = ()")
        with source.block(f"if {count} > {kind.limit}:"):
            source.line(f"raise over('elements of {what}', {count}, {kind.limit})")
        with source.block(f"if {pointer} % {alignment}:"):
            source.line(f"raise unaligned({what!r})")
        with source.block(f"if {pointer} + {count} * {size} > size:"):
            source.line(f"raise outside({what!r})")
        with source.block(f"if {count}:"):
            source.line(f"{value}, total = {function}(view, size, {pointer}, {count}, total)")
        return value

    def _list_function(self, kind: List, what: str) -> str:
        source, name = self._source, self._source.name("elements")
        numbers, size = leaves(kind.of), layout(kind.of).size
        names = [source.name("n") for _ in numbers]
        unpack = source.constant("unpack", Struct(struct_format(numbers, size)).iter_unpack)
        with source.function(f"def {name}(view, size, pointer, count, total):"):
            source.line("found = []")
            with source.block(f"for {', '.join(names)}, in {unpack}(view[pointer : pointer + count * {size}]):"):
                # Before each element, so that one of the largest size may still end the list.
                with source.block("if total > BUDGET:"):
                    source.line(f"raise over('bytes within {what}', total, BUDGET)")
                source.line(f"total += {_BYTES_OF_ELEMENT}")
                source.line(f"found.append({self._value(kind.of, iter(names), what)})")
            source.line("return tuple(found), total")
        return name


@lru_cache(None)
def _intern(kind: Record) -> Callable[..., object]:
    """Return one cache for each type, whatever number of functions takes it."""
    return _interning(kind)
