"""Faults by name: from and to the values that a schedule, a journal or a command line holds."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from nectar_node.errors import BadInput
from testnet.faults import FAULTS
from testnet.faults.rule import Fault
from testnet.faults.where import Where


def kind_of(fault: Fault) -> str:
    """The name of a fault's kind."""
    return next(name for name, kind in FAULTS.items() if isinstance(fault, kind))


def make(kind: str, parameters: dict[str, Any]) -> Fault:
    """A fault of a kind with parameters; raises BadInput."""
    if kind not in FAULTS:
        raise BadInput(f"There is no fault {kind!r}; there are {', '.join(FAULTS)}.")
    values = dict(parameters)
    if "between" in values:
        values["where"] = Where(*values.pop("between"))
    elif "source" in values or "target" in values:
        values["where"] = Where(values.pop("source", "*"), values.pop("target", "*"), both=False)
    fault: Fault = FAULTS[kind](**values)
    return fault


def parameters(fault: Fault) -> dict[str, Any]:
    """What `make` makes the same fault of."""
    found: dict[str, Any] = {}
    for each in fields(fault):  # type: ignore[arg-type]
        value = getattr(fault, each.name)
        if not isinstance(value, Where):
            found[each.name] = value
        elif value.both:
            found["between"] = [value.source, value.target]
        else:
            found |= {"source": value.source, "target": value.target}
    return found
