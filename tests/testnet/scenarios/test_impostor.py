"""The scenario impostor: it holds on many seeds, and finds out if somebody has taken the impostor for the real one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from net.names.directory import SignedRecord
from testnet.scenarios.impostor import IMPOSTOR
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, VIOLATED, run
from testnet.sim.simulation import Simulation
from tests.seeds import seeds

VICTIM, A, B = IMPOSTOR.nodes


def plan(*, gone: bool, known: bool) -> Plan:
    options = {"gone": gone, "known": known, "pause": 1.0, "count": 10, "gap_ms": 10, "blob": 1000}
    return Plan("impostor", 5, IMPOSTOR.nodes, options)


@pytest.mark.parametrize("seed", seeds(3, 8))
def test_it_holds_whatever_is_drawn(programs: Programs, seed: int) -> None:
    result = run(draw_plan(IMPOSTOR, seed), programs)
    assert result.result == PASSED, (seed, result.text)


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_it_holds_whether_the_real_one_is_there_and_was_known_before(
    programs: Programs, gone: bool, known: bool
) -> None:
    result = run(plan(gone=gone, known=known), programs)
    assert result.result == PASSED, result.text
    assert any(f" {A} dials {VICTIM}" in line for line in result.journal) or not gone


def with_the_same_key(self: Simulation, host: str, by: str) -> None:
    known = self.nodes.get(host) or self.down[host]
    self.boot_node(replace(known.spec, host=by))


def test_it_finds_out_if_one_with_the_right_key_was_taken_for_the_real_one(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulation, "impersonate", with_the_same_key)
    result = run(plan(gone=True, known=False), programs)
    assert result.result == VIOLATED, result.text
    assert f"from {VICTIM}@witness:witness:sys, who never sent it" in result.text


def test_it_finds_out_if_a_record_that_nobody_granted_was_believed(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SignedRecord, "granted_by", lambda self, authority: True)
    result = run(plan(gone=True, known=False), programs)
    assert result.result == VIOLATED, result.text
    assert f"from {VICTIM}@witness:witness:sys, who never sent it" in result.text
