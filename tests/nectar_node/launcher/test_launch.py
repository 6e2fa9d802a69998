"""How nodes are stopped, with small processes that hold a node's lock; `tests/end_to_end` starts real ones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.base.errors import BadInput, CannotStart
from nectar_node.base.folder import NodeFolder
from nectar_node.cli.main import main
from nectar_node.contract.config import GENESIS_FILE, LOOPBACK, REGISTRAR_NAME
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, BootOptions, kept_options
from nectar_node.launcher.launch import CannotStop, decode_report_untrusted, parse_names
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.client import LinksProcess
from testnet.real.local import LocalTestnet
from tests.waiting import until

_HOLD = """
import pathlib, signal, sys
from nectar_node.base.folder import NodeFolder
folder = NodeFolder(pathlib.Path(sys.argv[1]))
folder.create()
folder.acquire()
folder.control.touch()
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


@contextmanager
def lock_holder(folder: Path, manner: str = "obedient") -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of the node in `folder`, and has made its control socket."""
    command = [sys.executable, "-c", _HOLD, str(folder), manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_node_is_asked_to_stop(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path / "a.nec")
    with lock_holder(folder.path) as process:
        assert launch.stop([folder]) == {"a.nec": "stopped"}
        assert process.wait() == -signal.SIGTERM


def test_a_node_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path / "a.nec")
    with lock_holder(folder.path, "stubborn") as process:
        assert launch.stop([folder], grace=0.01) == {"a.nec": "killed"}
        assert process.wait() == -signal.SIGKILL


def test_what_a_crash_left_behind_is_removed(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path / "a.nec")
    with lock_holder(folder.path):
        assert launch.kill(folder)
        assert folder.control.exists()
        assert launch.stop([folder]) == {}
        assert not folder.control.exists()


def test_a_process_that_a_lock_names_but_that_does_not_hold_it_is_left_alone(tmp_path: Path) -> None:
    there, elsewhere = NodeFolder(tmp_path / "there"), NodeFolder(tmp_path / "elsewhere")
    with lock_holder(there.path) as node, lock_holder(elsewhere.path), lock_holder(tmp_path / "c.nec") as other:
        elsewhere.lock.write_text(str(other.pid))
        with pytest.raises(CannotStop, match=f"^elsewhere is out of reach: process {other.pid}, which its lock names"):
            launch.stop([elsewhere, there])
        assert node.wait() == -signal.SIGTERM
        for out_of_reach in (launch.kill, lambda folder: launch.send_signal(folder, signal.SIGKILL)):
            with pytest.raises(CannotStop):
                out_of_reach(elsewhere)
        assert other.poll() is None


def test_several_nodes_are_stopped_at_once(tmp_path: Path) -> None:
    folders = [NodeFolder(tmp_path / name) for name in ("a.nec", "b.nec", "c.nec")]
    with lock_holder(folders[0].path), lock_holder(folders[2].path, "stubborn"):
        assert launch.stop(folders, grace=0.01).keys() == {"a.nec", "c.nec"}
    assert [folder.owner() for folder in folders] == [None, None, None]


def test_a_report_is_an_endpoint_or_a_sentence() -> None:
    assert decode_report_untrusted(b'{"endpoint": ["127.0.0.1", 80], "warning": null}\n') == (("127.0.0.1", 80), None)
    assert decode_report_untrusted(b'{"endpoint": ["::1", 80], "warning": "Wait."}\n') == (("::1", 80), "Wait.")
    assert decode_report_untrusted(b'{"error": "The name is taken."}\n') == "The name is taken."


@given(st.binary() | st.sampled_from([b"[]", b'{"endpoint": [1, 2]}', b"[" * 10**5, b'{"error": {}}']))
def test_no_report_causes_another_error(line: bytes) -> None:
    with contextlib.suppress(CannotStart):
        decode_report_untrusted(line)


def test_a_list_of_names_has_no_repetitions_no_blanks_and_some_name() -> None:
    assert parse_names(" a.nec,b.nec,,a.nec ") == ["a.nec", "b.nec"]
    with pytest.raises(BadInput, match="at least one node"):
        parse_names(" , ")


def test_a_start_that_cannot_be_remembered_leaves_no_node(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path)
    boot = network.place(REGISTRAR_NAME).boot
    boot.with_name(".boot.json.new").mkdir(parents=True)
    with pytest.raises(CannotStart, match=f"registrar.nec cannot keep its options: {boot}: Is a directory"):
        launch.start(
            network, [(REGISTRAR_NAME, BootOptions(packages=(), prefix=(*told_apart(tmp_path), "passed over")))]
        )
    until(lambda: has_ended(int((tmp_path / "pid").read_text())))


UNFIT = ("--http", "0", "--tls", f"{__file__},{__file__}")
"""Options of a node that cannot start: there is neither certificate nor key."""


@pytest.mark.parametrize("manner", [(), pytest.param(("--once",), marks=pytest.mark.long)], ids=["supervised", "once"])
def test_the_options_of_a_boot_that_has_failed_are_not_those_of_the_next(
    tmp_path: Path, manner: tuple[str, ...]
) -> None:
    boot = (sys.executable, "-m", "nectar_node", "boot", REGISTRAR_NAME, "--join", str(tmp_path))
    failed = subprocess.run([*boot, *manner, *UNFIT], capture_output=True, text=True, check=False)
    assert (failed.returncode, "cannot be used for --tls" in failed.stderr) == (1, True)
    assert kept_options(LocalNetwork(tmp_path).place(REGISTRAR_NAME)) == DEFAULT_OPTIONS
    assert not (tmp_path / GENESIS_FILE).exists()


def test_a_node_that_runs_keeps_the_options_it_was_given_and_those_that_a_later_boot_has_failed_with_are_not_added(
    tmp_path: Path,
) -> None:
    network = LocalNetwork(tmp_path)
    folder, given = network.place(REGISTRAR_NAME), BootOptions(packages=(), reservations=7)
    launch.start(network, [(REGISTRAR_NAME, given)])
    try:
        assert kept_options(folder) == replace(given, invite_only=False)
    finally:
        launch.stop([folder])
    words = ["boot", REGISTRAR_NAME, "--detach", "--join", str(tmp_path)]
    assert main([*words, "--reservations", "8", *UNFIT]) == 1
    assert kept_options(folder) == replace(given, invite_only=False)
    try:
        assert main(words) == 0
    finally:
        launch.stop([folder])


def test_a_node_that_serves_browsers_says_where_as_soon_as_it_runs(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path)
    folder = network.place(REGISTRAR_NAME)
    launch.start(network, [(REGISTRAR_NAME, BootOptions(packages=(), http=(LOOPBACK, 0)))])
    try:
        with network.connect(REGISTRAR_NAME) as client:
            url = client.ask("status")["http"]
        assert f"http: browsers reach registrar.nec at {url}\n" in folder.log.read_text()
    finally:
        launch.stop([folder])


def test_a_folder_may_be_called_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalTestnet(Path("--help"), BootOptions(packages=())) as nodes:
        links = LinksProcess(nodes.network)
        assert links.start()
        nodes.start()
        assert links.stop() == "stopped"
    assert (tmp_path / "--help" / "testnet.json").is_file()


def test_a_start_that_is_interrupted_while_the_node_is_told_how_to_boot_leaves_none(tmp_path: Path) -> None:
    prefix = (*told_apart(tmp_path, "kill -INT $PPID"), "x" * MORE)
    with pytest.raises(KeyboardInterrupt):
        launch.start(LocalNetwork(tmp_path), [(REGISTRAR_NAME, BootOptions(packages=(), prefix=prefix))])
    until(lambda: has_ended(int((tmp_path / "pid").read_text())))


MORE = 100_000
"""Bytes; more than a pipe holds, so that who writes them waits for who reads them."""


def told_apart(folder: Path, then: str = "") -> tuple[str, ...]:
    """A prefix that writes down the process id; it passes over one more word."""
    return "/bin/sh", "-c", f'echo $$ > "$0"; shift; {then}\nexec "$@"', str(folder / "pid")


def has_ended(pid: int) -> bool:
    """A child of ours, which may have been waited for already."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
