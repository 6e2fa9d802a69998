"""Units and ranges of a fault's parameters: annotations of its fields, which `catalogue` checks values against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from net.base.node_names import is_node_name
from testnet.model.value import shown


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `least` to `most`, both included."""

    least: float
    most: float = math.inf
    unit: str = ""
    """For people; empty: a mere number."""

    def objection(self, value: object) -> str | None:
        """Return what is wrong with `value`, to follow the parameter's name, or None."""
        if isinstance(value, int | float) and self.least <= value <= self.most:
            return None
        return f"must be {self._words()}, and not {shown(value)}"

    def _words(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least:g}"
        return f"from {self.least:g} to {self.most:g}"


@dataclass(frozen=True, slots=True)
class NodeNamed:
    """The names that a node can have (G1)."""

    def objection(self, value: object) -> str | None:
        """Return what is wrong with `value`, to follow the parameter's name, or None."""
        return None if is_node_name(value) else f"must be a node's name, such as a.nec, and not {shown(value)}"


@dataclass(frozen=True, slots=True)
class ProcessNamed:
    """The names that a process can have."""

    def objection(self, value: object) -> str | None:
        """Return what is wrong with `value`, to follow the parameter's name, or None."""
        try:
            ProcessId.parse(str(value))
        except BadAddress:
            return f"must be a process, such as hello:hello:sys, and not {shown(value)}"
        return None


Constraint: TypeAlias = Range | NodeNamed | ProcessNamed
Seconds = Annotated[float, Range(0.0, unit="seconds")]
Probability = Annotated[float, Range(0.0, 1.0)]
Rate = Annotated[float, Range(1.0, unit="bytes a second")]
Count = Annotated[int, Range(0)]
NodeName = Annotated[str, NodeNamed()]
ProcessName = Annotated[str, ProcessNamed()]
