"""Finds what the names in a package's interfaces mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.limits import MAX_DEPTH, MAX_TEXT_BYTES
from nectar_node.interfaces.parser import (
    Declared,
    DeclaredInterface,
    DeclaredMember,
    TypeText,
    parse_untrusted,
)
from nectar_node.interfaces.shapes import (
    CASES,
    PRIMITIVES,
    AliasShape,
    Docs,
    FlagsShape,
    ListShape,
    Member,
    OptionShape,
    Primitive,
    RecordShape,
    ResultShape,
    Shape,
    TupleShape,
    UnknownShape,
    VariantShape,
    read_docs,
)

_STANDARD = "standard"
"""The interface of the node itself, whose types packages use."""
_OF_STANDARD = ("json", "node-id", "process-id", "package-id", "address", "capability")
_OLD_NAMES = {"float32": "f32", "float64": "f64"}


class TypedInterface(NamedTuple):
    """An interface whose types are known."""

    name: str
    file: str
    docs: Docs
    types: Mapping[str, Shape]


def read_interfaces_untrusted(files: Iterable[tuple[str, str]]) -> dict[str, TypedInterface]:
    """Return the interfaces in a package's files, by name. Of two with one name it is that of the later file.

    `files`: the name and the text of each. Raises BadInterface.
    """
    declared: dict[str, DeclaredInterface] = {}
    left = MAX_TEXT_BYTES
    for name, text in sorted(files):
        left -= len(text)
        if left < 0:
            raise BadInterface(f"The interfaces are more than {MAX_TEXT_BYTES >> 10} KiB.")
        declared.update((each.name, each) for each in parse_untrusted(text, name))
    resolver = _Resolver(declared)
    return {
        each.name: TypedInterface(
            each.name, each.file, read_docs(each.docs), {type: resolver.named(each, type)[0] for type in each.types}
        )
        for each in declared.values()
    }


class _Resolver:
    """Makes shapes, each once. Every method gives a shape with how deep it is, and raises BadInterface."""

    def __init__(self, declared: Mapping[str, DeclaredInterface]) -> None:
        self._declared = declared
        self._made: dict[tuple[str, str], tuple[Shape, int]] = {}
        self._open: set[tuple[str, str]] = set()
        """What is being made."""

    def named(self, interface: DeclaredInterface, name: str) -> tuple[Shape, int]:
        """Return the type of that name, as it is meant in an interface."""
        key = (interface.name, name)
        if key not in self._made:
            if key in self._open:
                raise BadInterface(f"{interface.file}: {name} is made of itself, which WIT has no types for.")
            if len(self._open) > MAX_DEPTH:
                raise BadInterface(f"{interface.file}: types are nested more than {MAX_DEPTH} deep.")
            self._open.add(key)
            made = self._made[key] = self._make(interface, name)
            if made[1] > MAX_DEPTH:
                raise BadInterface(f"{interface.file}: {name} is nested more than {MAX_DEPTH} deep.")
            self._open.remove(key)
        return self._made[key]

    def _make(self, interface: DeclaredInterface, name: str) -> tuple[Shape, int]:
        declared = interface.types.get(name)
        if declared is not None:
            return self._of(interface, declared)
        used = interface.uses[name]
        other = self._declared.get(used.interface)
        if other is not None and not used.foreign:
            if used.name not in other.types and used.name not in other.uses:
                raise BadInterface(f"{interface.file}: {used.interface} has no type {used.name}.")
            return self.named(other, used.name)
        if used.interface == _STANDARD and used.name in _OF_STANDARD:
            return Primitive(used.name), 1
        return UnknownShape(used.name), 1

    def _of(self, interface: DeclaredInterface, declared: Declared) -> tuple[Shape, int]:
        docs = read_docs(declared.docs)
        if declared.kind == "resource":
            return UnknownShape(declared.name), 1
        if declared.target is not None:
            target, depth = self._type(interface, declared.target)
            return AliasShape(declared.name, docs, target), depth + 1
        case = docs.tags.get("json", "snake_case" if declared.kind == "record" else "PascalCase")
        if case not in CASES:
            raise BadInterface(f"{interface.file}, line {declared.line}: @json takes {', '.join(CASES)} before a type.")
        pairs = [self._member(interface, each, case) for each in declared.members]
        members = tuple(member for member, _ in pairs)
        depth = 1 + max((depth for _, depth in pairs), default=0)
        self._check(interface, declared, members)
        if declared.kind == "record":
            return RecordShape(declared.name, docs, members), depth
        if declared.kind == "flags":
            return FlagsShape(declared.name, docs, members), depth
        by_key = {each.key: each for each in members if not each.untagged}
        return VariantShape(declared.name, docs, members, by_key), depth

    def _check(self, interface: DeclaredInterface, declared: Declared, members: tuple[Member, ...]) -> None:
        where = f"{interface.file}, line {declared.line}: {declared.name}"
        keys = [each.key for each in members if not each.untagged]
        if len(keys) > len(set(keys)):
            raise BadInterface(f"{where} has two members of one name in JSON.")
        for each in members:
            if not each.has_default:
                continue
            try:
                wrong = None if each.shape is None else misfit(each.shape, each.default)
            except ValueError:
                wrong = "it is not JSON"
            if wrong is not None:
                raise BadInterface(f"{where} has a @default for {each.name} that does not fit: {wrong}.")

    def _member(self, interface: DeclaredInterface, declared: DeclaredMember, case: str) -> tuple[Member, int]:
        docs = read_docs(declared.docs)
        said = docs.tags.get("json")
        shape, depth = None, 0
        if declared.type is not None:
            shape, depth = self._type(interface, declared.type)
        key, untagged = CASES[case](declared.name), said == "untagged" and shape is not None
        if said is not None and not untagged:
            if len(said) < 3 or said[0] + said[-1] != '""' or '"' in said[1:-1] or "\\" in said:
                raise BadInterface(
                    f'{interface.file}, line {declared.line}: @json takes a name such as "{key}", or untagged before a '
                    "case with a payload."
                )
            key = said[1:-1]
        return Member(declared.name, key, docs, shape, untagged), depth

    def _type(self, interface: DeclaredInterface, text: TypeText) -> tuple[Shape, int]:
        shape, depth = self._applied(interface, text) if text.arguments else self._simple(interface, text)
        if depth > MAX_DEPTH:
            raise BadInterface(f"{interface.file}, line {text.line}: types are nested more than {MAX_DEPTH} deep.")
        return shape, depth

    def _simple(self, interface: DeclaredInterface, text: TypeText) -> tuple[Shape, int]:
        if text.name in interface.types or text.name in interface.uses:
            return self.named(interface, text.name)
        name = _OLD_NAMES.get(text.name, text.name)
        if name in PRIMITIVES and name not in _OF_STANDARD:
            return Primitive(name), 1
        if name == "result":
            return ResultShape(None, None), 1
        if name in ("future", "stream", "error-context"):
            return UnknownShape(name), 1
        raise BadInterface(f"{interface.file}, line {text.line}: there is no type {text.name}.")

    def _applied(self, interface: DeclaredInterface, text: TypeText) -> tuple[Shape, int]:
        """Return a type with angle brackets."""
        if text.name == "list" and len(text.arguments) == 2 and text.arguments[0] is not None:
            length = text.arguments[1]
            if length is None or not length.name.isdigit() or len(length.name) > 9 or length.arguments:
                raise self._wrong(interface, text)
            listed, depth = self._type(interface, text.arguments[0])
            return ListShape(listed, int(length.name)), depth + 1
        pairs = [(None, 0) if each is None else self._type(interface, each) for each in text.arguments]
        shapes, depth = [shape for shape, _ in pairs], 1 + max(depth for _, depth in pairs)
        match text.name, shapes:
            case "list", [item] if item is not None:
                return ListShape(item), depth
            case "option", [some] if some is not None:
                return OptionShape(some), depth
            case "tuple", _ if None not in shapes:
                return TupleShape(tuple(each for each in shapes if each is not None)), depth
            case "result", [_]:
                return ResultShape(shapes[0], None), depth
            case "result", [_, _]:
                return ResultShape(shapes[0], shapes[1]), depth
            case (("map" | "future" | "stream" | "own" | "borrow"), _):
                return UnknownShape(text.name), 1
        raise self._wrong(interface, text)

    def _wrong(self, interface: DeclaredInterface, text: TypeText) -> BadInterface:
        return BadInterface(f"{interface.file}, line {text.line}: {text.name}<…> is no type.")
