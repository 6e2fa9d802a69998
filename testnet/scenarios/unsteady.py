"""Which nodes may forget what they knew, because of the faults of a plan."""

from __future__ import annotations

from testnet.faults.clock_step import ClockStep
from testnet.faults.impostor import Impostor
from testnet.faults.pause import Pause
from testnet.faults.rule import NodeFault
from testnet.schedule import Schedule

_HARMLESS = (ClockStep, Impostor, Pause)
"""Faults of nodes that neither end one nor take anything from its disk."""


def unsteady(schedule: Schedule) -> frozenset[str]:
    """The names of nodes that a fault may end, or keep from writing."""
    faults = [step.fault for step in schedule if isinstance(step.fault, NodeFault)]
    return frozenset(name for fault in faults if not isinstance(fault, _HARMLESS) for name in fault.names)
