"""JSON texts as guests and peers pass them: strict, bounded in their nesting, and one error out."""

from __future__ import annotations

import json
import math
import re
from array import array
from itertools import accumulate
from typing import Any, NoReturn

from kernel.contract.limits import MAX_JSON_DEPTH

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, or the beginning of one: possessive, so that a text of quotes costs no more than its length."""
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""What each bracket adds to the nesting, as a signed byte."""
_NO_BRACKETS = bytes(each for each in range(256) if each not in b"[{]}")


def parse_untrusted(text: str) -> Any:
    """Return the value. Raises ValueError for anything that RFC 8259 does not call JSON, such as NaN or a lone
    surrogate that is not escaped, for a number that no double holds, and for arrays and objects nested deeper than
    `limits.MAX_JSON_DEPTH`: whatever passes here can be written and parsed again, however deep our own stack is."""
    if not text.isascii():
        text.encode()  # JSON is UTF-8 (RFC 8259, 8.1); raises a ValueError
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH and _depth(text) > MAX_JSON_DEPTH:
        raise ValueError(f"nested more than {MAX_JSON_DEPTH} deep")
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def is_json(text: str) -> bool:
    """Return whether a text is JSON."""
    try:
        parse_untrusted(text)
    except ValueError:
        return False
    return True


def _depth(text: str) -> int:
    """Return how deep the brackets outside of strings are nested. It takes a few passes at the speed of C: a mebibyte
    of brackets takes less than parsing it."""
    steps = _STRING.sub("", text).encode().translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(array("b", steps)), default=0)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:32]} is beyond what a double holds")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
