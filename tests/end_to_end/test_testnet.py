"""Testnets come up, stay apart, and leave nothing behind."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GENESIS_FILE, REGISTRAR_NAME
from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import SENDER, Lab, command, nectar, random_file
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


def test_up_status_and_down(fresh: Path) -> None:
    up = nectar("testnet", "up", "--nodes", "a.nec,b.nec", "--detach", "--json", folder=fresh)
    assert up.returncode == 0, up.stderr
    started = {node["name"]: node for node in json.loads(up.stdout)["nodes"]}
    assert started.keys() == {REGISTRAR_NAME, "a.nec", "b.nec"}

    shown = json.loads(nectar("testnet", "status", "--json", folder=fresh).stdout)
    status, links = shown["nodes"], shown["links"]
    assert (links["state"], runs(links["pid"])) == ("running", True)
    assert [node["name"] for node in status] == [REGISTRAR_NAME, "a.nec", "b.nec"]
    for node in status:
        assert node["state"] == "running"
        assert (node["pid"], node["endpoint"]) == (started[node["name"]]["pid"], started[node["name"]]["endpoint"])
        assert stat_mode(fresh / "nodes" / node["name"] / "control.sock") == 0o600

    again = nectar("testnet", "up", folder=fresh)
    assert again.returncode == 1
    assert "runs already" in again.stderr

    down = nectar("testnet", "down", "--json", folder=fresh)
    assert set(json.loads(down.stdout)["ended"].values()) == {"stopped"}
    assert_nothing_is_left(fresh, [*(node["pid"] for node in status), links["pid"]])


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def assert_nothing_is_left(folder: Path, pids: list[int]) -> None:
    assert not [pid for pid in pids if runs(pid)]
    assert not [path for path in folder.rglob("*") if path.is_socket()]


def runs(pid: int) -> bool:
    """Whether the process `pid` is there, and no mere zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_down_after_a_crash_of_everything_leaves_nothing_behind(fresh_network: LocalTestnet) -> None:
    fresh_network.start(["a.nec"])
    pids = [pid for name in (REGISTRAR_NAME, "a.nec") if (pid := fresh_network.pid(name)) is not None]
    for name in (REGISTRAR_NAME, "a.nec"):
        fresh_network.kill(name)
    assert nectar("testnet", "down", folder=fresh_network.folder).returncode == 0
    assert_nothing_is_left(fresh_network.folder, pids)


def test_keys_and_endpoint_of_the_registrar_survive_a_crash(fresh_network: LocalTestnet) -> None:
    fresh_network.start(["a.nec"])
    genesis = (fresh_network.folder / "testnet.json").read_bytes()
    for name in (REGISTRAR_NAME, "a.nec"):
        fresh_network.kill(name)
    fresh_network.start(["a.nec"])
    assert (fresh_network.folder / "testnet.json").read_bytes() == genesis
    assert fresh_network.status("a.nec")["name"] == "a.nec"


def test_a_second_testnet_beside_the_first_just_works(lab: Lab, fresh_network: LocalTestnet, tmp_path: Path) -> None:
    fresh_network.start(["send.nec", "recv.nec"])
    file = random_file(tmp_path / "beside.bin", 1000)
    ended = nectar("send", file, "--from", "send.nec", "--to", "recv.nec", "--json", folder=fresh_network.folder)
    assert ended.returncode == 0, ended.stderr
    assert Path(json.loads(ended.stdout)["host_path"]).is_relative_to(fresh_network.folder)
    assert "beside.bin" not in lab.arrived()


def test_in_the_foreground_up_shows_the_logs_and_ctrl_c_takes_everything_down(fresh: Path) -> None:
    arguments = command("testnet", "up", "--nodes", "a.nec", folder=fresh)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        lines = iter(up.stdout.readline, "")
        assert any(line.startswith("Ready after") for line in lines)
        assert any(line.startswith("a.nec         | ") for line in lines)
        status = json.loads(nectar("testnet", "status", "--json", folder=fresh).stdout)
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=LIMIT)
    assert up.returncode == 0
    assert_nothing_is_left(fresh, [*(node["pid"] for node in status["nodes"]), status["links"]["pid"]])


def test_up_that_cannot_start_a_node_leaves_no_links_behind(used_network: LocalTestnet) -> None:
    used_network.place("a.nec").key.write_bytes(b"garbage")
    assert_one_sentence(nectar("testnet", "up", "--detach", folder=used_network.folder))
    links = used_network.folder / "links"
    assert (links / "log").exists()
    assert NodeFolder(links).owner() is None
    assert_nothing_is_left(used_network.folder, [])


def test_a_node_joins_later(lab: Lab) -> None:
    ended = nectar("boot", "later.nec", "--join", lab.folder, "--detach")
    try:
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(f"later.nec runs as process {lab.nodes.pid('later.nec')} on 127.0.0.1:")
        greeted = lab.nectar("message", f"{SENDER}@hello:hello:sys", '{"Greet": "later"}', "--node", "later.nec")
        assert greeted.returncode == 0, greeted.stderr
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
        ended = nectar("boot", SENDER, "--join", elsewhere)
    assert_one_sentence(ended)
    assert SENDER in ended.stderr
    assert "taken" in ended.stderr


def test_a_port_in_use_is_one_sentence(lab: Lab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, same_network(lab, tmp_path / "elsewhere") as elsewhere:
        port = other.getsockname()[1]
        ended = nectar("boot", "x.nec", "--join", elsewhere, "--port", str(port))
    assert_one_sentence(ended)
    assert str(port) in ended.stderr


def test_a_damaged_key_is_one_sentence_and_is_not_replaced(used_network: LocalTestnet) -> None:
    key = used_network.place("a.nec").key
    key.write_bytes(b"garbage")
    assert_one_sentence(nectar("boot", "a.nec", "--join", used_network.folder))
    assert key.read_bytes() == b"garbage"


def test_a_registrar_whose_names_are_damaged_does_not_start_and_gives_no_name_away(used_network: LocalTestnet) -> None:
    (used_network.place(REGISTRAR_NAME).records / "names").write_bytes(b"garbage")
    ended = nectar("boot", REGISTRAR_NAME, "--join", used_network.folder)
    assert_one_sentence(ended)
    assert "cannot use its names" in ended.stderr


def test_a_node_whose_kept_records_are_damaged_asks_for_them_again(used_network: LocalTestnet) -> None:
    (used_network.place("a.nec").records / "names").write_bytes(b"garbage")
    used_network.start(["a.nec"])
    assert "are not used" in used_network.log("a.nec")
    assert used_network.status("a.nec")["name"] == "a.nec"


def test_a_damaged_genesis_file_is_written_anew_and_nothing_is_lost(used_network: LocalTestnet) -> None:
    key = used_network.place("a.nec").key.read_bytes()
    (used_network.folder / GENESIS_FILE).write_text("{")
    used_network.start(["a.nec"])
    assert used_network.place("a.nec").key.read_bytes() == key
    assert used_network.message("a.nec", "our@hello:hello:sys", '{"Greet": "x"}')["outcome"] == "response"


def test_a_lost_key_does_not_get_its_name_back(used_network: LocalTestnet) -> None:
    used_network.start()
    used_network.place("a.nec").key.unlink()
    ended = nectar("boot", "a.nec", "--join", used_network.folder)
    assert_one_sentence(ended)
    assert "a.nec" in ended.stderr


def test_a_detached_node_that_nobody_can_find_yet_says_why(fresh_network: LocalTestnet) -> None:
    fresh_network.start([])
    fresh_network.kill(REGISTRAR_NAME)
    ended = nectar("boot", "a.nec", "--detach", "--no-packages", folder=fresh_network.folder)
    assert ended.returncode == 0
    assert ended.stdout.startswith("a.nec runs as process ")
    assert ended.stderr.startswith("The registrar does not answer, so nobody new can find a.nec")


def test_a_detached_node_that_cannot_start_says_why(lab: Lab) -> None:
    ended = nectar("boot", SENDER, "--join", lab.folder, "--detach")
    assert_one_sentence(ended)
    assert f"{SENDER} is running already, as process {lab.nodes.pid(SENDER)}" in ended.stderr


def assert_one_sentence(ended: subprocess.CompletedProcess[str]) -> None:
    assert ended.returncode in (1, 2), ended
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_a_node_booted_in_the_foreground_ends_in_order_at_ctrl_c(fresh_network: LocalTestnet) -> None:
    fresh_network.start()
    arguments = command("boot", "a.nec", "--join", fresh_network.folder)
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as node:
        until(lambda: fresh_network.place("a.nec").control.exists())
        node.send_signal(signal.SIGINT)
        _, err = node.communicate(timeout=LIMIT)
    assert (node.returncode, err) == (0, b"")
    assert not fresh_network.place("a.nec").control.exists()
