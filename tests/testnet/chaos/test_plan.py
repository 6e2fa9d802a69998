"""The faults of a chaos run, as they are drawn."""

from __future__ import annotations

import pytest

from testnet.chaos.plan import DRAWERS, draw_rounds
from testnet.faults.catalogue import kind_of
from testnet.faults.schedule import read_steps_untrusted

NODES = ("a.nec", "b.nec", "c.nec")
KINDS = {
    "bandwidth", "bit_flips", "crash", "disk_full", "latency", "loss", "no_route", "nonsense", "partition", "pause",
    "refusal", "registrar_down", "replay", "reset", "slow_handshake", "stall",
}  # fmt: skip


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert draw_rounds(NODES, 60, 7) == draw_rounds(NODES, 60, 7)
    assert draw_rounds(NODES, 60, 7) != draw_rounds(NODES, 60, 8)


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_holds_for_a_while_and_is_over_when_the_run_is(seed: int) -> None:
    for seconds in (3.0, 25.0, 100.0):
        for step in draw_rounds(NODES, seconds, seed):
            assert step.until is not None
            assert 0 <= step.at < step.until <= seconds, step.words()


@pytest.mark.parametrize("seed", range(20))
def test_a_longer_run_begins_like_a_shorter_one(seed: int) -> None:
    assert draw_rounds(NODES, 120, seed)[: len(draw_rounds(NODES, 60, seed))] == draw_rounds(NODES, 60, seed)


def test_all_that_real_nodes_can_have_is_drawn_some_day() -> None:
    drawn = {kind_of(step.fault) for seed in range(20) for step in draw_rounds(NODES, 100, seed)}
    assert drawn == KINDS
    assert len(DRAWERS) == len(KINDS)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_drawn_can_be_written_into_a_schedule_and_read_again(seed: int) -> None:
    drawn = draw_rounds(NODES, 100, seed)
    entries = [step.value() for step in drawn]
    assert read_steps_untrusted(entries, (*NODES, "registrar.nec"), "x") == drawn
