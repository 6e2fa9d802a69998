"""Every row of docs/errors.md in virtual time: the times are exact, and the logs say that and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from tests.conformance.lab import SimLab
from tests.failures.in_memory import NO_DELAY, ROWS
from tests.failures.page import check_log, check_outcomes, read_table


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
    check_log(row.sender_log, seen.sender_log, complete=True)
    assert seen.target_log is not None
    check_log(row.target_log, seen.target_log, complete=True)
