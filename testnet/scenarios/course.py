"""What stories have in common: things that happen at their times, and whom a fault may have made forget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from testnet.faults.clock_step import ClockStep
from testnet.faults.impostor import Impostor
from testnet.faults.pause import Pause
from testnet.faults.rule import NodeFault
from testnet.lab import Asked, Json, Lab
from testnet.scenarios.scenario import require
from testnet.schedule import Schedule


def in_time(lab: Lab, events: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Each event without its first value, when so many seconds have passed."""
    began = lab.now
    for at, *event in events:
        lab.rest(max(0.0, began + at - lab.now))
        yield event


_HARMLESS = (ClockStep, Impostor, Pause)
"""Befall a node, and end none of its processes."""


def may_forget(schedule: Schedule, node: str, since: float) -> bool:
    """Whether a process of the node may have ended, and lost what it had in memory, at that time of the schedule or
    later: for all but a few faults, whatever befalls a node itself may do that."""
    return any(
        isinstance(step.fault, NodeFault)
        and not isinstance(step.fault, _HARMLESS)
        and node in step.fault.names
        and (step.until is None or step.until >= since)
        for step in schedule
    )


def told(lab: Lab, node: str, target: str, body: Json, variant: str) -> Json:
    """Ask when there are no faults any more; what is in the answer, which must be of that variant."""
    outcome = lab.ask(node, target, body, 60)
    right = outcome.kind == "response" and isinstance(outcome.body, dict) and variant in outcome.body
    require(right, f"without any fault, {node} asked {target} for {body!r}, and had {outcome}")
    return outcome.body[variant]


def ended(asked: Iterable[Asked]) -> Callable[[], bool]:
    """For `Lab.wait`: whether all of these have an outcome."""
    waiting = list(asked)
    return lambda: all(each.outcome is not None for each in waiting)
