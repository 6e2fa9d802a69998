"""Values of the core's interface as CBOR: named tuples, frozen dataclasses, enumerations, and what they consist of.

A value becomes an array whose first item says of which kind it is. A class is written by its name, and read only if it
is in a table of the classes that cross the interface: nothing in a recording is imported or called. What is no value,
such as the token of somebody who waits, has a number.

Pure. Tests: tests/nectar_node/recording/test_values.py.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any

import cbor2
from blake3 import blake3

from nectar_node.packages.trial import Trial
from nectar_node.recording.errors import BadRecording
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

MAX_DEPTH = 48
"""Arrays within arrays."""
BRIEF_BYTES = 256
"""Bytes from which a brief form has a hash in their place."""
_MODULES = (
    "kernel.contract.address",
    "kernel.contract.capability",
    "kernel.contract.errors",
    "kernel.contract.events",
    "kernel.contract.guest",
    "kernel.contract.http",
    "kernel.contract.message",
    "kernel.capabilities.revocations",
    "nectar_node.backup.schedule",
    "nectar_node.base.consent",
    "nectar_node.contract.actions",
    "nectar_node.contract.http",
    "nectar_node.contract.http_client",
    "nectar_node.packages.boot",
    "nectar_node.packages.decisions",
    "nectar_node.packages.manifest",
    "nectar_node.packages.trial",
    "nectar_node.releases.document",
    "nectar_node.releases.files",
    "nectar_node.releases.head",
    "nectar_node.releases.installed",
    "nectar_node.releases.shelf",
    "nectar_node.recording.start",
    "nectar_node.storage.ledger",
    "nectar_node.storage.operations",
    "net.contract.events",
    "net.names.directory",
)
"""Where the classes of those values are defined."""

NameOf = Callable[[object], list[object] | None]
"""Returns how something that is no value is written, or None."""
Named = Callable[[Sequence[Any]], object]
"""Returns what that stands for."""


def plain(value: object, name_of: NameOf, *, brief: bool = False) -> Any:
    """Return the value as arrays, texts, bytes and numbers; `brief`: long bytes are a hash, to be compared alone."""
    kind: Any = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (bytes, bytearray, memoryview):
        return _bytes(value, brief=brief)  # type: ignore[arg-type]  # `kind` has said so
    if (named := name_of(value)) is not None:
        return named
    if isinstance(value, enum.Enum):
        return ["e", _name(kind), value.name]
    if isinstance(value, bytes):  # a subclass of ours, which is the same value
        return bytes(value)
    if isinstance(value, str | int):
        return str(value) if isinstance(value, str) else int(value)
    if isinstance(value, tuple):
        items = [plain(each, name_of, brief=brief) for each in value]
        return ["n", _name(kind), *items] if hasattr(value, "_fields") else ["t", *items]
    if isinstance(value, list):
        return ["l", *(plain(each, name_of, brief=brief) for each in value)]
    if isinstance(value, Mapping):
        pairs = (plain(each, name_of, brief=brief) for pair in value.items() for each in pair)
        return ["d", *pairs]
    if isinstance(value, frozenset | set):
        return ["s", *sorted((plain(each, name_of, brief=brief) for each in value), key=cbor2.dumps)]
    if isinstance(value, PurePath):
        return ["p", str(value)]
    if is_value(value) and is_dataclass(value):
        return ["c", _name(kind), *(plain(getattr(value, each), name_of, brief=brief) for each in _init_of(kind))]
    if isinstance(value, BaseException):
        return ["x", _name(kind), str(value)]
    return ["?", _name(kind)]


def encode(value: object, name_of: NameOf, *, brief: bool = False) -> bytes:
    """Return the value as CBOR."""
    return cbor2.dumps(plain(value, name_of, brief=brief))


def decode_untrusted(data: bytes, named: Named) -> Any:
    """Return the value that `encode` has written; raises BadRecording."""
    return value_untrusted(plain_untrusted(data), named)


def plain_untrusted(data: bytes) -> Any:
    """Return what `plain` has returned; raises BadRecording."""
    try:
        return loads_untrusted(data, items=len(data) + 1, depth=MAX_DEPTH)
    except BadCbor as error:
        raise BadRecording(f"The recording is damaged: {error}.") from error


def value_untrusted(value: Any, named: Named) -> Any:
    """Return what `plain` was given; raises BadRecording."""
    if not isinstance(value, list):
        return value
    try:
        return _value(value, named)
    except BadRecording:
        raise
    except Exception as error:  # a class of ours that refuses such fields
        raise BadRecording(f"The recording is damaged: {type(error).__name__}: {error}.") from error


def _value(value: list[Any], named: Named) -> Any:
    kind, items = value[0], value[1:]
    if kind in ("n", "c"):
        found: Any = _class(items[0])
        parts = [value_untrusted(each, named) for each in items[1:]]
        if kind == "n" and hasattr(found, "_make"):
            return found._make(parts)
        made: Any = found
        if kind == "c" and is_dataclass(found):
            return made(**dict(zip(_init_of(made), parts, strict=True)))
        raise BadRecording(f"The recording is damaged: {items[0]} is another kind of value.")
    if kind == "e":
        found = _class(items[0])
        if not issubclass(found, enum.Enum):
            raise BadRecording(f"The recording is damaged: {items[0]} is another kind of value.")
        return found[items[1]]
    if kind == "p":
        return Path(items[0])
    if kind in ("t", "l", "s", "d"):
        parts = [value_untrusted(each, named) for each in items]
        if kind == "d":
            return dict(zip(parts[::2], parts[1::2], strict=True))
        return tuple(parts) if kind == "t" else parts if kind == "l" else frozenset(parts)
    if kind == "x":
        return RuntimeError(f"{items[0]}: {items[1]}")
    return named(value)


def _bytes(value: bytes | bytearray | memoryview, *, brief: bool) -> object:
    if brief and len(value) >= BRIEF_BYTES:
        return ["#", len(value), blake3(value).digest(8)]
    return bytes(value)


def is_value(value: object) -> bool:
    """Whether that is written by what is in it: not an object that stands for itself, such as a token."""
    kind: Any = type(value)
    if is_dataclass(kind):
        return bool(vars(kind)["__dataclass_params__"].frozen) or kind is Trial
    shapes = (bool, int, float, str, bytes, bytearray, memoryview, tuple, list, Mapping, set, frozenset)
    return value is None or isinstance(value, (*shapes, enum.Enum, PurePath, BaseException))


@cache
def _name(kind: Any) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@cache
def _init_of(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.init)


@cache
def _classes() -> dict[str, type]:
    """Return the classes of the values that cross the interface, by name."""
    found: dict[str, type] = {}
    for name in _MODULES:
        import_module(name)
        values: list[Any] = list(vars(sys.modules[name]).values())
        for each in values:
            if isinstance(each, type) and (
                is_dataclass(each) or issubclass(each, enum.Enum) or hasattr(each, "_fields")
            ):
                found[f"{each.__module__}:{each.__qualname__}"] = each
    return found


def _class(name: object) -> Any:
    found = _classes().get(name) if isinstance(name, str) else None
    if found is None:
        raise BadRecording(f"The recording has a value of {str(name)[:80]}, which this release does not know.")
    return found
