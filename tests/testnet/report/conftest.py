"""A run with faults, played once for all tests of this folder, and a small journal made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.journal import Journal, read_journal_untrusted
from testnet.sim.programs import Programs
from testnet.sim.run import run

SEED = 2
"""Draws partitions, kills and pauses, and a message that is lost."""


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    path: Path = tmp_path_factory.mktemp("report") / "run.journal"
    run(draw_plan(SCENARIOS["file_transfer"], SEED, 5), Programs()).write(path)
    return read_journal_untrusted(path)
