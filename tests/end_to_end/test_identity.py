"""Keys that change, a directory without a registrar, and a registrar that is killed, with real processes and files."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from nectar_node.base.errors import CannotStart
from nectar_node.contract.config import REGISTRAR_NAME, GenesisFile
from nectar_node.driver.node_store import open_store
from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import BootOptions
from net.contract.events import Close, Dial, Registered, Writable
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names.directory import RegistrarDirectory
from net.names.identity import Identity
from net.names.keyfile import KeyFile, read_key_file, unlock_key_file
from net.peering.network import Network, NetworkConfig
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.end_to_end.lab import Lab, command
from tests.waiting import LIMIT

GREET = '{"Greet": "x"}'
HELLO = check_package(Path(__file__).resolve().parents[2] / "packages" / "hello")
"""All that these nodes run."""


def greet(network: LocalTestnet, source: str, target: str) -> object:
    """The outcome of a request from one node to another."""
    return network.message(source, f"{target}@hello:hello:sys", GREET)["outcome"]


def keys_of(network: LocalTestnet, name: str) -> KeyFile:
    """The key file of a node, as anybody can read it."""
    return read_key_file(network.place(name).key)


def run(network: LocalTestnet, *words: str | Path) -> int:
    """The exit code of a command."""
    return nectar(*words, folder=network.folder).code


def test_a_node_with_a_new_key_is_accepted_by_a_peer_that_runs_on_without_the_registrar(
    fresh_network: LocalTestnet,
) -> None:
    fresh_network.options = BootOptions(packages=(HELLO,))
    fresh_network.start(["a.nec", "b.nec"])
    assert greet(fresh_network, "b.nec", "a.nec") == "response"
    before = keys_of(fresh_network, "a.nec").key
    assert run(fresh_network, "keys", "rotate", "a.nec") == 1
    assert keys_of(fresh_network, "a.nec").key == before
    port = fresh_network.endpoint("a.nec")[1]
    fresh_network.stop("a.nec")
    assert run(fresh_network, "keys", "rotate", "a.nec") == 0
    assert keys_of(fresh_network, "a.nec").previous is not None

    fresh_network.add("a.nec", BootOptions(port=port, packages=(HELLO,)))
    fresh_network.kill(REGISTRAR_NAME)
    assert greet(fresh_network, "b.nec", "a.nec") == "response"
    assert greet(fresh_network, "a.nec", "b.nec") == "response"
    fresh_network.stop("a.nec")
    after = keys_of(fresh_network, "a.nec")
    assert after.previous is None
    assert after.key != before


def test_a_registrar_that_is_killed_while_it_grants_has_kept_all_that_it_has_granted(
    fresh_network: LocalTestnet,
) -> None:
    fresh_network.start()
    genesis = GenesisFile.load(fresh_network.folder)
    granted = trio.run(register_many, genesis, 30, 10, partial(fresh_network.kill, REGISTRAR_NAME))
    assert 10 <= len(granted) <= 30
    place = fresh_network.place(REGISTRAR_NAME)
    registrar = unlock_key_file(place.key, None).identity
    opened = open_store(place, REGISTRAR_NAME)
    opened.database.close()
    kept = {record.name: record.encoded for record in opened.kept.names.of(registrar.public_key)}
    assert {name: kept[name] for name in granted} == granted
    fresh_network.start()


async def register_many(genesis: GenesisFile, count: int, enough: int, then: Callable[[], object]) -> dict[str, bytes]:
    """Register so many nodes at once, each over a session of its own; do something when `enough` have been granted.
    Returns the records of all that have."""
    granted: dict[str, bytes] = {}
    done = trio.Event()

    def told(name: str, record: bytes) -> None:
        granted[name] = record
        if len(granted) == enough:
            then()
            done.set()

    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            for number in range(count):
                Applicant(f"applicant-{number}.nec", genesis, nursery, told).turn()
            await done.wait()
            nursery.cancel_scope.cancel()
    return granted


class Applicant:
    """A node that does nothing but register."""

    def __init__(
        self, name: str, genesis: GenesisFile, nursery: trio.Nursery, told: Callable[[str, bytes], None]
    ) -> None:
        known = genesis.genesis()
        config = NetworkConfig(register=True, wall_clock_offset=time.time() - trio.current_time())
        identity, now = Identity(name, os.urandom(32)), trio.current_time()
        self._network = Network(identity, RegistrarDirectory(known), config, os.urandom, now)
        self._driver = Driver(self._network, TcpTransport(), nursery, self.turn, trio.current_time)
        self._name = name
        self._told = told

    def turn(self) -> None:
        """Drain the network's events."""
        while (event := self._network.next_event()) is not None:
            match event:
                case Dial() | Close() | Writable():
                    self._driver.handle(event)
                case Registered(record):
                    self._told(self._name, record)
                case _:
                    pass


def test_two_nodes_of_a_signed_directory_find_each_other_without_a_registrar(
    fresh_network: LocalTestnet, tmp_path: Path
) -> None:
    file = tmp_path / "directory"
    for name in ("a.nec", "b.nec", "authority.nec"):
        assert run(fresh_network, "keys", "new", name, "--no-password") == 0
    first, second = free_ports(2)
    nodes = ("--node", f"a.nec=127.0.0.1:{first}", "--node", f"b.nec=127.0.0.1:{second}")
    assert run(fresh_network, "directory", "sign", file, "--authority", "authority.nec", *nodes) == 0
    options = BootOptions(directory=(file, keys_of(fresh_network, "authority.nec").key.public_key), packages=(HELLO,))
    for name in ("a.nec", "b.nec"):
        fresh_network.add(name, options)
    assert greet(fresh_network, "a.nec", "b.nec") == "response"
    assert greet(fresh_network, "b.nec", "a.nec") == "response"
    with pytest.raises(CannotStart, match=r"does not name authority\.nec"):
        fresh_network.add("authority.nec", options)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_a_detached_node_with_a_protected_key_gets_the_password_that_its_user_types(lab: Lab, tmp_path: Path) -> None:
    name = "typed.nec"
    secret = tmp_path / "secret"
    secret.write_text("typed by hand\n")
    secret.chmod(0o600)
    assert run(lab.nodes, "keys", "new", name, "--password-file", secret) == 0
    master, slave = pty.openpty()
    arguments = command("boot", name, "--detach", "--no-packages", "--join", lab.folder)
    with subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as boot:
        os.close(slave)
        prompt = os.read(master, 1000)
        os.write(master, b"typed by hand\n")
        assert boot.wait(LIMIT) == 0
    os.close(master)
    assert prompt == b"Password of typed.nec: "
    pid = lab.nodes.pid(name)
    assert pid is not None
    for place in ("cmdline", "environ"):
        assert b"typed by hand" not in Path(f"/proc/{pid}/{place}").read_bytes()
    lab.nodes.stop(name)
