"""JSON decoded into the types of its readers, and in words what is wrong with it.

Whole numbers are neither true nor 1.0, NaN is not JSON, of equal keys the last one counts, and unknown keys mean
nothing unless a type forbids them. Paths are texts, which may hold escaped halves of surrogate pairs: Python has those
for bytes that are not UTF-8. The caller bounds the size of what it passes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from kernel.contract.json_text import parse_untrusted

if TYPE_CHECKING:
    HexBytes = bytes
else:

    class HexBytes(bytes):
        """Bytes that are hexadecimal digits in JSON; other bytes are base64."""


T = TypeVar("T")

Port = Annotated[int, Meta(ge=0, lt=1 << 16)]
Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""A count, such as of bytes."""

_KINDS = {
    "array": "an array",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "an object",
    "str": "a text",
}
_SIGNS = ((" <= ", " of at most "), (" >= ", " of at least "), (" < ", " below "), (" > ", " above "))
_BOUNDS = ((" length <= ", " length at most "), *_SIGNS, (", got ", ", and not "))
_EXPECTED = re.compile(r"`([^`]*)`")
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)


class BadShape(ValueError):
    """JSON, or a value of it, is not what its reader expects; the message says what is wrong and where, without a full
    stop: "port must be a whole number, and not a text".
    """


class NewerVersion(BadShape):
    """JSON is of a version that only newer releases know."""


def check_version_untrusted(value: object, known: int) -> None:
    """Check the version that a JSON object says it is of; without one, it is 1. Raises BadShape and NewerVersion."""
    version = value.get("version", 1) if isinstance(value, dict) else 1
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadShape("version must be a whole number of at least 1")
    if version > known:
        raise NewerVersion(f"it is of version {version}, and this release knows versions up to {known}")


def decode_untrusted(data: bytes | str, type: type[T]) -> T:
    """Return the value of that type in JSON; raises BadShape."""
    try:
        value = parse_untrusted(data.decode() if isinstance(data, bytes) else data)
    except ValueError as error:
        raise BadShape(f"it is not JSON ({error})") from None
    return convert_untrusted(value, type)


def convert_untrusted(value: object, type: type[T]) -> T:
    """Return the value of that type in decoded JSON; raises BadShape."""
    try:
        return msgspec.convert(value, type, dec_hook=_decode_hook)
    except msgspec.ValidationError as error:
        raise BadShape(_words(str(error))) from None
    except UnicodeEncodeError:
        raise BadShape("a key of it is not text") from None


def _decode_hook(type: Any, value: object) -> Path | bytes:
    if not isinstance(value, str):
        raise TypeError("Expected `str`")
    return HexBytes.fromhex(value) if type is HexBytes else Path(value)


def _words(sentence: str) -> str:
    """Return what msgspec says in the words of our sentences."""
    what, _, place = sentence.rpartition(" - at `$")
    what, place = (what, place.rstrip("`").removeprefix(".")) if what else (sentence, "")
    if (found := _FIELD.fullmatch(what)) is not None:
        name = f"{place}.{found[1]}" if place else found[1]
        return f"{name} is missing" if "missing" in what else f"{name} is not known"
    if not what.startswith("Expected "):
        return f"{place}: {what}" if place else what
    wanted = _EXPECTED.sub(lambda kinds: " or ".join(_KINDS.get(each, each) for each in kinds[1].split(" | ")), what)
    wanted = wanted.replace("a whole number or a number", "a number")
    for sign, words in _BOUNDS:
        wanted = wanted.replace(sign, words)
    return f"{place or 'it'} must be {wanted.removeprefix('Expected ')}"
