"""Reads the text of WIT packages, as far as WASI 0.2 needs it, into the types and functions of `wit`.

Owns the grammar (WIT.md) without comments, worlds and annotations. Names that an interface takes from another one are
looked up there; so packages are given in an order in which each uses only those before it. The text is ours: what does
not fit the grammar is a mistake of ours, and a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kernel.wasm.canonical.wit import (
    Bytes,
    Enumeration,
    Flags,
    Function,
    Handle,
    Kind,
    List,
    Option,
    Record,
    Scalar,
    Text,
    Type,
    Variant,
)

MAX_TEXT_BYTES = 1 << 16
"""A string that a guest passes to WASI: a path, or a name; far longer than any that is accepted."""
MAX_BYTES = 1 << 24
"""A list of bytes that a guest passes to WASI: what is written to a file at a time."""
MAX_ELEMENTS = 4096
"""Any other list: what is polled at a time."""

_TOKEN = re.compile(r"->|[%\w-]+|\S")
_VERSION = re.compile(r"@[0-9.]+[0-9]")
_SCALARS = {each.value: each for each in Scalar}


@dataclass(slots=True)
class WasiInterface:
    """One interface."""

    name: str
    """With its package, without a version, such as `wasi:io/poll`."""
    types: dict[str, Type] = field(default_factory=dict)
    """Also those that it takes from others; a resource is an owned handle."""
    functions: dict[str, Function] = field(default_factory=dict)
    """By the names under which components import them, such as `[method]pollable.block`."""


def read_packages(texts: list[str]) -> dict[str, WasiInterface]:
    """Return all interfaces of some packages by their names."""
    interfaces: dict[str, WasiInterface] = {}
    for text in texts:
        _Reader(text, interfaces).package()
    return interfaces


def pair(case: int, payload: object) -> tuple[int, object]:
    """Build a lifted variant."""
    return case, payload


class _Reader:
    """Goes through one package."""

    def __init__(self, text: str, interfaces: dict[str, WasiInterface]) -> None:
        self._tokens = _TOKEN.findall(_VERSION.sub("", text))
        self._at = 0
        self._all = interfaces
        self._package = ""
        self._interface = WasiInterface("")
        self._places: dict[str, int] = {}
        """Where each interface of the package begins."""

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        token: str = self._tokens[self._at - 1]
        return token.removeprefix("%")

    def _skip(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._at += 1
        return True

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            if not self._skip(token):
                raise ValueError(f"{self._package}: {token!r} is expected, and {self._peek()!r} is there")

    def _until(self, end: str) -> Iterator[None]:
        """Go on to a closing bracket; commas between items are skipped."""
        while not self._skip(end):
            yield
            self._skip(",")

    # --- packages and interfaces --------------------------------------------------------------------------------------

    def package(self) -> None:
        """Read a whole package. Interfaces come in any order; what one uses of a later one is read first."""
        self._expect("package")
        self._package = self._next()
        self._expect(":")
        self._package += ":" + self._next()
        self._expect(";")
        places = self._places
        while self._peek():
            kind, name = self._next(), self._next()
            if kind == "interface":
                places[f"{self._package}/{name}"] = self._at
            self._skip_block()
        for name in places:
            self._read_interface(name)

    def _skip_block(self) -> None:
        self._expect("{")
        depth = 1
        while depth:
            token = self._next()
            depth += (token == "{") - (token == "}")

    def _read_interface(self, name: str) -> WasiInterface:
        if name in self._all:
            return self._all[name]
        before = self._at, self._interface
        self._at, self._interface = self._places[name], WasiInterface(name)
        self._expect("{")
        while not self._skip("}"):
            self._item()
        found = self._all[name] = self._interface
        self._at, self._interface = before
        return found

    def _item(self) -> None:
        word, types = self._next(), self._interface.types
        match word:
            case "use":
                self._use()
            case "type":
                name = self._next()
                self._expect("=")
                types[name] = self._type()
                self._expect(";")
            case "record":
                name = self._next()
                types[name] = Record(tuple(self._fields()), tuple)
            case "flags":
                name = self._next()
                types[name] = Flags(tuple(self._names()))
            case "enum":
                name = self._next()
                types[name] = Enumeration(tuple(self._names()))
            case "variant":
                name = self._next()
                types[name] = Variant(tuple(self._cases()), pair)
            case "resource":
                self._resource(self._next())
            case _:
                self._expect(":")
                self._function(word, ())

    def _use(self) -> None:
        path = self._next()
        if self._skip(":"):
            path += ":" + self._next()
            self._expect("/")
            path += "/" + self._next()
        else:
            path = f"{self._package}/{path}"
        self._expect(".", "{")
        source = self._read_interface(path)
        for _ in self._until("}"):
            name = self._next()
            alias = self._next() if self._skip("as") else name
            self._interface.types[alias] = source.types[name]
        self._expect(";")

    def _resource(self, name: str) -> None:
        full = f"{self._interface.name}.{name}"
        self._interface.types[name] = Handle(full, owned=True)
        if self._skip(";"):
            return
        self._expect("{")
        while not self._skip("}"):
            word = self._next()
            if word == "constructor":
                self._function(f"[constructor]{name}", (), Handle(full, owned=True))
                continue
            self._expect(":")
            if self._skip("static"):
                self._function(f"[static]{name}.{word}", ())
            else:
                self._function(f"[method]{name}.{word}", (("self", Handle(full, owned=False)),))

    def _function(self, name: str, params: tuple[tuple[str, Type], ...], result: Type | None = None) -> None:
        """Read a function from behind its colon."""
        self._skip("func")
        self._expect("(")
        for _ in self._until(")"):
            param = self._next()
            self._expect(":")
            params += ((param, self._type()),)
        if self._skip("->"):
            result = self._type()
        self._expect(";")
        self._interface.functions[name] = Function(name, Kind.WASI, params, result)

    # --- types --------------------------------------------------------------------------------------------------------

    def _fields(self) -> Iterator[tuple[str, Type]]:
        self._expect("{")
        for _ in self._until("}"):
            name = self._next()
            self._expect(":")
            yield name, self._type()

    def _names(self) -> Iterator[str]:
        self._expect("{")
        for _ in self._until("}"):
            yield self._next()

    def _cases(self) -> Iterator[tuple[str, Type | None]]:
        self._expect("{")
        for _ in self._until("}"):
            name, payload = self._next(), None
            if self._skip("("):
                payload = self._type()
                self._expect(")")
            yield name, payload

    def _type(self) -> Type:
        name = self._next()
        if name in _SCALARS:
            return _SCALARS[name]
        match name:
            case "string":
                return Text(MAX_TEXT_BYTES)
            case "list":
                of = self._inner()[0]
                return Bytes(MAX_BYTES) if of is Scalar.U8 else List(_known(of), MAX_ELEMENTS)
            case "option":
                return Option(_known(self._inner()[0]))
            case "tuple":
                return Record(tuple((str(i), _known(each)) for i, each in enumerate(self._inner())), tuple)
            case "result":
                ok, error = [*(self._inner() if self._peek() == "<" else []), None, None][:2]
                return Variant((("ok", ok), ("error", error)), pair)
            case "borrow":
                (of,) = self._inner()
                assert isinstance(of, Handle)
                return Handle(of.resource, owned=False)
        found = self._interface.types.get(name)
        # A record may be used before it is defined.
        return found if found is not None else self._later(name)

    def _inner(self) -> list[Type | None]:
        """Read what stands between angle brackets; `_` is None."""
        self._expect("<")
        return [None if self._skip("_") else self._type() for _ in self._until(">")]

    def _later(self, name: str) -> Type:
        """Read a type that is defined further on."""
        before = self._at
        for at in range(before, len(self._tokens) - 1):
            if self._tokens[at + 1] == name and self._tokens[at] in (
                "record",
                "variant",
                "enum",
                "flags",
                "resource",
                "type",
            ):
                break
        else:
            raise ValueError(f"{self._package}: there is no type {name!r}")
        if self._tokens[at] == "resource":
            found: Type = Handle(f"{self._interface.name}.{name}", owned=True)
        else:
            self._at = at
            self._item()
            found = self._interface.types[name]
        self._at = before
        return found


def _known(kind: Type | None) -> Type:
    assert kind is not None
    return kind
