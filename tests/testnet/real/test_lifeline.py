"""A lab that is killed (`kill -9`) takes with it all that it has started: nodes, links, impostors, hosts, folders."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, BootOptions, encode_told
from nectar_node.launcher.local_network import LocalNetwork
from testnet.model.lab import Level
from testnet.real.lifeline import hold_lifeline
from testnet.real.links.client import LinksProcess
from testnet.real.local import LocalTestnet
from testnet.real.nodes import namespaces
from testnet.real.nodes.processes import NodeProcesses
from testnet.testing.networks import unavailable
from tests.levels.labs import REAL
from tests.nectar_node.cli.child import boot_child
from tests.nectar_node.cli.served_node import make_network
from tests.seeds import sample
from tests.testnet.cli.lab import Shell
from tests.testnet.plugin_runs import QUIET

LIMIT = 120.0
"""Seconds after which something is taken never to come."""
GLANCE = 0.02
"""Seconds between two looks at whether something has come to pass."""
SCENARIO = '''
from testnet.faults import Crash, Impostor, Pause
from testnet.model.lab import NodePlan
from testnet.scenarios.scenario import Scenario


class Waits:
    """One node is paused, another one has been started again, and an impostor of it runs."""

    def __init__(self, lab, plan):
        self.lab = lab

    def work(self):
        self.lab.withdraw(self.lab.inject(Crash("b.nec")))
        self.lab.inject(Impostor("b.nec"))
        self.lab.wait(lambda: self.lab.ready("b.nec"), 60)
        self.lab.inject(Pause("a.nec"))
        self.lab.note("now")
        self.lab.rest(600)


WAITS = Scenario(
    name="waits",
    about="it waits",
    nodes=("a.nec", "b.nec"),
    topology=lambda names: tuple(NodePlan(name, ()) for name in names),
    options=lambda names, chance: {},
    begin=Waits,
)
'''
CHAOS = ("nectar_node", "testnet", "chaos", "--minutes", "10", "--seed", "7")
TEST = """
from testnet.faults import Pause

def test_it(testnet):
    testnet.boot("one.nec", "two.nec", packages=["hello"])
    with testnet.apply(Pause("two.nec")):
        print("now", flush=True)
        testnet.rest(600)
"""


def processes(folder: Path, but: int, word: bytes = b"") -> list[int]:
    """Those whose command line names something in the folder, and has that word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:  # it ends just now
            continue
        if os.fsencode(folder) in command and word in command and int(process.name) != but:
            found.append(int(process.name))
    return found


def await_ends(pids: list[int], what: str) -> None:
    """Until none of these processes is left; raises AssertionError."""
    with ExitStack() as stack:
        handles = []
        for pid in pids:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            stack.callback(os.close, handle)
            handles.append(handle)
        for handle in handles:
            assert select.select([handle], [], [], LIMIT)[0], what


@contextmanager
def lab(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command whose temporary files are in the folder; it is killed at the end."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-P", "-m", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True) as it:
        try:
            yield it
        finally:
            it.kill()


def await_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return
    pytest.fail(f"it has ended: {''.join(said)}")


def await_paths(process: subprocess.Popen[str], folder: Path, pattern: str, count: int) -> None:
    while len(list(folder.glob(pattern))) < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(GLANCE)


def kill_and_look(process: subprocess.Popen[str], folder: Path, at_least: int) -> None:
    there = processes(folder, process.pid)
    assert len(there) >= at_least
    process.send_signal(signal.SIGKILL)
    await_ends(there, "a process outlives the lab")
    assert processes(folder, process.pid) == []


@pytest.mark.parametrize("level", REAL)
def test_a_killed_play_leaves_no_process_no_host_and_no_folder(level: Level, tmp_path: Path) -> None:
    if (why := unavailable(level)) is not None:
        pytest.skip(why)
    (tmp_path / "waits.py").write_text(SCENARIO)
    with lab(tmp_path, "nectar_node", "testnet", "play", "waits.py:WAITS", "--level", level.value) as play:
        await_line(play, " now")
        hosts = namespaces.beginning_of(play.pid)
        kill_and_look(play, tmp_path, at_least=5)
    assert [path.name for path in tmp_path.glob("nectar-*")] == []
    listed = Path("/var/run/netns")
    assert not listed.exists() or [name for name in os.listdir(listed) if name.startswith(hosts)] == []


def test_a_killed_chaos_leaves_a_testnet_that_was_down_as_it_found_it(tmp_path: Path) -> None:
    folder = make_network(tmp_path / "testnet", "registrar.nec", "a.nec", "b.nec")
    with lab(tmp_path, *CHAOS, "--dir", str(folder)) as chaos:
        await_paths(chaos, folder, "nodes/*/control.sock", 3)
        kill_and_look(chaos, tmp_path, at_least=5)
    assert [path.name for path in tmp_path.glob("nectar-*")] == []
    assert [path.name for path in folder.rglob("trace*")] == []


@pytest.mark.long
def test_a_killed_chaos_leaves_no_folder_beside_a_testnet_that_runs(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "testnet")
    shell.say("testnet", "up", "--nodes", "a.nec,b.nec", "--detach")
    try:
        with lab(tmp_path, *CHAOS, "--dir", str(shell.folder)) as chaos:
            await_paths(chaos, tmp_path, "nectar-chaos-*/*/chaos-*.bin", 1)
            reapers = processes(tmp_path, chaos.pid, b"testnet.real.reaper")
            assert len(reapers) == 1
            chaos.kill()
            await_ends(reapers, "its reaper is left")
        assert [path.name for path in tmp_path.glob("nectar-*")] == []
    finally:
        shell.say("testnet", "down")


def test_a_killed_up_leaves_nodes_that_ran_before_and_their_links_and_nothing_else(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "testnet")
    network = LocalNetwork(shell.folder)
    shell.say("testnet", "up", "--nodes", "a.nec", "--detach")
    try:
        before = processes(tmp_path, os.getpid())
        with lab(tmp_path, "nectar_node", "testnet", "up", "--nodes", "a.nec,b.nec", "--dir", str(shell.folder)) as up:
            await_line(up, "Ready after")
            NodeProcesses(network).pause("b.nec")
            there = set(processes(tmp_path, up.pid)) - set(before)
            assert len(there) >= 2, "a node, and who ends it"
            up.send_signal(signal.SIGKILL)
            await_ends(list(there), "a process outlives the command")
        assert sorted(processes(tmp_path, os.getpid())) == sorted(before)
        assert LinksProcess(network).left() == ["registrar.nec", "a.nec"]
    finally:
        shell.say("testnet", "down")


@pytest.mark.long
def test_a_killed_pytest_leaves_no_node(tmp_path: Path) -> None:
    (tmp_path / "test_waits.py").write_text(TEST)
    where = ("--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "base"))
    with lab(tmp_path, "pytest", "-s", *QUIET, *where, "test_waits.py") as tests:
        await_line(tests, "now")
        kill_and_look(tests, tmp_path, at_least=4)


def test_a_lab_that_ends_by_itself_keeps_nothing_waiting(tmp_path: Path) -> None:
    with hold_lifeline(tmp_path / "testnet", (tmp_path,)):
        while not processes(tmp_path, os.getpid()):
            time.sleep(GLANCE)  # a process has no command line yet in the moment in which it begins
    assert processes(tmp_path, os.getpid()) == []
    assert tmp_path.is_dir()


def fails_with(folder: Path, temporary: Sequence[Path], nodes: LocalTestnet | None = None) -> None:
    """A lab that starts a.nec in the folder, pauses it, and fails."""

    def fail() -> None:
        with hold_lifeline(folder, temporary) as lifeline:
            if nodes is not None:
                mine = LocalTestnet(folder, nodes.options, lifeline=lifeline)
                mine.add("a.nec")
                mine.pause("a.nec")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_what_an_error_leaves_is_removed_before_the_error_is_told_but_what_others_have_started(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path / "testnet", BootOptions(packages=())) as nodes:
        nodes.start()
        fails_with(nodes.folder, (), nodes)
        assert nodes.pid("a.nec") is None
        assert nodes.status("registrar.nec")["name"] == "registrar.nec"


def test_of_what_is_temporary_folders_and_pipes_go_and_a_file_stays(tmp_path: Path) -> None:
    folder, pipe, file = temporary = [tmp_path / name for name in ("folder", "pipe", "file")]
    folder.mkdir()
    os.mkfifo(pipe)
    file.touch()
    fails_with(tmp_path / "testnet", temporary)
    assert list(tmp_path.iterdir()) == [file]


def test_nodes_end_with_their_lifeline_also_when_a_fault_has_killed_them_before_and_others_outlive_it(
    tmp_path: Path,
) -> None:
    reading, writing = os.pipe()
    with LocalTestnet(tmp_path / "testnet", BootOptions(packages=())) as nodes:
        nodes.start()
        LocalTestnet(nodes.folder, nodes.options, lifeline=reading).add("a.nec")
        nodes.kill("a.nec")
        assert NodeProcesses(nodes.network, lifeline=reading).start("a.nec") is not None
        pid = nodes.pid("a.nec")
        assert pid is not None
        os.close(writing)
        await_ends([pid], "a.nec does not end")
        assert nodes.pid("registrar.nec") is not None
        assert "the process that started this node is gone, so the node ends" in nodes.log("a.nec")
        assert not nodes.place("a.nec").control.exists(), "it has ended in order"
    os.close(reading)


@pytest.mark.parametrize("descriptor", sample(["99", "-1", "99999999999"]))
def test_a_lifeline_that_is_none_is_one_sentence(descriptor: str, tmp_path: Path) -> None:
    words = ["registrar.nec", str(tmp_path), f"--lifeline={descriptor}"]
    ended = boot_child(words, encode_told(DEFAULT_OPTIONS))
    assert (ended.returncode, ended.stderr) == (
        2,
        f"Descriptor {descriptor} is not open, so it cannot be a lifeline.\n".encode(),
    )
