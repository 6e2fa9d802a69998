"""Nodes that are copies of a process which has loaded their modules: as if each had been started by itself."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import fork_server, forked
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.forked import ForkedProcess, Forking, forking
from testnet.real.local import LocalTestnet
from testnet.real.nodes import namespaces
from tests.nectar_node.launcher import told_program
from tests.waiting import until

LIMIT = 60.0
"""Seconds, for a machine that is busy."""


@pytest.fixture(scope="module")
def server() -> Iterator[Forking]:
    server = Forking()
    yield server
    server.close()


class Program:
    """`told_program`, started by a server."""

    def __init__(
        self, server: Forking, log: Path, *words: str, given: Mapping[str, int] | None = None, **environment: str
    ) -> None:
        with open(log, "wb") as file:
            process = server.start(told_program.__name__, given or {}, words, file.fileno(), environment)
        assert process is not None
        self.process: ForkedProcess = process
        self.log = log

    def told(self) -> Any:
        """What it has said of itself."""
        until(lambda: self.log.read_text().endswith("\n"))
        return json.loads(self.log.read_text())

    def end(self, how: object) -> int:
        """Tell it how to end, and return how it did."""
        assert self.process.stdin is not None
        with self.process.stdin as pipe:
            pipe.write(str(how).encode())
        return self.process.wait(LIMIT)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_it_has_the_words_folder_environment_and_descriptors_that_it_is_given_and_no_others(
    server: Forking, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reading, writing = os.pipe()
    others = [Program(server, tmp_path / str(index)) for index in range(2)]
    program = Program(server, log, "--help", "a b", given={"--given": writing}, MARK="here", PATH="\udcff")
    os.close(writing)
    told = program.told()
    assert told["words"] == ["--help", "a b"]
    assert told["folder"] == str(tmp_path)
    assert told["environment"] == {"MARK": "here", "PATH": "\udcff"}
    with open(reading, "rb") as pipe:
        assert pipe.read(5) == b"given"
    assert program.end(0) == 0
    files = {name: what for name, what in told["descriptors"].items() if name not in ("0", "1", "2")}
    assert [what.partition(":")[0] for what in files.values()] == ["pipe"]
    assert [each.end(0) for each in others] == [0, 0]


def test_it_is_a_process_of_its_own_with_its_own_command_line_and_session(server: Forking, tmp_path: Path) -> None:
    programs = [Program(server, tmp_path / name, name) for name in ("a.nec", "b.nec")]
    for program, name in zip(programs, ("a.nec", "b.nec"), strict=True):
        told = program.told()
        assert told["session"] == program.process.pid != os.getsid(0)
        assert told["command"] == fork_server.command(told_program.__name__, ["--", name])
    assert programs[0].told()["random"] != programs[1].told()["random"]
    assert [each.end(0) for each in programs] == [0, 0]


@pytest.mark.long
@pytest.mark.skipif(namespaces.unavailable() is not None, reason="only where there are namespaces")
def test_a_node_on_a_host_of_its_own_is_a_copy_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "_servers", {})
    with namespaces.Namespaces() as hosts, LocalTestnet(tmp_path / "net", BootOptions(packages=())) as nodes:
        hosts.add("a.nec")
        prefix = tuple(hosts.command("a.nec"))
        nodes.boot({REGISTRAR_NAME: BootOptions(packages=(), prefix=prefix)})
        nodes.boot({name: BootOptions(packages=(), prefix=prefix) for name in ("a.nec", "b.nec")})
        (server,) = forked._servers.values()
        node = nodes.pid("a.nec")
        assert _parent(_parent(node)) == server.pid
        assert os.stat(f"/proc/{node}/ns/net").st_ino == os.stat(Path("/run/netns", prefix[-1])).st_ino
    forked.close_all()


@pytest.mark.parametrize(("how", "code"), [(0, 0), (7, 7), ("raise", 1), (-signal.SIGKILL, -9), (-signal.SIGTERM, -15)])
def test_how_it_ends_is_told(server: Forking, log: Path, how: object, code: int) -> None:
    program = Program(server, log)
    assert program.process.poll() is None
    assert program.end(how) == code == program.process.poll() == program.process.returncode
    assert ("ValueError: as told" in log.read_text()) == (how == "raise")


@pytest.mark.parametrize(("act", "code"), [("terminate", -15), ("kill", -9)])
def test_it_can_be_waited_for_and_ended(server: Forking, log: Path, act: str, code: int) -> None:
    program = Program(server, log)
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(0.01)
    program.told()
    getattr(program.process, act)()
    assert program.process.wait(LIMIT) == code
    getattr(program.process, act)()  # as with others, nothing happens


def test_a_command_line_that_could_not_be_shown_is_for_others_to_start(server: Forking, log: Path) -> None:
    with open(log, "wb") as file:
        assert server.start(told_program.__name__, {}, ["x" * 20_000], file.fileno(), {}) is None
        assert server.start(told_program.__name__, {}, [], file.fileno(), {"MARK": "x" * 900_000}) is None
    assert Program(server, log).end(0) == 0


def test_a_process_with_threads_is_not_copied() -> None:
    going = threading.Event()
    thread = threading.Thread(target=going.wait)
    thread.start()
    assert not fork_server.may_fork()
    going.set()
    thread.join()


def test_other_limits_are_those_of_another_server(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    monkeypatch.setattr(forked, "_servers", {})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert forking(1) is None
    usual = forking(2)
    assert usual is not None
    assert forking(1) is usual
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        assert forking(1) is None
        other = forking(2)
        assert other is not None
        program = Program(other, log)
        assert program.told()["files"] == soft - 1
        assert program.end(0) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    monkeypatch.setenv("LANG", "xx")
    assert forking(1) is None
    monkeypatch.setenv("LANG", "xy")
    assert forking(2) is not None
    monkeypatch.setenv("LANG", "xz")
    assert forking(2) is None, "more servers than there may be"
    forked.close_all()


def test_after_its_server_was_killed_a_process_goes_on_and_can_be_waited_for(log: Path) -> None:
    server = Forking()
    program = Program(server, log)
    program.told()
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not server.serves)
    assert program.process.poll() is None
    with open(log, "wb") as file:
        assert server.start(told_program.__name__, {}, [], file.fileno(), {}) is None
    program.process.kill()
    assert program.process.wait(LIMIT) == 1
    server.close()


STARTER = """
import os, sys
from nectar_node.launcher.forked import Forking
server = Forking()
if os.fork() == 0:
    assert not server.serves
    sys.stdin.read()  # and holds the socket open
    os._exit(0)
with open(os.devnull, "wb") as log:
    program = server.start("tests.nectar_node.launcher.told_program", {}, [], log.fileno(), {})
print(server.pid, program.pid, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_its_starter_also_by_kill_and_what_it_has_started_does_not() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        server, program = map(int, starter.stdout.readline().split())
        watched = os.pidfd_open(server)
        starter.kill()
    assert select.select([watched], [], [], LIMIT)[0]
    os.close(watched)
    until(lambda: not Path(f"/proc/{program}").exists())  # its input has ended, and is not a number


def test_the_nodes_of_a_testnet_are_copies_and_run_on_when_one_of_them_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked, "_servers", {})
    with LocalTestnet(tmp_path / "net", BootOptions(packages=())) as nodes:
        nodes.start(["a.nec"])
        (server,) = forked._servers.values()
        supervisors = {name: _parent(nodes.status(name)["pid"]) for name in (REGISTRAR_NAME, "a.nec")}
        assert {_parent(each) for each in supervisors.values()} == {server.pid}
        nodes.kill("a.nec")
        assert nodes.status(REGISTRAR_NAME)["pid"] == nodes.pid(REGISTRAR_NAME)
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.serves)
        nodes.add("a.nec")
        assert _parent(_parent(nodes.status("a.nec")["pid"])) == os.getpid(), "loaded by itself"
    forked.close_all()


def _parent(pid: object) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
