"""A command on a terminal of its own, as a user sees and leaves it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_ENTER_SCREEN, _LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


def check_screen(words: tuple[str, ...], shows: bytes, key: bytes) -> None:
    """`nectar` with these words has a screen of its own, which shows that; `key` ends it, and nothing of it stays."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-P", "-m", "nectar_node", *words],  # its own terminal, for Ctrl-C
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ) as process:
        os.close(theirs)
        assert _ENTER_SCREEN in read_until(ours, shows)
        os.write(ours, key)
        shown = read_until(ours, _LEAVE_SCREEN)
        assert process.wait(20) == 0
        assert b"Traceback" not in shown
    os.close(ours)


def read_until(descriptor: int, wanted: bytes | re.Pattern[bytes] | None) -> bytes:
    """What the terminal was sent, up to `wanted`; None: until whoever wrote to it has ended."""
    found = re.compile(re.escape(wanted)) if isinstance(wanted, bytes) else wanted
    shown = b""
    while found is None or not found.search(shown):
        assert select.select([descriptor], [], [], 30)[0], shown
        try:
            shown += os.read(descriptor, 4096)
        except OSError:  # nobody has the other end open
            assert found is None, shown
            break
    return shown
