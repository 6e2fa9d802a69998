"""Faults as forms to fill in: what each is called and does, and its fields with types, units and defaults. Pure."""

from __future__ import annotations

import inspect
import math
from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_args, get_origin

from testnet.faults import FAULTS, IN_SIMULATIONS_ONLY
from testnet.faults.catalogue import about
from testnet.model.fields import parameter_types
from testnet.model.quantity import NodeNamed, Range
from testnet.model.where import Where


def forms() -> list[dict[str, Any]]:
    """Return the forms of the faults that real nodes can have, as JSON values.

    Each is {kind, about, more, links, fields}: a sentence, the rest of its description, whether it is about links
    that are to be named, and of each field {name, type: number|integer|text|choice|flag|node, required, default,
    choices, least, most, unit}, the last five where there are such.
    """
    return [_form(kind, found) for kind, found in FAULTS.items() if kind not in IN_SIMULATIONS_ONLY]


def _form(kind: str, found: type) -> dict[str, Any]:
    hints = parameter_types(found)
    own = [_field(name, hint, _default(found, name)) for name, hint in hints.items() if hint is not Where]
    _, _, more = inspect.cleandoc(found.__doc__ or "").partition("\n")
    links = Where in hints.values()
    return {"kind": kind, "about": about(found), "more": " ".join(more.split()), "links": links, "fields": own}


def _field(name: str, hint: Any, default: object) -> dict[str, Any]:
    given = {} if default is MISSING else {"default": default}
    return {"name": name, "required": default is MISSING, **given, **_type(hint)}


def _type(hint: Any) -> dict[str, Any]:
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        base, *constraints = arguments
        told = _type(base)
        for each in constraints:
            if isinstance(each, NodeNamed):
                told["type"] = "node"
            if isinstance(each, Range):
                told |= {"least": each.least}
                told |= {} if each.most == math.inf else {"most": each.most}
                told |= {"unit": each.unit} if each.unit else {}
        return told
    if get_origin(hint) is Literal:
        return {"type": "choice", "choices": list(arguments)}
    if type(None) in arguments:
        return _type(next(each for each in arguments if each is not type(None)))
    return {"type": {float: "number", int: "integer", bool: "flag"}.get(hint, "text")}


def _default(found: type, name: str) -> object:
    return next(each.default for each in fields(found) if each.name == name)
