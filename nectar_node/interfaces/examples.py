"""Makes a value of a type, in JSON: what a reader sees first, and may send as it is."""

from __future__ import annotations

from typing import Any

from nectar_node.interfaces.fitting import may_be_absent
from nectar_node.interfaces.limits import MAX_EXAMPLE_PARTS
from nectar_node.interfaces.shapes import (
    AliasShape,
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
)

_OF_PRIMITIVES: dict[str, Any] = {
    "bool": True,
    "string": "text",
    "char": "a",
    "f32": 0.5,
    "f64": 0.5,
    "json": {},
    "node-id": "two.nec",
    "process-id": "chat:chat:sys",
    "package-id": "chat:sys",
    "address": "two.nec@chat:chat:sys",
    "capability": "network",
}
_MAX_FIXED = 64
"""Elements of a list of a fixed length that an example has."""


class _TooLarge(Exception):
    pass


def example(shape: Shape) -> Any:
    """Return a value of that type; None if it would be too large. What may be left out is left out."""
    try:
        return _Maker().make(shape)
    except _TooLarge:
        return None


class _Maker:
    def __init__(self) -> None:
        self._left = MAX_EXAMPLE_PARTS

    def make(self, shape: Shape) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooLarge
        match shape:
            case AliasShape(name, _, target):
                # An id of something is often one of these by another name.
                return _OF_PRIMITIVES["node-id"] if name in ("node", "node-id") else self.make(target)
            case Primitive(name):
                return _OF_PRIMITIVES.get(name, 1)
            case ListShape(item, length):
                if length is not None and length > _MAX_FIXED:
                    raise _TooLarge
                return [self.make(item) for _ in range(1 if length is None else length)]
            case OptionShape(some):
                return self.make(some)
            case TupleShape(items):
                return [self.make(each) for each in items]
            case ResultShape(ok, _):
                return {"Ok": None if ok is None else self.make(ok)}
            case RecordShape(_, _, fields):
                return {each.key: self._field(each) for each in fields if not may_be_absent(each)}
            case VariantShape(_, _, cases):
                return self.case(cases[0]) if cases else None
            case FlagsShape(_, _, flags):
                return [each.key for each in flags[:1]]
            case _:
                return {}

    def _field(self, member: Member) -> Any:
        return None if member.shape is None else self.make(member.shape)

    def case(self, case: Member) -> Any:
        """Return a value of that case of a variant."""
        if case.shape is None:
            return case.key
        inner = self.make(case.shape)
        return inner if case.untagged else {case.key: inner}


def example_of_case(case: Member) -> Any:
    """Return a value of that case of a variant; None if it would be too large."""
    try:
        return _Maker().case(case)
    except _TooLarge:
        return None
