"""A run of tests in a browser leaves no browser and no node behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import LIMIT, until

TEST = """
import os, pathlib, signal

def test_a_page(testnet, nectar_visitors):
    {begin}
    nectar_visitors.open("data:text/html,<h1>Here</h1>")
    pathlib.Path("gate").read_text()
    {end}
"""
MARK = "NECTAR_TEST_OF_A_RUN"


WRONG = 'nectar_visitors.open("data:text/html,<script>nothing.at.all</script>")'
"""Nothing but its page fails that test."""
BOOT = 'testnet.boot("one.nec", packages=["hello"], http=True)'


def run_that_ends_by(begin: str, end: str, folder: Path) -> subprocess.Popen[bytes]:
    """A run of pytest in a session of its own, as in a terminal of its own, and without a screen."""
    (folder / "test_it.py").write_text(TEST.format(begin=begin, end=end))
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py", "--basetemp=temporary"]
    told = {**environment, MARK: str(folder)}
    return subprocess.Popen(command, cwd=folder, env=told, stdout=subprocess.PIPE, start_new_session=True)


def left(folder: Path) -> list[str]:
    """The commands of what that run has started and what still runs: all of it has its environment."""
    mark, found = f"{MARK}={folder}".encode(), []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended
    return found


def at_gate(gate: Path, run: subprocess.Popen[bytes]) -> int:
    """Wait until the test has come to its gate; it goes on when what is returned is closed."""
    found: list[int] = []

    def opens() -> bool:
        try:
            found.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody reads it yet
            return run.poll() is not None
        return True

    until(opens)
    assert found, "the run has ended before"
    return found[0]


@pytest.mark.parametrize(
    ("begin", "end", "status"),
    [
        ("pass", WRONG, 1),
        (BOOT, "os.killpg(0, signal.SIGINT)", 2),
        (BOOT, "os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
    ids=["failed", "Ctrl-C", "killed"],
)
def test_neither_browser_nor_node_outlives_a_run(tmp_path: Path, begin: str, end: str, status: int) -> None:
    os.mkfifo(tmp_path / "gate")
    with run_that_ends_by(begin, end, tmp_path) as run:
        with (tmp_path / "gate").open(
            "w"
        ):  # the test is there when this has been opened, and goes on when it is closed
            running = "\n".join(left(tmp_path))
        out, _ = run.communicate(timeout=LIMIT)
    assert "chromium" in running
    assert ("one.nec" in running) == (begin == BOOT)
    assert run.returncode == status, out.decode()
    assert ("A page has reported: nothing is not defined" in out.decode()) == (end == WRONG)
    until(lambda: not left(tmp_path))
