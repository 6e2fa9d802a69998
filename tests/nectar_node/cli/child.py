"""Runs the program of a node that somebody else has started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

LIMIT = 60


def boot_child(words: Sequence[str], told: bytes) -> subprocess.CompletedProcess[bytes]:
    """Until it ends by itself."""
    command = [sys.executable, "-P", "-m", "nectar_node.base.program", "nectar_node.launcher.child", *words]
    return subprocess.run(command, input=told, capture_output=True, timeout=LIMIT, check=False)
