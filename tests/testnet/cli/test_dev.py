"""`nectar dev`, on a terminal of its own, with real nodes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.authoring.templates import Language, Template, create
from nectar_node.base.folder import NodeFolder
from tests.commands import nectar

LIMIT = 120.0
"""Seconds after which something is taken never to come."""


class Terminal:
    """`nectar dev` of a package, and what it has shown."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.screen, theirs = pty.openpty()
        command = ["setsid", "--ctty", sys.executable, "-m", "nectar_node", "dev", str(folder), *options]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def sees(self, wanted: str) -> str:
        """Wait until something is shown, and return all up to it; what is shown after it is for the next one."""
        deadline = time.monotonic() + LIMIT
        while wanted not in self.shown:
            assert select.select([self.screen], [], [], max(0, deadline - time.monotonic()))[0], self.shown
            self.shown += os.read(self.screen, 4096).decode("utf-8", "replace")
        before, _, self.shown = self.shown.partition(wanted)
        return before

    def press(self, key: str) -> None:
        os.write(self.screen, key.encode())

    def ends(self) -> int:
        """Wait until it has ended, and return its exit code."""
        self.sees("Ended.")
        return self.process.wait(LIMIT)

    def ask(self, body: str) -> str:
        return nectar("message", "our@greeter:greeter:local", body, "--node", "one.nec", folder=self.net).out

    @property
    def net(self) -> Path:
        return self.folder / ".nectar"

    def left(self) -> list[str]:
        """What runs that has to do with the package, and its network's folder."""
        found = [str(self.net)] if self.net.exists() else []
        for process in Path("/proc").iterdir():
            try:
                words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if str(self.folder) in words:
                found.append(words)
        return found


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Terminal]:
    """A new package in Zig that runs on two nodes."""
    create(tmp_path / "greeter", Language.ZIG, Template.CHAT)
    terminal = Terminal(tmp_path / "greeter")
    try:
        for _ in range(2):
            terminal.sees("runs greeter:local")
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.screen)


@pytest.mark.long
def test_what_is_saved_runs_on_all_nodes_and_what_does_not_compile_is_told(dev: Terminal) -> None:
    source = dev.folder / "src" / "greeter.zig"
    text = source.read_text()
    assert dev.ask('"Lines"') == '{"Lines":[]}\n'
    source.write_text(text.replace("max_lines = 100", "max_lines = lots"))
    assert "src/greeter.zig:20:" in dev.sees("use of undeclared identifier 'lots'")
    assert dev.ask('"Lines"') == '{"Lines":[]}\n'
    source.write_text(text.replace("not a Say", "neither a Say"))
    for _ in range(2):
        dev.sees("runs greeter:local")
    assert "neither a Say" in dev.ask('"x"')
    dev.press("q")
    assert dev.ends() == 0
    assert dev.left() == []


@pytest.mark.long
def test_a_version_that_traps_at_once_is_told_and_the_one_before_runs_on(dev: Terminal) -> None:
    source = dev.folder / "src" / "greeter.zig"
    trap = 'our = address;\n    if (address.node.len > 0) @panic("oops");'
    source.write_text(source.read_text().replace("our = address;", trap))
    for _ in range(2):
        dev.sees("has failed at once")
    assert dev.ask('"Lines"') == '{"Lines":[]}\n'
    dev.press("\x03")
    assert dev.ends() == 0
    assert dev.left() == []


@pytest.mark.long
def test_keys_run_the_tests_set_faults_and_open_the_page(dev: Terminal) -> None:
    dev.press("f")
    dev.sees("p: partition")
    dev.press("p")
    dev.sees("Fault 1 holds for 10 s: partition one.nec from two.nec.")
    dev.press("fe")
    dev.sees("1 fault has ended.")
    dev.press("t")
    dev.sees("3 passed")
    dev.press("fk")
    dev.sees("two.nec is killed, and starts again.")
    dev.press("x")
    assert "runs again" not in dev.sees("t: tests, f: a fault")  # keys are heard meanwhile
    dev.sees("two.nec runs again.")
    dev.press("w")
    dev.sees("/login?link=")
    dev.press("q")
    assert dev.ends() == 0
    assert dev.left() == []


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_it_ends_it_leaves_nothing_behind(dev: Terminal, number: signal.Signals) -> None:
    dev.process.send_signal(number)
    dev.process.wait(LIMIT)
    deadline = time.monotonic() + LIMIT
    while dev.left():
        assert time.monotonic() < deadline, dev.left()
        time.sleep(0.05)


@pytest.mark.long
def test_a_testnet_that_is_there_is_left_alone_and_what_a_crash_has_left_is_removed(tmp_path: Path) -> None:
    create(tmp_path / "greeter", Language.ZIG, Template.CHAT)
    for left in (".nectar", ".nectar-dev"):
        (tmp_path / "greeter" / left / "nodes" / "one.nec").mkdir(parents=True)
        (tmp_path / "greeter" / left / "mine").touch()
    terminal = Terminal(tmp_path / "greeter")
    terminal.sees("and is left alone: for commands to these nodes, say --dir ")
    for _ in range(2):
        terminal.sees("runs greeter:local")
    terminal.press("q")
    assert terminal.ends() == 0
    assert not (tmp_path / "greeter" / ".nectar-dev").exists()
    assert (terminal.net / "mine").exists()
    os.close(terminal.screen)


def test_beside_a_testnet_and_another_nectar_dev_there_is_no_third(tmp_path: Path) -> None:
    create(tmp_path / "greeter", Language.ZIG, Template.ECHO)
    (tmp_path / "greeter" / ".nectar").mkdir()
    one = NodeFolder(tmp_path / "greeter" / ".nectar-dev" / "nodes" / "one.nec")
    one.create()
    lock = one.acquire()
    try:
        ended = nectar("dev", tmp_path / "greeter")
    finally:
        os.close(lock)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "`nectar dev` runs here already" in ended.err


def test_a_folder_that_is_named_and_is_there_is_left_alone(tmp_path: Path) -> None:
    create(tmp_path / "greeter", Language.ZIG, Template.ECHO)
    (tmp_path / "net").mkdir()
    ended = nectar("dev", tmp_path / "greeter", "--dir", tmp_path / "net")
    assert ended.code == 2
    assert "is there already: `nectar dev` makes a testnet of its own." in ended.err
    assert ended.err.count("\n") == 1


def test_what_is_no_package_starts_nothing(tmp_path: Path) -> None:
    ended = nectar("dev", tmp_path)
    assert ended.code == 1
    assert "make one with `nectar new NAME`" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_power_that_a_package_asks_for_later_is_asked_for_in_place(dev: Terminal) -> None:
    manifest = dev.folder / "pkg" / "manifest.json"
    asking = '"request_capabilities": ["kernel:distro:sys"]'
    manifest.write_text(manifest.read_text().replace('"request_capabilities": []', asking))
    dev.sees("to end any process")
    dev.press("x")
    dev.sees("y: grant it, n: run it without")
    dev.press("y")
    for _ in range(2):
        dev.sees("runs greeter:local")
    assert nectar("info", "greeter", "--node", "one.nec", folder=dev.net).out.count("kernel:distro:sys\tyes") == 1
    dev.press("q")
    assert dev.ends() == 0
