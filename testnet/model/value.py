"""Checks whether a JSON value fits a fault's field, by the field's type.

Types are str, int, float, bool, Literal, one of these with an annotation of `quantity`, and one of these or None.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_MOST = 1e300
_MOST_SHOWN = 60
"""Characters of a value, in a sentence about it."""
_PLAIN: dict[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def objection(hint: Any, value: object) -> str | None:
    """Return what is wrong with `value`, to follow the parameter's name, or None."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        base, *constraints = arguments
        objections = (objection(base, value), *(each.objection(value) for each in constraints))
        return next((each for each in objections if each is not None), None)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        return objection(next(each for each in arguments if each is not NoneType), value)
    if origin is Literal:
        wanted = " or ".join(repr(each) for each in arguments)
        return None if value in arguments else f"must be {wanted}, and not {shown(value)}"
    return None if _is_plain(hint, value) else f"must be {_PLAIN[hint]}, and not {shown(value)}"


def shown(value: object) -> str:
    """Return the value for people, cut short if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than `sys.get_int_max_str_digits()` digits
        return "a number of too many digits"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def is_supported(hint: Any) -> bool:
    """Return whether a field can have this type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return is_supported(arguments[0])
    if origin in (Union, UnionType):
        rest = [each for each in arguments if each is not NoneType]
        return len(rest) == 1 and is_supported(rest[0])
    if origin is Literal:
        return all(isinstance(each, str) for each in arguments)
    return hint in _PLAIN


def _is_plain(hint: Any, value: object) -> bool:
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST <= value <= _MOST
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and -_MOST <= value <= _MOST
    return isinstance(value, hint)
