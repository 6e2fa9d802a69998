"""What starts a node again, with small processes in the place of nodes; one test has a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nectar_node.base.errors import EX_SOFTWARE, NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.launcher import launch, supervisor
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.seeds import sample
from tests.waiting import until

LIMIT = 60
_SUPERVISE = """
import os, signal, sys, time
from pathlib import Path
from nectar_node.launcher import launch, supervisor
from nectar_node.contract.config import NodeConfig
from nectar_node.base.folder import NodeFolder

folder = NodeFolder(Path(sys.argv[1]))
manners = sys.argv[2:]
supervisor.FIRST_PAUSE_SECONDS = supervisor.MOST_PAUSE_SECONDS = float(os.environ["PAUSE"])

def run(config):
    folder.acquire()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    lives = folder.path / "lives"
    with lives.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    manner = manners[min(len(lives.read_text().splitlines()), len(manners)) - 1]
    if manner != "early":
        os.write(config.ready_descriptor, b'{"endpoint": ["127.0.0.1", 1], "warning": null}\\n')
    os.close(config.ready_descriptor)
    if manner == "folder goes":
        folder.path.rename(folder.path.with_name("elsewhere"))
        return 70
    if manner.startswith("SIG"):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), getattr(signal, manner))
    if manner == "stays":
        while True:
            time.sleep(60)
    return 70 if manner == "early" else int(manner)

folder.create()
sys.exit(supervisor.Supervisor(NodeConfig("a.nec", folder, None, folder.path), run).run())
"""


@contextmanager
def supervised(folder: Path, *manners: str, pause: str = "0.01") -> Iterator[subprocess.Popen[bytes]]:
    """A node that ends in these manners, one after another, and then stays; it is killed at the end."""
    command = [sys.executable, "-c", _SUPERVISE, str(folder), *manners]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PAUSE": pause}) as process:
        try:
            yield process
        finally:
            process.kill()


def lives(folder: Path) -> list[int]:
    """The process of each life of the node so far."""
    file = folder / "lives"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("manner", [str(EX_SOFTWARE), "SIGSEGV"])
def test_a_node_whose_own_code_has_ended_it_is_started_again(manner: str, tmp_path: Path) -> None:
    with supervised(tmp_path, manner, manner, "stays") as process:
        until(lambda: len(lives(tmp_path)) == 3)
        process.terminate()
        assert process.wait(LIMIT) == 0
        assert process.stdout is not None
        assert process.stdout.read().count(b"it is started again in 0.01 s") == 2


@pytest.mark.parametrize("manner", sample(["SIGKILL", "0", "1", "SIGTERM"], 2))
def test_a_node_that_has_ended_otherwise_stays_down_and_its_supervisor_ends_like_it(
    manner: str, tmp_path: Path
) -> None:
    expected = -getattr(signal, manner) if manner.startswith("SIG") else int(manner)
    with supervised(tmp_path, manner, "stays") as process:
        assert process.wait(LIMIT) == expected
    assert len(lives(tmp_path)) == 1


def test_a_node_that_cannot_be_started_again_says_why(tmp_path: Path) -> None:
    with supervised(tmp_path / "a.nec", "folder goes", "stays") as process:
        assert process.wait(LIMIT) == EX_SOFTWARE
        assert process.stdout is not None
        assert b"a.nec is not started again: " in process.stdout.read()
    assert len(lives(tmp_path / "elsewhere")) == 1


def test_a_node_that_fails_before_it_was_ever_ready_stays_down(tmp_path: Path) -> None:
    with supervised(tmp_path, "early", "stays") as process:
        assert process.wait(LIMIT) == EX_SOFTWARE
    assert len(lives(tmp_path)) == 1


def test_a_killed_supervisor_takes_its_node_with_it(tmp_path: Path) -> None:
    with supervised(tmp_path, "stays") as process:
        until(lambda: len(lives(tmp_path)) == 1)
        (node,) = lives(tmp_path)
        handle = os.pidfd_open(node)
        process.kill()
        process.wait(LIMIT)
        until(lambda: _has_ended(handle))
        os.close(handle)


def _has_ended(handle: int) -> bool:
    try:
        signal.pidfd_send_signal(handle, 0)
    except ProcessLookupError:
        return True
    return False


def test_who_stops_a_node_between_two_lives_finds_it_by_its_lock(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path)
    with supervised(tmp_path, str(EX_SOFTWARE), "stays", pause="60") as process:
        until(lambda: folder.owner() == process.pid)
        assert launch.stop([folder]) == {tmp_path.name: "stopped"}
        assert process.wait(LIMIT) == 0
    assert len(lives(tmp_path)) == 1


def test_which_ends_are_a_failure_and_how_long_the_pauses_are() -> None:
    codes = [code for code in range(256) if supervisor.is_our_failure(code << 8)]
    signals = {number for number in signal.Signals if supervisor.is_our_failure(number)}
    assert codes == [EX_SOFTWARE] == [70]
    assert signals == {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
    pauses = [supervisor.pause_before(failures) for failures in range(1, 9)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_real_node_that_native_code_has_ended_comes_back_and_one_that_was_killed_does_not(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path / "testnet", BootOptions(packages=())).start(["a.nec"]) as nodes:
        first = nodes.pid("a.nec")
        assert first is not None
        os.kill(first, signal.SIGABRT)
        until(lambda: nodes.pid("a.nec") not in (None, first) and nodes.place("a.nec").control.exists())
        until(lambda: _answers(nodes))
        assert "a.nec has ended by SIGABRT: it is started again in 1 s" in nodes.log("a.nec")
        nodes.kill("a.nec")
        assert nodes.pid("a.nec") is None


def _answers(nodes: LocalTestnet) -> bool:
    try:
        return bool(nodes.status("a.nec")["pid"] == nodes.pid("a.nec"))
    except NodeError:
        return False


_SIGNALLED_BEFORE = """
import os, signal, sys
from pathlib import Path
from nectar_node.launcher import supervisor
from nectar_node.contract.config import NodeConfig
from nectar_node.base.folder import NodeFolder

def run(config):
    os.write(config.ready_descriptor, b'{"endpoint": ["127.0.0.1", 1], "warning": null}\\n')
    signal.pause()

fork = os.fork

def signalled_while_it_forks():
    child = fork()
    signal.raise_signal(signal.SIGTERM)  # the terminal sends it to both
    return child

os.fork = signalled_while_it_forks
folder = NodeFolder(Path(sys.argv[1]))
folder.create()
sys.exit(supervisor.Supervisor(NodeConfig("a.nec", folder, None, folder.path), run).run())
"""


def test_a_signal_in_the_moment_of_a_fork_reaches_the_node_and_nobody_else(tmp_path: Path) -> None:
    starter = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]) + 50)"
    command = [sys.executable, "-c", starter, "-c", _SIGNALLED_BEFORE, str(tmp_path)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(LIMIT) == 50 - signal.SIGTERM
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
