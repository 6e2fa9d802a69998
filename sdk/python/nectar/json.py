"""Message bodies as JSON, without surprises.

What `json` of the standard library lets pass, and others cannot read, is an error here: NaN and infinite numbers, keys
that are no texts, keys that come twice, halves of surrogate pairs. Whole numbers of any size and floats stay what they
are: `1` is an int, `1.0` a float. JSON has no bytes: put them in a blob, or into `list(data)` where the other end wants
numbers. A tuple becomes a list, a dataclass an object, an enum its value.

    >>> dumps({"Add": 5})
    b'{"Add":5}'
    >>> loads(b'{"Add":5}')
    {'Add': 5}

`decode` also checks that a value has the shape of a type.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from nectar.errors import BadJson

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""A JSON value."""

T = TypeVar("T")


def dumps(value: object) -> bytes:
    """Return the JSON of a value, as UTF-8. Raises BadJson if it has none.

    ```pycon
    >>> dumps(float("nan"))
    Traceback (most recent call last):
    nectar.errors.BadJson: nan is no JSON

    ```
    """
    try:
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise BadJson("half a surrogate pair is no JSON") from None
    except RecursionError:
        raise BadJson("a value that is nested so deeply, or contains itself, is no JSON") from None


def loads(body: bytes | str) -> Any:
    """Return the value that `body` spells. Raises BadJson.

    ```pycon
    >>> loads(b"{'a': 1}")
    Traceback (most recent call last):
    nectar.errors.BadJson: not JSON: Expecting property name enclosed in double quotes, at character 1

    ```
    """
    try:
        text = body if isinstance(body, str) else body.decode()
        value = json.loads(text, parse_constant=_constant, object_pairs_hook=_object)
        if "\\u" in text or "\\U" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise BadJson("not JSON: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"not JSON: {error.msg}, at character {error.pos}") from None
    except RecursionError:
        raise BadJson("not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:  # a number of more than 4,300 digits
        raise BadJson(f"not JSON that can be read: {error}") from None
    return value


def _constant(name: str) -> float:
    raise BadJson(f"not JSON: {name}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadJson("not JSON that can be read: a key comes twice")
    return found


def plain(value: object) -> Any:
    """Return a value as dicts, lists, texts and numbers alone; raises BadJson.

    ```pycon
    >>> plain({"at": (1, 2)})
    {'at': [1, 2]}

    ```
    """
    if value is None or (isinstance(value, str | bool | int) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadJson(f"{value} is no JSON")
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        raise BadJson("bytes are no JSON: put them into a blob, or say list(…) if the other end wants numbers")
    if isinstance(value, Sequence):
        return [plain(each) for each in value]
    raise BadJson(f"a {type(value).__name__} is no JSON")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise BadJson(f"the key {key!r} is no text")
    return key


def decode(kind: type[T], value: bytes | str | Any) -> T:
    """Return what `value`, a body or what `loads` has returned, says as a `kind`: a dataclass, or a type made of
    dataclasses, list, dict, tuple, unions, enums, Literal and the types of JSON.

    Fields that a dataclass does not know are skipped, missing ones need a default. A bool is no int, and an int where a
    float is wanted becomes one. Raises BadJson, which says where.

    ```pycon
    >>> decode(list[int], b"[1, 2]")
    [1, 2]
    >>> decode(list[int], b'[1, "2"]')
    Traceback (most recent call last):
    nectar.errors.BadJson: at [1]: expected a whole number

    ```
    """
    found = loads(value) if isinstance(value, bytes) else value
    result: T = _read(kind, found, "")
    return result


def _wrong(where: str, what: str) -> BadJson:
    return BadJson(f"at {where}: expected {what}" if where else f"expected {what}")


_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
    type(None): ((type(None),), "null"),
}


def _read(kind: Any, value: Any, where: str) -> Any:
    if kind is Any or kind is object:
        return value
    if kind in _SCALARS:
        kinds, what = _SCALARS[kind]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(where, what)
        return _float(value, where) if kind is float else value
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            raise _wrong(where, f"one of {[each.value for each in kind]}") from None
    return _read_generic(kind, value, where)


def _float(value: Any, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _wrong(where, "a number that is no larger than floats are") from None


def _read_generic(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Union or origin is types.UnionType:
        return _read_union(arguments, value, where)
    if origin is typing.Literal:
        if not any(value == each and type(value) is type(each) for each in arguments):
            raise _wrong(where, f"one of {list(arguments)}")
        return value
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(where, "an object")
        inner = arguments[1] if arguments else Any
        return {key: _read(inner, each, f"{where}.{key}") for key, each in value.items()}
    if origin in (list, tuple):
        return _read_list(origin, arguments, value, where)
    raise TypeError(f"there is no JSON for {kind}")


def _read_list(origin: type, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise _wrong(where, "a list")
    if origin is tuple and arguments and arguments[-1] is not ...:
        if len(value) != len(arguments):
            raise _wrong(where, f"a list of {len(arguments)}")
        return tuple(
            _read(kind, each, f"{where}[{i}]") for i, (kind, each) in enumerate(zip(arguments, value, strict=True))
        )
    inner = arguments[0] if arguments else Any
    return origin(_read(inner, each, f"{where}[{i}]") for i, each in enumerate(value))


def _read_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    wrong: list[BadJson] = []
    for kind in kinds:
        try:
            return _read(kind, value, where)
        except BadJson as error:
            wrong.append(error)
    kinds_but_null = [kind for kind in kinds if kind is not type(None)]
    if len(kinds_but_null) == 1:
        raise wrong[kinds.index(kinds_but_null[0])]
    raise _wrong(where, " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds))


@cache
def _fields(kind: Any) -> list[tuple[str, Any, bool]]:
    """Of a dataclass: each field's name, its type, and whether it must be there."""
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    return [
        (each.name, hints[each.name], each.default is missing and each.default_factory is missing)
        for each in dataclasses.fields(kind)
        if each.init
    ]


def _read_fields(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, "an object")
    given = {}
    for name, inner, required in _fields(kind):
        if name in value:
            given[name] = _read(inner, value[name], f"{where}.{name}".lstrip("."))
        elif required:
            raise _wrong(where, f"a field {name!r}")
    return kind(**given)
