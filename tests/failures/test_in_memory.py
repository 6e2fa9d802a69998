"""Every row of docs/errors.md in virtual time: the times are exact, and the logs say that and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.contract.message import Reason
from kernel.wasm.engine import Engine
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.model.where import Where
from tests.conformance.lab import THEIR, SimLab
from tests.conformance.steps import send
from tests.failures.in_memory import NO_DELAY, ROWS, acquainted, begin, begin_at_silence, observe, strangers
from tests.failures.page import TIMEOUT_CELL, check_log, check_outcomes, read_table


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(tmp_path_factory.mktemp("modules"), replayable=True)


def test_g13_every_row_of_the_page_is_played_in_memory() -> None:
    assert list(ROWS) == list(read_table())


@pytest.mark.parametrize("name", ROWS)
def test_g13_g14_g15_g16_as_the_page_says_in_virtual_time(name: str, engine: Engine, tmp_path: Path) -> None:
    row = read_table()[name]
    seen = ROWS[name](SimLab(engine, tmp_path, 2, NO_DELAY))
    check_outcomes(row, seen)
    seconds, exact = row.seconds(seen.timeout)
    assert seen.after == seconds if exact else seen.after <= seconds
    if row.after == TIMEOUT_CELL:
        assert seen.arrived  # what the sender's trace knows of a Timeout
    check_log(row.sender_log, seen.sender_log, complete=True)
    assert seen.target_log is not None
    check_log(row.target_log, seen.target_log, complete=True)


@pytest.mark.parametrize("silence", [0, 7, 14.9, 15.1, 19.9])
def test_g13_a_pause_of_less_than_ten_seconds_costs_no_message_however_long_it_was_silent_before(
    silence: float, engine: Engine, tmp_path: Path
) -> None:
    lab = SimLab(engine, tmp_path, 2, NO_DELAY)
    scene = acquainted(lab)
    begin_at_silence(scene)
    lab.until(lab.now + silence)
    with lab.simulation.apply(Pause(THEIR)):
        begin(scene)
        lab.until(scene.at + 9.9)
    seen = observe(scene)
    assert (seen.request, seen.message, seen.reasons) == ("answer", "arrives", ())


def test_g16_a_request_whose_time_is_over_before_the_node_is_given_up_is_told_once_and_its_reason_is_kept(
    engine: Engine, tmp_path: Path
) -> None:
    lab = SimLab(engine, tmp_path, 2, NO_DELAY)
    scene = strangers(lab)
    with lab.simulation.apply(Partition(Where(THEIR))):
        scene.at = scene.sender.begin(send(scene.target, expects=3))
        lab.until(scene.at + 20)
    (error,) = scene.sender.seen("error")
    assert (error.failure, error.at) == ("timeout", scene.at + 3)
    assert lab.dead() == [Reason.EXPIRED, Reason.UNREACHABLE]
