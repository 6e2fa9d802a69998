"""The types of messages, and how a value of each is spelled in JSON.

The spelling is that of Rust's serde, which existing packages use: a case of a variant is "Name" or {"Name": payload}, a
case of an enum is "Name", both in PascalCase; a record is an object with its fields in snake_case; an option is its
value or null, and as a field of a record it may be left out; a tuple is an array; a result is {"Ok": …} or {"Err": …}.
Flags are an array of names.

Lines of doc comments that begin with @ say what is otherwise: `@json "name"` before a case or field, `@json untagged`
before a case that is spelled as its payload alone, `@json snake_case` (or kebab-case, camelCase, PascalCase) before a
type with other names, and `@default VALUE` before a field that may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct

from kernel.contract.json_text import parse_untrusted

PRIMITIVES: Mapping[str, str] = {
    "bool": "true or false",
    "string": "a text",
    "char": "a text of one character",
    "f32": "a number",
    "f64": "a number",
    "json": "a JSON value",
    "node-id": "the name of a node",
    "process-id": "a process",
    "package-id": "a package",
    "address": "the address of a process",
    "capability": "a capability",
} | {f"{sign}{bits}": "a whole number" for sign in "su" for bits in (8, 16, 32, 64)}
"""The types that are not made of others, each in words: those of WIT, and those that `use standard.{…}` has of the
process interface."""
_SEPARATOR = re.compile(r"[-_]+")


class Docs(NamedTuple):
    """What an interface says of one of its parts."""

    text: str = ""
    """Its lines, joined, without those that begin with @."""
    tags: Mapping[str, str] = {}
    """What those say, by their first word."""


def read_docs(lines: tuple[str, ...]) -> Docs:
    """Return a doc comment taken apart."""
    text, tags = [], {}
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word.startswith("@") and len(word) > 1:
            tags[word[1:]] = rest.strip()
        else:
            text.append(line.strip())
    return Docs("\n".join(text).strip(), tags)


def _words(name: str) -> list[str]:
    return [each for each in _SEPARATOR.split(name) if each]


def pascal_case(name: str) -> str:
    """Return `new-game` as `NewGame`."""
    return "".join(each[:1].upper() + each[1:].lower() for each in _words(name))


def snake_case(name: str) -> str:
    """Return `new-game` as `new_game`."""
    return "_".join(_words(name)).lower()


def kebab_case(name: str) -> str:
    """Return `new_game` as `new-game`."""
    return "-".join(_words(name)).lower()


def camel_case(name: str) -> str:
    """Return `new-game` as `newGame`."""
    joined = pascal_case(name)
    return joined[:1].lower() + joined[1:]


CASES: Mapping[str, Callable[[str], str]] = {
    "PascalCase": pascal_case,
    "snake_case": snake_case,
    "kebab-case": kebab_case,
    "camelCase": camel_case,
}
"""What `@json` may say of all names of a type."""


class Primitive(Struct, frozen=True, eq=False):
    """A type that is not made of others."""

    name: str
    """One of PRIMITIVES."""


class UnknownShape(Struct, frozen=True, eq=False):
    """A type that another package describes, or that no message can carry: its values are not checked."""

    name: str


class AliasShape(Struct, frozen=True, eq=False):
    """Another name of a type."""

    name: str
    docs: Docs
    target: Shape


class ListShape(Struct, frozen=True, eq=False):
    """Any number of values of one type."""

    item: Shape
    length: int | None = None
    """How many, if that is said."""


class OptionShape(Struct, frozen=True, eq=False):
    """A value, or none."""

    some: Shape


class TupleShape(Struct, frozen=True, eq=False):
    """Values of several types, in order."""

    items: tuple[Shape, ...]


class ResultShape(Struct, frozen=True, eq=False):
    """What came of something, or what went wrong; None: nothing more is said."""

    ok: Shape | None
    err: Shape | None


class Member(Struct, frozen=True, eq=False):
    """A field of a record, or a case of a variant, an enum or of flags."""

    name: str
    """As the interface has it."""
    key: str
    """As JSON has it."""
    docs: Docs
    shape: Shape | None
    """None: a case without a payload."""
    untagged: bool = False
    """Whether this case is spelled as its payload alone."""

    @property
    def default(self) -> Any:
        """Return the value that counts if the field is left out. Raises KeyError if none is said, and ValueError."""
        return parse_untrusted(self.docs.tags["default"])

    @property
    def has_default(self) -> bool:
        """Return whether there is one."""
        return "default" in self.docs.tags


class RecordShape(Struct, frozen=True, eq=False):
    """Values by name."""

    name: str
    docs: Docs
    fields: tuple[Member, ...]


class VariantShape(Struct, frozen=True, eq=False):
    """One of several cases; also an enum, whose cases have no payload."""

    name: str
    docs: Docs
    cases: tuple[Member, ...]
    by_key: Mapping[str, Member]
    """The cases, by their name in JSON."""


class FlagsShape(Struct, frozen=True, eq=False):
    """Any of several names."""

    name: str
    docs: Docs
    flags: tuple[Member, ...]


Shape: TypeAlias = (
    Primitive
    | UnknownShape
    | AliasShape
    | ListShape
    | OptionShape
    | TupleShape
    | ResultShape
    | RecordShape
    | VariantShape
    | FlagsShape
)


def plain(shape: Shape) -> Shape:
    """Return the type that is meant, whatever it is also called."""
    while isinstance(shape, AliasShape):
        shape = shape.target
    return shape


def shape_text(shape: Shape | None) -> str:
    """Return a type as an interface spells it."""
    match shape:
        case None:
            return "_"
        case ListShape(item, length):
            return f"list<{shape_text(item)}{'' if length is None else f', {length}'}>"
        case OptionShape(some):
            return f"option<{shape_text(some)}>"
        case TupleShape(items):
            return f"tuple<{', '.join(map(shape_text, items))}>"
        case ResultShape(None, None):
            return "result"
        case ResultShape(ok, None):
            return f"result<{shape_text(ok)}>"
        case ResultShape(ok, err):
            return f"result<{shape_text(ok)}, {shape_text(err)}>"
        case _:
            return shape.name


def is_bytes(shape: Shape) -> bool:
    """Return whether a type is bytes, which JSON has as an array of numbers."""
    match plain(shape):
        case ListShape(Primitive("u8")):
            return True
        case _:
            return False
