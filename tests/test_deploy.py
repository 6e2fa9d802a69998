"""What lies in deploy/ is accepted by the programs that it is for, and its commands run a node."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "deploy" / "systemd" / "nectar-node@.service"
INSTALLED = "/opt/nectar/bin/nectar"
LIMIT = 60.0
"""Seconds after which a node is taken to hang; no test waits for it to pass."""


def nectar() -> str:
    """The command, as this environment has it."""
    return str(Path(sys.executable).parent / "nectar")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed.")
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(INSTALLED, nectar()))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
