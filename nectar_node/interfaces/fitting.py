"""Whether a JSON value is one of a type, and what is wrong with it in one sentence.

A field that nobody knows is wrong too: it is mostly a misspelt one, and readers would pass over it in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nectar_node.interfaces.limits import MAX_SHOWN_BYTES
from nectar_node.interfaces.shapes import (
    PRIMITIVES,
    FlagsShape,
    ListShape,
    Member,
    OptionShape,
    Primitive,
    RecordShape,
    ResultShape,
    Shape,
    TupleShape,
    VariantShape,
    plain,
)

_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "an array"}
_MAX_NAMED = 12
"""Cases that a sentence names."""


def misfit(shape: Shape, value: Any, path: str = "it") -> str | None:
    """Return what is wrong with a decoded JSON value, without a full stop: `Say.text must be a text, and not 5`; None:
    it is one of that type. `path` is what the sentence calls it.
    """
    match plain(shape):
        case Primitive(name):
            return _primitive(name, value, path)
        case ListShape(item, length):
            return _list(item, length, value, path)
        case OptionShape(some):
            return None if value is None else misfit(some, value, path)
        case TupleShape(items):
            if not isinstance(value, list):
                return _must(path, "an array", value)
            if len(value) != len(items):
                return f"{path} must have {_count(len(items), 'element')}, and has {len(value)}"
            return _first(
                misfit(each, part, f"{path}[{at}]") for at, (each, part) in enumerate(zip(items, value, strict=True))
            )
        case ResultShape(ok, err):
            return _result({"Ok": ok, "Err": err}, value, path)
        case RecordShape(_, _, fields):
            return _record(fields, value, path)
        case VariantShape() as variant:
            return _variant(variant, value, path)
        case FlagsShape(_, _, flags):
            return _flags(flags, value, path)
        case _:
            return None  # nobody knows what it is


def _first(problems: Iterable[str | None]) -> str | None:
    return next((each for each in problems if each is not None), None)


def _must(path: str, what: str, value: Any) -> str:
    return f"{path} must be {what}, and not {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_BYTES else _KINDS[type(value)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _below(path: str, key: str) -> str:
    return key if path == "it" else f"{path}.{key}"


def _primitive(name: str, value: Any, path: str) -> str | None:
    what = PRIMITIVES[name]
    if name == "json":
        return None
    if name == "bool":
        return None if isinstance(value, bool) else _must(path, what, value)
    if name in ("f32", "f64"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if is_number else _must(path, what, value)
    if name[0] in "su" and name[1:].isdigit():
        if not isinstance(value, int) or isinstance(value, bool):
            return _must(path, what, value)
        least, most = bounds(name)
        return None if least <= value <= most else f"{path} must be from {least} to {most}, and is {_shown(value)}"
    if name in ("process-id", "package-id", "address", "capability") and isinstance(value, dict):
        return None  # as some libraries spell it
    if not isinstance(value, str):
        return _must(path, what, value)
    return None if name != "char" or len(value) == 1 else _must(path, what, value)


def bounds(name: str) -> tuple[int, int]:
    """Return the least and the greatest value of u8 to s64."""
    bits = int(name[1:])
    return (0, (1 << bits) - 1) if name[0] == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def _list(item: Shape, length: int | None, value: Any, path: str) -> str | None:
    if not isinstance(value, list):
        return _must(path, "an array", value)
    if length is not None and len(value) != length:
        return f"{path} must have {_count(length, 'element')}, and has {len(value)}"
    return _first(misfit(item, each, f"{path}[{at}]") for at, each in enumerate(value))


def _result(cases: dict[str, Shape | None], value: Any, path: str) -> str | None:
    if not isinstance(value, dict) or len(value) != 1 or not cases.keys() >= value.keys():
        return _must(path, '{"Ok": …} or {"Err": …}', value)
    ((key, inner),) = value.items()
    shape = cases[key]
    if shape is None:
        return None if inner is None else _must(_below(path, key), "null", inner)
    return misfit(shape, inner, _below(path, key))


def may_be_absent(member: Member) -> bool:
    """Return whether a field of a record may be left out."""
    return member.has_default or (member.shape is not None and isinstance(plain(member.shape), OptionShape))


def _record(fields: tuple[Member, ...], value: Any, path: str) -> str | None:
    if not isinstance(value, dict):
        return _must(path, "an object", value)
    known = {each.key: each for each in fields}
    for key, inner in value.items():
        if key not in known:
            has = ", ".join(known) if known else "none"
            return f"{path} has no field {json.dumps(key[:MAX_SHOWN_BYTES], ensure_ascii=False)}: its fields are {has}"
        shape = known[key].shape
        if shape is not None and (wrong := misfit(shape, inner, _below(path, key))) is not None:
            return wrong
    missing = [each.key for each in fields if each.key not in value and not may_be_absent(each)]
    return f"{_below(path, missing[0])} is missing" if missing else None


def _variant(variant: VariantShape, value: Any, path: str) -> str | None:
    if isinstance(value, str) and value in variant.by_key:
        case = variant.by_key[value]
        if case.shape is None or isinstance(plain(case.shape), OptionShape):
            return None
        return f'{path} must be {{"{value}": …}}, with {_article(case)}, and not {_shown(value)} alone'
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if key in variant.by_key:
            case = variant.by_key[key]
            if case.shape is None:
                return None if inner is None else f'{path} must be "{key}" alone: that has nothing in it'
            return misfit(case.shape, inner, _below(path, key))
    for case in variant.cases:
        if case.untagged and case.shape is not None and _kind(value) in _kinds(case.shape):
            return misfit(case.shape, value, path)
    keys = list(variant.by_key)
    names = ", ".join(keys[:_MAX_NAMED]) + (", …" if len(keys) > _MAX_NAMED else "")
    shown = _shown(value)
    if isinstance(value, dict) and len(value) == 1:
        shown = json.dumps(next(iter(value))[:MAX_SHOWN_BYTES], ensure_ascii=False)
    return f"{path} must be {'one of ' if len(keys) > 1 else ''}{names}, and not {shown}"


def _article(case: Member) -> str:
    return "what it is about" if case.shape is None else _what(case.shape)


def _what(shape: Shape) -> str:
    match plain(shape):
        case Primitive(name):
            return PRIMITIVES[name]
        case ListShape() | TupleShape() | FlagsShape():
            return "an array"
        case RecordShape():
            return "an object"
        case _:
            return "a value"


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "bool"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _kinds(shape: Shape) -> frozenset[str]:
    """Return which kinds of JSON values a type has. An untagged case is known by that alone: nothing is tried."""
    match plain(shape):
        case Primitive(name):
            if name in ("json", "bool"):
                return frozenset(("null", "bool", "number", "text", "array", "object") if name == "json" else ("bool",))
            return frozenset(("number",) if PRIMITIVES[name].endswith("number") else ("text",))
        case ListShape() | TupleShape() | FlagsShape():
            return frozenset(("array",))
        case OptionShape(some):
            return _kinds(some) | {"null"}
        case RecordShape() | ResultShape():
            return frozenset(("object",))
        case _:
            return frozenset(("text", "object"))


def _flags(flags: tuple[Member, ...], value: Any, path: str) -> str | None:
    if not isinstance(value, list):
        return _must(path, "an array of names", value)
    known = [each.key for each in flags]
    for at, each in enumerate(value):
        if each not in known:
            return f"{path}[{at}] must be one of {', '.join(known[:_MAX_NAMED])}, and not {_shown(each)}"
    return None
