"""Testnets come up, stay apart, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GENESIS_FILE, REGISTRAR_NAME
from testnet.real.local import LocalTestnet
from tests.commands import Ended, nectar
from tests.end_to_end.lab import RECEIVER, SENDER, Lab, command, random_file
from tests.waiting import LIMIT, until


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a testnet that has run, with a registrar and a.nec."""
    folder = tmp_path_factory.mktemp("template") / "testnet"
    with LocalTestnet(folder) as network:
        network.start(["a.nec"])
    return folder


@pytest.fixture
def used_network(template: Path, fresh_network: LocalTestnet) -> LocalTestnet:
    """The same testnet in a folder of one's own; nothing runs."""
    shutil.copytree(template, fresh_network.folder)
    return fresh_network


def test_up_status_and_down_beside_another_testnet(lab: Lab, fresh: Path, tmp_path: Path) -> None:
    """All that it makes is for its user alone, whatever the umask."""
    before = os.umask(0)
    try:
        up = nectar("testnet", "up", "--nodes", f"{SENDER},{RECEIVER}", "--detach", "--json", folder=fresh)
    finally:
        os.umask(before)
    assert up.code == 0, up.err
    started = {node["name"]: node for node in up.json["nodes"]}
    assert started.keys() == {REGISTRAR_NAME, SENDER, RECEIVER}
    made = {path: stat.S_IMODE(path.lstat().st_mode) for path in (fresh, *fresh.rglob("*"))}
    assert [(path, oct(mode)) for path, mode in made.items() if mode & 0o077] == []
    assert {fresh / GENESIS_FILE, fresh / "links" / "lock"} <= made.keys()

    shown = nectar("testnet", "status", "--json", folder=fresh).json
    status, links = shown["nodes"], shown["links"]
    assert (links["state"], runs(links["pid"])) == ("running", True)
    assert {node["name"] for node in status} == started.keys()
    for node in status:
        assert node["state"] == "running"
        assert (node["pid"], node["endpoint"]) == (started[node["name"]]["pid"], started[node["name"]]["endpoint"])
        assert made[fresh / "nodes" / node["name"] / "control.sock"] == 0o600

    file = random_file(tmp_path / "beside.bin", 1000)
    sent = nectar("send", file, "--from", SENDER, "--to", RECEIVER, "--json", folder=fresh)
    assert Path(sent.json["host_path"]).is_relative_to(fresh)
    assert "beside.bin" not in lab.arrived()

    again = nectar("testnet", "up", folder=fresh)
    assert (again.code, "runs already" in again.err) == (1, True)
    down = nectar("testnet", "down", "--json", folder=fresh)
    assert set(down.json["ended"].values()) == {"stopped"}
    assert_nothing_is_left(fresh, [*(node["pid"] for node in status), links["pid"]])


def assert_nothing_is_left(folder: Path, pids: list[int]) -> None:
    assert not [pid for pid in pids if runs(pid)]
    assert not [path for path in folder.rglob("*") if path.is_socket()]


def runs(pid: int) -> bool:
    """Whether the process `pid` is there, and no mere zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_keys_and_endpoint_of_the_registrar_survive_a_crash_and_down_after_another_leaves_nothing_behind(
    used_network: LocalTestnet,
) -> None:
    genesis, pids = used_network.folder / GENESIS_FILE, []
    before = genesis.read_bytes()
    for names in ((REGISTRAR_NAME, "a.nec"), (REGISTRAR_NAME,)):
        used_network.start(names)
        assert genesis.read_bytes() == before
        pids += [pid for name in names if (pid := used_network.pid(name)) is not None]
        for name in names:
            used_network.kill(name)
    assert nectar("testnet", "down", folder=used_network.folder).code == 0
    assert_nothing_is_left(used_network.folder, pids)


def test_in_the_foreground_up_shows_the_logs_and_ctrl_c_takes_everything_down(fresh: Path) -> None:
    arguments = command("testnet", "up", "--nodes", "a.nec", folder=fresh)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        lines = iter(up.stdout.readline, "")
        assert any(line.startswith("Ready after") for line in lines)
        assert any(line.startswith("a.nec         | ") for line in lines)
        status = nectar("testnet", "status", "--json", folder=fresh).json
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=LIMIT)
    assert up.returncode == 0
    assert_nothing_is_left(fresh, [*(node["pid"] for node in status["nodes"]), status["links"]["pid"]])


def test_up_that_cannot_start_a_node_leaves_no_links_behind(used_network: LocalTestnet) -> None:
    used_network.place("a.nec").key.write_bytes(b"garbage")
    refusal("testnet", "up", "--detach", "--dir", used_network.folder)
    links = used_network.folder / "links"
    assert (links / "log").exists()
    assert NodeFolder(links).owner() is None
    assert_nothing_is_left(used_network.folder, [])


def test_a_node_joins_later(lab: Lab) -> None:
    ended = nectar("boot", "later.nec", "--join", lab.folder, "--detach")
    try:
        assert ended.code == 0, ended.err
        assert ended.out.startswith(f"later.nec runs as process {lab.nodes.pid('later.nec')} on 127.0.0.1:")
        greeted = lab.nectar("message", f"{SENDER}@hello:hello:sys", '{"Greet": "later"}', "--node", "later.nec")
        assert greeted.code == 0, greeted.err
    finally:
        lab.nodes.stop("later.nec")


@contextmanager
def same_network(lab: Lab, folder: Path) -> Iterator[Path]:
    """A second folder for nodes of the same network, as on another host."""
    folder.mkdir()
    shutil.copy(lab.folder / "testnet.json", folder)
    yield folder
    LocalTestnet(folder).close()


def test_a_name_that_is_taken_is_refused(lab: Lab, tmp_path: Path) -> None:
    with same_network(lab, tmp_path / "elsewhere") as elsewhere:
        said = refusal("boot", SENDER, "--join", elsewhere, "--detach")
    assert (SENDER in said, "taken" in said) == (True, True)


def test_a_port_in_use_is_one_sentence(lab: Lab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, same_network(lab, tmp_path / "elsewhere") as elsewhere:
        port = str(other.getsockname()[1])
        assert port in refusal("boot", "x.nec", "--join", elsewhere, "--port", port, "--detach")


def test_a_damaged_key_is_one_sentence_also_in_the_foreground_and_is_not_replaced(used_network: LocalTestnet) -> None:
    key = used_network.place("a.nec").key
    key.write_bytes(b"garbage")
    boot = command("boot", "a.nec", "--join", used_network.folder)
    ended = subprocess.run(boot, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended
    assert key.read_bytes() == b"garbage"


def test_a_registrar_whose_names_are_damaged_does_not_start_and_gives_no_name_away(used_network: LocalTestnet) -> None:
    used_network.place(REGISTRAR_NAME).store.write_bytes(b"garbage")
    said = refusal("boot", REGISTRAR_NAME, "--join", used_network.folder, "--detach")
    assert "store is damaged" in said


def test_a_damaged_genesis_file_is_written_anew(used_network: LocalTestnet) -> None:
    key = used_network.place("a.nec").key.read_bytes()
    (used_network.folder / GENESIS_FILE).write_text("{")
    used_network.start(["a.nec"])
    assert used_network.place("a.nec").key.read_bytes() == key
    assert used_network.message("a.nec", "our@hello:hello:sys", '{"Greet": "x"}')["outcome"] == "response"


def test_a_lost_key_does_not_get_its_name_back(used_network: LocalTestnet) -> None:
    used_network.start()
    used_network.place("a.nec").key.unlink()
    assert "a.nec" in refusal("boot", "a.nec", "--join", used_network.folder, "--detach")


def test_a_detached_node_that_nobody_can_find_yet_says_why(used_network: LocalTestnet) -> None:
    ended = nectar("boot", "a.nec", "--detach", "--no-packages", folder=used_network.folder)
    assert ended.code == 0
    assert ended.out.startswith("a.nec runs as process ")
    assert ended.err.startswith("The registrar does not answer, so nobody new can find a.nec")


def test_a_detached_node_that_cannot_start_says_why(lab: Lab) -> None:
    said = refusal("boot", SENDER, "--join", lab.folder, "--detach")
    assert f"{SENDER} is running already, as process {lab.nodes.pid(SENDER)}" in said


def refusal(*words: str | Path) -> str:
    """The one sentence with which a command is refused."""
    ended: Ended = nectar(*words)
    assert ended.code in (1, 2), ended
    assert len(ended.err.splitlines()) == 1, ended.err
    return ended.err


def test_a_node_booted_in_the_foreground_ends_in_order_at_ctrl_c(lab: Lab) -> None:
    arguments, control = command("boot", "front.nec", "--join", lab.folder), lab.nodes.place("front.nec").control
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as node:
        until(control.exists)
        node.send_signal(signal.SIGINT)
        _, err = node.communicate(timeout=LIMIT)
    assert (node.returncode, err) == (0, b"")
    assert not control.exists()
