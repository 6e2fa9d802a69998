"""A run with faults, played once for all tests of this folder, and a small journal made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from testnet.journal.journal import Journal, read_journal_untrusted
from testnet.runs.result import PASSED
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import run

SEED = 2
"""Draws partitions, kills and pauses, and a message that is lost."""


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    path: Path = tmp_path_factory.mktemp("report") / "run.journal"
    run(draw_plan(SCENARIOS["file_transfer"], SEED, 5), Programs()).write(path)
    return read_journal_untrusted(path)


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """Requests of a.nec to b.nec, which passes them on to c.nec, which answers a.nec."""
    chain = {"author": "a.nec", "targets": ["b.nec"], "path": ["c.nec"], "blob": 1000, "count": 2, "gap_ms": 0}
    plan = Plan("chains", SEED, ("a.nec", "b.nec", "c.nec"), {"chains": [[0.2, chain | {"timeout": 20}]]})
    path: Path = tmp_path_factory.mktemp("report") / "chains.journal"
    result = run(plan, Programs())
    assert result.result == PASSED, result.text
    result.write(path)
    return read_journal_untrusted(path)
