"""JSON texts as guests and peers pass them: strict, and one error out."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse_untrusted(text: str) -> Any:
    """The value; raises ValueError for anything that RFC 8259 does not call JSON, such as NaN, or that is nested too
    deeply."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def is_json(text: str) -> bool:
    """Whether it is JSON."""
    try:
        parse_untrusted(text)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
