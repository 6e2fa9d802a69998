"""The parameters of a fault, and the nodes that they name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

from testnet.model.quantity import NodeName
from testnet.model.rule import Fault
from testnet.model.where import Where


def parameter_types(found: type) -> dict[str, Any]:
    """Return the types of the fields that are parameters, in order."""
    hints = get_type_hints(found, include_extras=True)
    return {each.name: hints[each.name] for each in fields(found) if each.init}


def nodes_of(fault: Fault) -> tuple[str, ...]:
    """Return the nodes that the fault names, in its `Where` and in each parameter that is a `NodeName`; empty: all
    nodes."""
    found: list[str] = []
    for name, kind in parameter_types(type(fault)).items():
        value = getattr(fault, name)
        found += value.names if isinstance(value, Where) else [value] if kind == NodeName else []
    return tuple(found)
