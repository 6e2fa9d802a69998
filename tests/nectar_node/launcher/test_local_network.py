"""What is found in a testnet's folder, and what people are told when it is not there."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotJoin, NotRunning
from nectar_node.launcher import client
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from tests.nectar_node.cli.served_node import make_network, serve_node


def test_nodes_are_listed_with_the_registrar_first_and_those_that_do_not_run_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotJoin, match=rf"no testnet in {tmp_path}.*`nectar testnet up --dir {tmp_path}`"):
        LocalNetwork.find(tmp_path)
    network = LocalNetwork.find(make_network(tmp_path, "send.nec", "registrar.nec", "alpha.nec"))
    assert network.names() == ["registrar.nec", "alpha.nec", "send.nec"]
    with pytest.raises(BadInput, match=r"no node sned\.nec .*the nodes here are registrar\.nec, alpha\.nec, send\.nec"):
        network.connect("sned.nec")
    with pytest.raises(NotRunning, match=rf"`nectar boot send\.nec --detach --join {tmp_path}`"):
        network.connect("send.nec")


def test_where_nodes_have_run_without_a_registrar_they_need_their_signed_file(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path)
    network.place("a.nec").path.mkdir(parents=True)  # it has a key, and has never run
    assert network.boot("a.nec") == f"nectar boot a.nec --join {tmp_path}"
    network.place("a.nec").create()
    assert network.boot("a.nec") == f"nectar boot a.nec --directory FILE --authority HEX --join {tmp_path}"


def test_a_socket_that_a_crash_left_behind_is_a_node_that_does_not_run(tmp_path: Path) -> None:
    network = LocalNetwork(make_network(tmp_path, "send.nec"))
    with socket.socket(socket.AF_UNIX) as leftover:
        directory = os.open(network.place("send.nec").path, os.O_PATH)
        leftover.bind(f"/proc/self/fd/{directory}/control.sock")
        os.close(directory)
    with pytest.raises(NotRunning):
        network.connect("send.nec")


def test_a_running_node_whose_socket_is_dead_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.0)
    network = LocalNetwork(make_network(tmp_path, "send.nec"))
    lock = network.place("send.nec").acquire()
    try:
        with pytest.raises(ControlError, match=rf"runs as process {os.getpid()} but does not answer"):
            network.connect("send.nec")
    finally:
        os.close(lock)


def test_a_node_that_boots_is_connected_to_as_soon_as_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_network(tmp_path, "send.nec")
    lock = LocalNetwork(tmp_path).place("send.nec").acquire()
    with ExitStack() as node:

        def get_on(_: float) -> None:
            """While somebody waits, it goes from having its lock to listening."""
            os.close(lock)
            node.enter_context(serve_node(tmp_path, "send.nec", lambda request: {"ok": {"here": True}}))

        monkeypatch.setattr("nectar_node.launcher.local_network.time.sleep", get_on)
        with LocalNetwork(tmp_path).connect("send.nec") as connected:
            assert connected.request("status") == {"here": True}


def test_a_running_node_is_connected_to(tmp_path: Path) -> None:
    make_network(tmp_path)
    answering = serve_node(tmp_path, "send.nec", lambda request: {"ok": {"here": True}})
    with answering, LocalNetwork(tmp_path).connect("send.nec") as client:
        assert client.request("status") == {"here": True}


def test_a_command_line_survives_being_pasted_and_leaves_out_the_usual_folder() -> None:
    network = LocalNetwork(Path("/tmp/my testnet"))
    assert network.command("send", "a b.txt") == "nectar send 'a b.txt' --dir '/tmp/my testnet'"
    assert LocalNetwork(DEFAULT_FOLDER).command("testnet up") == "nectar testnet up"
