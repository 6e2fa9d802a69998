"""How long it takes until somebody is told, by level: the times that docs/errors.md states, but for what nodes need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from net.base.limits import KEEPALIVE_SECONDS, PING_SECONDS, RECOVERY_SECONDS
from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.unsynced import Unsynced
from testnet.model.lab import Lab, Level, NodePlan, SentRequest
from testnet.model.where import Where
from tests.levels.labs import EARLY, LATE, QUICK, open_lab

ASKS, CRASHED, UNMET, SILENT = ("asks.nec", "crashed.nec", "unmet.nec", "silent.nec")
PATIENCE = 60


class Told(NamedTuple):
    """What whoever asked was told, and after how many seconds."""

    kind: str
    reason: str
    seconds: float


def boot(lab: Lab, known: str, *unknown: str) -> None:
    """ASKS, which has talked to the one that is `known`, and others."""
    lab.boot(*(NodePlan(name, ("hello",)) for name in (ASKS, known, *unknown)))
    assert lab.ask(ASKS, f"{known}@hello:hello:sys", {"Greet": "x"}, PATIENCE).kind == "response"


def all_told(lab: Lab, names: tuple[str, ...]) -> dict[str, Told]:
    """Ask all of these at once, and wait for all outcomes."""
    began = lab.now
    asked: dict[str, SentRequest] = {
        n: lab.begin(ASKS, f"{n}@hello:hello:sys", {"Greet": "x"}, PATIENCE) for n in names
    }
    told: dict[str, Told] = {}

    def look() -> bool:
        for name, each in asked.items():
            if each.outcome is not None and name not in told:
                told[name] = Told(each.outcome.kind, each.outcome.reason, lab.now - began)
        return len(told) == len(asked)

    lab.wait(look, PATIENCE + LATE, "all outcomes")
    return told


def check(told: Told, kind: str, reason: str, seconds: float) -> None:
    assert (told.kind, told.reason) == (kind, reason)
    assert seconds - EARLY <= told.seconds <= seconds + LATE


@pytest.mark.parametrize("level", QUICK)
def test_a_node_that_crashed_or_cannot_be_reached_is_offline_after_the_time_for_recovery(
    level: Level, tmp_path: Path
) -> None:
    with open_lab(level, tmp_path / "testnet") as lab:
        boot(lab, CRASHED, UNMET)
        with lab.apply(Crash(CRASHED)), lab.apply(Partition(Where(UNMET))):
            told = all_told(lab, (CRASHED, UNMET))
    check(told[CRASHED], "offline", "connection lost", RECOVERY_SECONDS)
    check(told[UNMET], "offline", "unreachable", RECOVERY_SECONDS)


@contextmanager
def cut_off(lab: Lab, power: bool) -> Iterator[None]:
    """The host of SILENT cannot be reached, or goes without a word. Real ones whose power is gone are cut off first:
    what their systems say reaches nobody."""
    if power and lab.level is Level.SIMULATION:
        with lab.apply(Unsynced(SILENT)):
            yield
        return
    with lab.apply(Partition(Where(SILENT))), lab.apply(Crash(SILENT)) if power else nullcontext():
        yield


@pytest.mark.long
@pytest.mark.parametrize("level", Level, ids=lambda level: level.value)
@pytest.mark.parametrize("power", [False, True], ids=["silent", "without power"])
def test_a_node_that_says_nothing_is_offline_after_keepalive_ping_and_recovery(
    level: Level, power: bool, tmp_path: Path
) -> None:
    with open_lab(level, tmp_path / "testnet") as lab:
        boot(lab, SILENT)
        with cut_off(lab, power):
            told = all_told(lab, (SILENT,))
    check(told[SILENT], "offline", "connection lost", KEEPALIVE_SECONDS + PING_SECONDS + RECOVERY_SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("level", Level, ids=lambda level: level.value)
@pytest.mark.parametrize(("ends", "answered"), [(10.0, 12.6), (17.0, 20.0), (21.5, 23.0)])
def test_a_partition_that_ends_before_that_costs_no_request_but_time(
    level: Level, ends: float, answered: float, tmp_path: Path
) -> None:
    """After 10 s, what was sent again at 6.2 s is sent again at 12.6 s. The next time would be 25.4 s: before that
    silence is noticed, and a new connection made, at once or by its dial that is sent again 3 s later."""
    with open_lab(level, tmp_path / "testnet") as lab:
        boot(lab, SILENT)
        number = lab.inject(Partition(Where(SILENT)))
        lab.at(ends, lambda: lab.withdraw(number))
        told = all_told(lab, (SILENT,))
    check(told[SILENT], "response", "", answered)
