"""CBOR (RFC 8949) as peers write it: as little of it as the protocol needs, and bounded before anything is built.

There are no tags, since decoders make costly things of them (a regular expression of tag 35 is compiled); no lengths
that are announced later; no more items and no more text than the caller expects. Each item takes at least a byte, so
bytes that are no more than the items allowed need not be counted: that is almost every message.
"""

from io import BytesIO
from typing import Any, NoReturn

import cbor2

from net.base.errors import BadCbor

_BYTES, _TEXT, _ARRAY, _SIMPLE = 2, 3, 4, 7
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
"""Bytes of the number that follows the first byte, by the first byte's low five bits."""
_CONSTANTS = (0xF4, 0xF5, 0xF6)
"""False, true, null."""


def loads_untrusted(data: bytes, *, items: int, depth: int, text: int | None = None) -> Any:
    """Return the value in `data`. Raises BadCbor.

    `items` is how many it may consist of, all arrays and elements counted; `depth` how deep arrays may be nested;
    `text` the bytes of all its texts together (None: as many as there are).
    """
    if len(data) > items:
        _count_untrusted(data, items, len(data) if text is None else text)
    source = BytesIO(data)
    try:
        value = cbor2.load(source, semantic_decoders=_NO_TAGS, max_depth=depth, allow_indefinite=False)
    except (cbor2.CBORDecodeError, TypeError, ValueError) as error:
        raise BadCbor("not CBOR, or of a kind that the protocol does not use") from error
    if source.tell() != len(data):
        raise BadCbor("bytes behind the value")
    return value


def _count_untrusted(data: bytes, items: int, text: int) -> None:
    """Raise BadCbor if there are more items or text, or anything but numbers, strings, arrays and constants."""
    position, missing, size = 0, 1, len(data)
    while missing:
        missing -= 1
        items -= 1
        if items < 0 or position >= size:
            raise BadCbor("too many items")
        kind, value, position = _head_untrusted(data, position)
        if kind == _ARRAY:
            missing += value
            if missing > items:
                raise BadCbor("too many items")
        elif kind in (_BYTES, _TEXT):
            position += value
            if kind == _TEXT:
                text -= value
    if position != size or text < 0:
        raise BadCbor("too much text, or bytes behind the value")


def _head_untrusted(data: bytes, position: int) -> tuple[int, int, int]:
    """Return the kind of an item, its number or length, and the position behind its head."""
    first = data[position]
    kind, value = first >> 5, first & 31
    position += 1
    if value >= 24 and kind != _SIMPLE:
        width = _WIDTHS.get(value)
        if width is None:
            raise BadCbor("an indefinite length, or one that is not valid")
        value = int.from_bytes(data[position : position + width], "big")
        position += width
    if kind > _ARRAY and first not in _CONSTANTS:
        raise BadCbor("a map, a tag, a fraction or an unknown constant")
    return kind, value, position


class _NoTags(dict[int, Any]):
    """A table of decoders for tags: empty, and stays so, as no tag may be read."""

    def __missing__(self, tag: int) -> Any:
        return _refuse


def _refuse(_: object) -> NoReturn:
    raise BadCbor("a tag")


_NO_TAGS = _NoTags()
