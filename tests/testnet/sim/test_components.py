"""Components that use WASI 0.2 in a simulation: their time is virtual, and the same seed gives the same journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from testnet.runs.result import PASSED
from tests.testnet.sim.native_scenario import play

SEED = 20261130


def test_the_same_seed_gives_the_same_journal_in_another_process_with_other_hashes(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = play(tmp_path / "here", SEED)
    command = [sys.executable, "-m", "tests.testnet.sim.native_scenario", str(tmp_path / "there"), str(SEED)]
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    root = Path(__file__).parents[3]
    there = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=root, text=True)
    assert (here.result, here.text) == (PASSED, ""), SEED
    assert there.stdout.strip() == here.digest, SEED
    journal = "\n".join(here.journal)
    assert '"700"' in journal.replace("\\", ""), "it has slept"
    assert "fault" in journal


def test_another_seed_gives_another_journal(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert play(tmp_path / "a", SEED).digest != play(tmp_path / "b", SEED + 1).digest
