"""Reads WIT files into what they declare, without asking what the names in it mean (`nectar_node.interfaces.resolver`).

The subset is what describes messages: interfaces with types and `use`. Worlds, functions and attributes are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.lexer import Token, tokens_untrusted
from nectar_node.interfaces.limits import MAX_DEPTH, MAX_TEXT_BYTES

_KINDS = ("record", "variant", "enum", "flags")
_OPENING, _CLOSING = "{(<", "})>"


class TypeText(NamedTuple):
    """A type as it is written: a name, and what stands in its angle brackets."""

    name: str
    arguments: tuple[TypeText | None, ...]
    """None: `_`."""
    line: int


class DeclaredMember(NamedTuple):
    """A field or case as it is written."""

    name: str
    docs: tuple[str, ...]
    type: TypeText | None
    line: int


class Declared(NamedTuple):
    """A type that has a name."""

    kind: str
    """record, variant, enum, flags, type or resource."""
    name: str
    docs: tuple[str, ...]
    members: tuple[DeclaredMember, ...]
    target: TypeText | None
    """What a `type` stands for."""
    line: int


class UsedName(NamedTuple):
    """A type of another interface."""

    interface: str
    """Its name, without that of a package."""
    foreign: bool
    """Whether that belongs to another package."""
    name: str


@dataclass(slots=True)
class DeclaredInterface:
    """An interface as it is written."""

    name: str
    file: str
    docs: tuple[str, ...]
    types: dict[str, Declared] = field(default_factory=dict)
    uses: dict[str, UsedName] = field(default_factory=dict)
    """By the name that each has here."""


def parse_untrusted(text: str, file: str) -> list[DeclaredInterface]:
    """Return the interfaces of a file; raises BadInterface."""
    if len(text) > MAX_TEXT_BYTES:
        raise BadInterface(f"{file} is larger than {MAX_TEXT_BYTES >> 10} KiB.")
    return list(_Parser(text, file).interfaces())


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._tokens = tokens_untrusted(text, file)
        self._next = next(self._tokens)

    def _take(self) -> Token:
        token = self._next
        if token.text == "":
            raise BadInterface(f"{self._file}, line {token.line}: it ends too early.")
        self._next = next(self._tokens)
        return token

    def _wrong(self, token: Token, expected: str) -> BadInterface:
        found = repr(token.text) if token.text else "the end"
        return BadInterface(f"{self._file}, line {token.line}: expected {expected}, and not {found}.")

    def _sign(self, sign: str) -> None:
        if self._next.is_word or self._next.text != sign:
            raise self._wrong(self._next, f"{sign!r}")
        self._take()

    def _has(self, sign: str) -> bool:
        """Take a sign if it comes next."""
        there = not self._next.is_word and self._next.text == sign
        if there:
            self._take()
        return there

    def _name(self) -> Token:
        if not self._next.is_word:
            raise self._wrong(self._next, "a name")
        return self._take()

    def _skip(self) -> None:
        """Skip to the end of an item: its `;`, or the end of its block."""
        depth = 0
        while True:
            token = self._take()
            if not token.is_word and token.text in _OPENING:
                depth += 1
            elif not token.is_word and token.text in _CLOSING:
                depth -= 1
                if depth < 0:
                    raise self._wrong(token, "';'")
                if depth == 0 and token.text == "}":
                    return
            elif token.text == ";" and depth == 0:
                return

    # --- files ---------------------------------------------------------------------------------------------------

    def interfaces(self) -> Iterator[DeclaredInterface]:
        """Yield the interfaces of the file."""
        while self._next.text:
            docs = self._next.docs + self._attributes()
            token = self._take()
            if token.is_keyword and token.text == "interface":
                yield self._interface(docs)
            elif token.is_keyword and token.text in ("package", "use"):
                self._until_semicolon(token)
            elif token.is_keyword and token.text == "world":
                self._skip()
            else:
                raise self._wrong(token, "an interface")

    def _until_semicolon(self, token: Token) -> None:
        while (each := self._take()).text != ";":
            if each.text == "{" and token.text == "package":
                raise self._wrong(each, "';'")

    def _attributes(self) -> tuple[str, ...]:
        """Skip what begins with @, such as @since(version = 1.0.0); return the doc comments after it."""
        docs: tuple[str, ...] = ()
        while self._has("@"):
            self._name()
            if self._has("("):
                while self._take().text != ")":
                    pass
            docs += self._next.docs
        return docs

    def _interface(self, docs: tuple[str, ...]) -> DeclaredInterface:
        made = DeclaredInterface(self._name().text, self._file, docs)
        self._sign("{")
        while True:
            docs = self._next.docs + self._attributes()
            if self._has("}"):
                return made
            self._item(made, docs)

    def _item(self, made: DeclaredInterface, docs: tuple[str, ...]) -> None:
        token = self._name()
        kind = token.text
        if not self._next.is_word and self._next.text == ":":  # a function
            self._skip()
        elif kind == "use":
            self._use(made)
        elif kind in (*_KINDS, "type", "resource"):
            declared = self._declared(kind, docs)
            if declared.name in made.types or declared.name in made.uses:
                raise BadInterface(f"{self._file}, line {declared.line}: {declared.name} is there twice.")
            made.types[declared.name] = declared
        else:
            raise self._wrong(token, "a type")

    def _use(self, made: DeclaredInterface) -> None:
        path = [self._name().text]
        foreign = False
        while not self._has("."):
            token = self._take()
            foreign = foreign or token.text in (":", "/")
            if token.text == "@":
                self._version()
            elif token.is_word:
                path.append(token.text)
            elif token.text not in (":", "/"):
                raise self._wrong(token, "'.'")
        self._sign("{")
        while not self._has("}"):
            name = here = self._name()
            if self._next.is_word and self._next.text == "as":
                self._take()
                here = self._name()
            made.uses[here.text] = UsedName(path[-1], foreign, name.text)
            if not self._has(","):
                self._sign("}")
                break
        self._sign(";")

    def _version(self) -> None:
        """Skip a version, up to the dot before a brace."""
        self._name()
        for _ in range(2):
            self._sign(".")
            self._name()

    # --- types ---------------------------------------------------------------------------------------------------

    def _declared(self, kind: str, docs: tuple[str, ...]) -> Declared:
        name = self._name()
        target, members = None, []
        if kind == "type":
            self._sign("=")
            target = self._type()
            self._sign(";")
        elif kind == "resource":
            self._skip()
        else:
            self._sign("{")
            while not self._has("}"):
                members.append(self._member(kind))
                if not self._has(","):
                    self._sign("}")
                    break
        named = set()
        for each in members:
            if each.name in named:
                raise BadInterface(f"{self._file}, line {each.line}: {each.name} is there twice.")
            named.add(each.name)
        return Declared(kind, name.text, docs, tuple(members), target, name.line)

    def _member(self, kind: str) -> DeclaredMember:
        docs = self._next.docs + self._attributes()
        name = self._name()
        type = None
        if kind == "record":
            self._sign(":")
            type = self._type()
        elif kind == "variant" and self._has("("):
            type = self._type()
            self._sign(")")
        return DeclaredMember(name.text, docs, type, name.line)

    def _type(self, depth: int = 0) -> TypeText:
        name = self._name()
        if depth == MAX_DEPTH:
            raise BadInterface(f"{self._file}, line {name.line}: types are nested more than {MAX_DEPTH} deep.")
        arguments: list[TypeText | None] = []
        if self._has("<"):
            while not self._has(">"):
                if self._next.is_word and self._next.text == "_":
                    self._take()
                    arguments.append(None)
                else:
                    arguments.append(self._type(depth + 1))
                if not self._has(","):
                    self._sign(">")
                    break
        return TypeText(name.text, tuple(arguments), name.line)
