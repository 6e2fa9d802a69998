"""The scenario restarts: it holds on many seeds, and finds what comes too early, too late or not at all."""

from __future__ import annotations

import pytest

from kernel.contract.process import Outstanding
from kernel.router import restarts
from kernel.router.outstanding import OutstandingTable
from kernel.router.requests import Requests
from testnet.scenarios.restarts import RESTARTS
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import violation


def found(programs: Programs) -> str:
    return violation(Plan("restarts", 5, RESTARTS.nodes, {"first": 1.0, "times": 1}), programs)


def test_g22_it_finds_a_back_off_that_is_never_reset(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "HEALTHY_AFTER", 1e9)
    assert found(programs).startswith("fragile:crash_isolation:sys is not there 0.25 s after its back-off")


def test_g22_it_finds_requests_that_are_not_sent_at_the_end(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Requests, "send_as_ended", lambda self, process: None)
    text = found(programs)
    assert text.startswith("testator:crash_isolation:sys has ended, and heir:crash_isolation:sys, which it has run, ")


def test_g7_it_finds_a_timeout_that_comes_late(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    add = OutstandingTable.add

    def add_late(table: OutstandingTable, entry: Outstanding) -> None:
        entry.deadline += 1.0
        add(table, entry)

    monkeypatch.setattr(OutstandingTable, "add", add_late)
    text = found(programs)
    assert text.startswith("calm.nec is silent, and who asked it with a timeout of 2 s was told ")
    assert text.endswith(" after 3.000 s")
