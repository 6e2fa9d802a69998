"""How programs are loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHOWS = """
def main():
    import gc
    print(gc.isenabled(), gc.get_freeze_count() > 1000)
    return 7
"""
ASKS = """
import gc

from nectar_node.base.program import load


def main():
    try:
        load("no_such_module")
    except ModuleNotFoundError:
        print(gc.isenabled())
    return 0
"""


def run(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nectar_node.base.program", module]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={"PYTHONPATH": str(folder)}
    )


def test_what_a_program_has_loaded_is_not_looked_through_and_what_it_makes_is(tmp_path: Path) -> None:
    (tmp_path / "shows.py").write_text(SHOWS)
    ended = run(tmp_path, "shows")
    assert (ended.stdout, ended.returncode) == ("True True\n", 7), ended.stderr


def test_a_program_that_cannot_be_loaded_leaves_the_collector_on(tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(ASKS)
    ended = run(tmp_path, "asks")
    assert ended.stdout == "True\n", ended.stderr
