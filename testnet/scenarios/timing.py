"""Common parts of scenarios: actions at their times, and which nodes a fault may have made forget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from testnet.faults.clock_drift import ClockDrift
from testnet.faults.clock_step import ClockStep
from testnet.faults.crash import Crash
from testnet.faults.impostor import Impostor
from testnet.faults.pause import Pause
from testnet.faults.schedule import Schedule, Step
from testnet.faults.slow_guests import SlowGuests
from testnet.faults.spawn_fails import SpawnFails
from testnet.faults.unsynced import Unsynced
from testnet.model.fields import nodes_of
from testnet.model.lab import Json, Lab, Level, SentRequest
from testnet.model.rule import NodeFault
from testnet.scenarios.scenario import require

LATE_SECONDS = 2.0
"""How late the faults of a schedule may begin among real nodes."""


def since(lab: Lab, began: float) -> float:
    """Return the time of the schedule that began at that moment, for `may_forget`: the earliest one, where it is not
    exact."""
    return lab.now - began - (0.0 if lab.level is Level.SIMULATION else LATE_SECONDS)


def soon(lab: Lab) -> int:
    """Return the seconds in which nodes that know what has happened find each other again: far less than until silence
    on a connection is noticed, and more where real nodes share a busy machine."""
    return 5 if lab.level is Level.SIMULATION else 15


def in_time(lab: Lab, events: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Yield each event without its first value, when so many seconds have passed."""
    began = lab.now
    for at, *event in events:
        lab.rest(max(0.0, began + at - lab.now))
        yield event


_HARMLESS = (ClockDrift, ClockStep, Impostor, Pause, SlowGuests, SpawnFails)
"""Faults of a node that end none of its processes."""
_ENDS = (Crash, Unsynced)
"""End all of them; when it is over, they run again."""
BACK_SECONDS = 60.0
"""Seconds after the healing in which a process runs again that a fault has ended several times."""


def may_forget(schedule: Schedule, node: str, at: float) -> bool:
    """Whether a process of the node may have ended, and lost what it had in memory, at that time of the schedule or
    later: for all but a few faults, whatever befalls a node itself may do that."""
    return any(
        isinstance(step.fault, NodeFault)
        and not isinstance(step.fault, _HARMLESS)
        and node in nodes_of(step.fault)
        and at <= _over(step)
        for step in schedule
    )


def _over(step: Step) -> float:
    """Return when the processes that the fault ended run again. One that ends again and again waits longer each time
    (G22), but never longer than it took until then and a second."""
    until = math.inf if step.until is None else step.until
    return until if isinstance(step.fault, _ENDS) else 2 * until + 1


def told(lab: Lab, node: str, target: str, body: Json, variant: str) -> Json:
    """Ask when there are no faults any more; return the content of the answer, which must be of that variant."""
    limit = lab.now + BACK_SECONDS
    while (outcome := lab.ask(node, target, body, 60)).kind != "response" and lab.now < limit:
        lab.rest(1.0)
    right = outcome.kind == "response" and isinstance(outcome.body, dict) and variant in outcome.body
    require(right, f"without any fault, {node} asked {target} for {body!r}, and had {outcome}")
    return outcome.body[variant]


def answered(request: SentRequest, variant: str) -> Json:
    """Return the content of the response, or None if there is none of that variant."""
    outcome = request.outcome
    right = outcome is not None and outcome.kind == "response" and isinstance(outcome.body, dict)
    return outcome.body.get(variant) if outcome is not None and right else None


def ended(request: Iterable[SentRequest]) -> Callable[[], bool]:
    """Return a condition for `Lab.wait`: whether all of these have an outcome. One that has is not asked again, since
    waiting asks at every step."""
    waiting = list(request)

    def done() -> bool:
        while waiting and waiting[-1].outcome is not None:
            waiting.pop()
        return not waiting

    return done
