"""What the parameters of a fault are, and which nodes they name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

from testnet.model.quantity import NodeName
from testnet.model.rule import Fault
from testnet.model.where import Where


def parameter_types(found: type) -> dict[str, Any]:
    """Of the fields that are parameters, in order."""
    hints = get_type_hints(found, include_extras=True)
    return {each.name: hints[each.name] for each in fields(found) if each.init}


def nodes_of(fault: Fault) -> tuple[str, ...]:
    """The nodes that it is about: those of its `Where`, and of each parameter that is a `NodeName`. None: all."""
    found: list[str] = []
    for name, kind in parameter_types(type(fault)).items():
        value = getattr(fault, name)
        found += value.names if isinstance(value, Where) else [value] if kind == NodeName else []
    return tuple(found)
