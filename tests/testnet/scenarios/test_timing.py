"""Whom a fault may have made forget, and how long it takes until nodes have found each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from net.base.limits import KEEPALIVE_SECONDS, PING_SECONDS
from testnet.faults.clock_step import ClockStep
from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.schedule import Step
from testnet.faults.unsynced import Unsynced
from testnet.model.lab import Lab, Level
from testnet.model.rule import Fault
from testnet.model.where import Where
from testnet.scenarios.timing import may_forget, soon

ONE, TWO = "one.nec", "two.nec"


@pytest.mark.parametrize("fault", [Crash(ONE), Unsynced(ONE), DiskFull(ONE)])
def test_whoever_ends_may_forget_what_was_before(fault: Fault) -> None:
    schedule = (Step(3.0, 5.0, fault),)
    assert may_forget(schedule, ONE, 0.0)
    assert may_forget(schedule, ONE, 4.0)
    assert not may_forget(schedule, TWO, 0.0)


@pytest.mark.parametrize("fault", [Pause(ONE), ClockStep(ONE, 60.0), Partition(Where(ONE, TWO))])
def test_whoever_only_waits_forgets_nothing(fault: Fault) -> None:
    assert not may_forget((Step(3.0, 5.0, fault),), ONE, 0.0)


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (Step(3.0, 5.0, Crash(ONE)), 5.0, 5.1),
        (Step(3.0, 5.0, DiskFull(ONE)), 9.0, 12.0),  # its process waits before it runs again
        (Step(3.0, None, Crash(ONE)), 1000.0, None),
    ],
)
def test_nothing_is_forgotten_of_what_comes_after_the_end(step: Step, before: float, after: float | None) -> None:
    assert may_forget((step,), ONE, before)
    assert after is None or not may_forget((step,), ONE, after)


@pytest.mark.parametrize(("level", "seconds"), [(Level.SIMULATION, 5), (Level.LOOPBACK, 15), (Level.NAMESPACES, 15)])
def test_nodes_find_each_other_before_any_of_them_notices_silence(level: Level, seconds: int) -> None:
    lab = cast(Lab, SimpleNamespace(level=level))
    assert soon(lab) == seconds < KEEPALIVE_SECONDS + PING_SECONDS
