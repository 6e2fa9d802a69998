"""The scenario impostor: it holds on many seeds, and finds out if somebody has taken the impostor for the real one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from net.names.directory import SignedRecord
from testnet.scenarios.impostor import IMPOSTOR
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.testnet.scenarios.played import passes, violation

VICTIM, A, B = IMPOSTOR.nodes


def plan(*, gone: bool, known: bool) -> Plan:
    options = {"gone": gone, "known": known, "pause": 1.0, "count": 10, "gap_ms": 10, "blob": 1000}
    return Plan("impostor", 5, IMPOSTOR.nodes, options)


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_it_holds_whether_the_real_one_is_there_and_was_known_before(
    programs: Programs, gone: bool, known: bool
) -> None:
    journal = passes(plan(gone=gone, known=known), programs, journal=True).journal
    assert any(f" {A} dials {VICTIM}" in line for line in journal) or not gone


def with_the_same_key(self: Simulation, host: str, by: str) -> None:
    known = self.nodes.get(host) or self.down[host]
    self.boot_node(replace(known.spec, host=by))


@pytest.mark.parametrize(
    ("where", "name", "mistake"),
    [
        (Simulation, "impersonate", with_the_same_key),
        (SignedRecord, "granted_by", lambda self, authority: True),
    ],
    ids=["it has the right key", "a record that nobody has granted is believed"],
)
def test_it_finds_out_if_somebody_was_taken_for_the_real_one(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, where: type, name: str, mistake: object
) -> None:
    monkeypatch.setattr(where, name, mistake)
    text = violation(plan(gone=True, known=False), programs)
    assert f"from {VICTIM}@witness:witness:sys, who never sent it" in text
