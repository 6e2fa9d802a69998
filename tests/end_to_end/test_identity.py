"""Keys that change, a directory without a registrar, and a registrar that is killed, with real processes and files."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
from pathlib import Path

from nectar_node.cli.launch import BootOptions
from nectar_node.config import REGISTRAR_NAME
from testnet.local import LocalTestnet
from tests.end_to_end.lab import LIMIT, command, nectar

GREET = '{"Greet": "x"}'


def greet(network: LocalTestnet, source: str, target: str) -> object:
    """The outcome of a request from one node to another."""
    return network.message(source, f"{target}@hello:hello:sys", GREET)["outcome"]


def shown(network: LocalTestnet, name: str) -> dict[str, object]:
    """The key of a node, as its user sees it."""
    result: dict[str, object] = json.loads(nectar("keys", "show", name, "--json", folder=network.folder).stdout)
    return result


def test_a_node_with_a_new_key_is_accepted_by_a_peer_that_runs_on_without_the_registrar(
    fresh_network: LocalTestnet,
) -> None:
    fresh_network.start(["a.nec", "b.nec"])
    assert greet(fresh_network, "b.nec", "a.nec") == "response"
    before = shown(fresh_network, "a.nec")["public_key"]
    running = nectar("keys", "rotate", "a.nec", folder=fresh_network.folder)
    assert (running.returncode, len(running.stderr.splitlines())) == (1, 1)
    port = fresh_network.endpoint("a.nec")[1]
    fresh_network.stop("a.nec")
    assert nectar("keys", "rotate", "a.nec", folder=fresh_network.folder).returncode == 0
    assert shown(fresh_network, "a.nec")["previous"] == before

    fresh_network.add("a.nec", BootOptions(port=port))
    fresh_network.kill(REGISTRAR_NAME)
    assert greet(fresh_network, "b.nec", "a.nec") == "response"
    assert greet(fresh_network, "a.nec", "b.nec") == "response"
    fresh_network.stop("a.nec")
    after = shown(fresh_network, "a.nec")
    assert (after["previous"], after["public_key"] != before) == (None, True)


def test_names_survive_a_registrar_that_is_killed(fresh_network: LocalTestnet, tmp_path: Path) -> None:
    fresh_network.start(["a.nec"])
    fresh_network.kill(REGISTRAR_NAME)
    fresh_network.stop("a.nec")
    fresh_network.start()
    fresh_network.place("a.nec").key.rename(tmp_path / "key")
    thief = nectar("boot", "a.nec", "--join", fresh_network.folder)
    assert thief.returncode == 1
    assert "taken" in thief.stderr
    (tmp_path / "key").rename(fresh_network.place("a.nec").key)
    fresh_network.start(["a.nec"])


def test_two_nodes_of_a_signed_directory_find_each_other_without_a_registrar(fresh_network: LocalTestnet) -> None:
    folder, file = fresh_network.folder, fresh_network.folder / "directory"
    for name in ("a.nec", "b.nec", "authority.nec"):
        assert nectar("keys", "new", name, "--no-password", folder=folder).returncode == 0
    first, second = free_ports(2)
    nodes = ("--node", f"a.nec=127.0.0.1:{first}", "--node", f"b.nec=127.0.0.1:{second}")
    signed = nectar("directory", "sign", file, "--authority", "authority.nec", *nodes, folder=folder)
    assert signed.returncode == 0, signed.stderr
    authority = str(shown(fresh_network, "authority.nec")["public_key"])
    options = ("--join", folder, "--directory", file, "--authority", authority)
    for name in ("a.nec", "b.nec"):
        booted = nectar("boot", name, "--detach", *options)
        assert booted.returncode == 0, booted.stderr
    assert greet(fresh_network, "a.nec", "b.nec") == "response"
    assert greet(fresh_network, "b.nec", "a.nec") == "response"
    stranger = nectar("boot", "authority.nec", *options)
    assert (stranger.returncode, len(stranger.stderr.splitlines())) == (2, 1)
    assert "does not name authority.nec" in stranger.stderr


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_a_detached_node_with_a_protected_key_gets_the_password_that_its_user_types(
    fresh_network: LocalTestnet, tmp_path: Path
) -> None:
    fresh_network.start()
    secret = tmp_path / "secret"
    secret.write_text("typed by hand\n")
    secret.chmod(0o600)
    made = nectar("keys", "new", "a.nec", "--password-file", secret, folder=fresh_network.folder)
    assert made.returncode == 0, made.stderr
    master, slave = pty.openpty()
    arguments = command("boot", "a.nec", "--detach", "--join", fresh_network.folder)
    with subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as boot:
        os.close(slave)
        prompt = os.read(master, 1000)
        os.write(master, b"typed by hand\n")
        assert boot.wait(LIMIT) == 0
    os.close(master)
    assert prompt == b"Password of a.nec: "
    pid = fresh_network.pid("a.nec")
    assert pid is not None
    for place in ("cmdline", "environ"):
        assert b"typed by hand" not in Path(f"/proc/{pid}/{place}").read_bytes()
    again = nectar("boot", "a.nec", "--detach", "--join", fresh_network.folder)
    assert "is running already" in again.stderr
