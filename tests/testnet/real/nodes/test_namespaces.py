"""Hosts of their own for nodes: real nodes reach each other there, a pulled cable parts them, and nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotStart
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from testnet.real.nodes import namespaces
from testnet.real.nodes.namespaces import HUB, Namespaces, NoNamespaces, remove_leftovers, unavailable

pytestmark = pytest.mark.skipif((reason := unavailable()) is not None, reason=reason or "")

LIMIT = 60.0
"""Seconds after which a command is taken to hang; no test waits for it to pass."""
HELLO = check_package(Path(__file__).resolve().parents[4] / "packages" / "hello")
GREET = '{"Greet": "x"}'
CONNECT = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2]))).getpeername()[0])"
TRY = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 7100), 4.5)
except OSError as error:
    print(error)
"""
"""Neighbours that do not answer are known to be unreachable after three seconds, where somebody asks for them."""
LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
print(listener.accept()[1][0], flush=True)
"""

KILLED = """
import subprocess
from testnet.real.nodes.namespaces import Namespaces
with Namespaces() as hosts:
    hosts.add("a.nec")
    command = [*hosts.command("a.nec"), "sh", "-c", "echo; exec sleep 1000"]
    sleeper = subprocess.Popen(command, stdout=subprocess.PIPE)
    sleeper.stdout.readline()
    print(hosts.command("a.nec")[-1], sleeper.pid, flush=True)
    input()
"""


@pytest.fixture
def hosts() -> Iterator[Namespaces]:
    with Namespaces() as hosts:
        yield hosts


@pytest.fixture(scope="module")
def apart() -> Iterator[Namespaces]:
    with Namespaces() as hosts:
        yield hosts


@pytest.fixture(scope="module")
def nodes(apart: Namespaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    """A registrar and two nodes, each on a host of its own."""
    with LocalTestnet(tmp_path_factory.mktemp("apart") / "testnet") as nodes:
        for name in (REGISTRAR_NAME, "a.nec", "b.nec"):
            boot(nodes, apart, name)
        yield nodes


def boot(nodes: LocalTestnet, hosts: Namespaces, name: str) -> None:
    """A node on a new host."""
    packages = () if name == REGISTRAR_NAME else (HELLO,)
    address = hosts.add(name)
    nodes.add(name, BootOptions(host=address, packages=packages, prefix=tuple(hosts.command(name))))


def ours() -> set[str]:
    """The namespaces that this process has made."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {name for line in listed.splitlines() if (name := line.split()[0]).startswith(f"nectar-{os.getpid()}-")}


def devices() -> set[str]:
    """The network devices of this machine itself."""
    listed = subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout
    return {device["ifname"] for device in json.loads(listed)}


def hub_device(hosts: Namespaces) -> dict[str, object]:
    """What bridges the cables of all hosts."""
    command = ["ip", "-n", hosts.command(HUB)[-1], "-json", "link", "show", "bridge0"]
    device: dict[str, object] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    return device


def run(hosts: Namespaces, name: str, script: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python script on the host `name`."""
    command = [*hosts.command(name), sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def connect(hosts: Namespaces, source: str, target: str, address: str) -> str:
    """Connect from a host to an address of another; returns where that one sees the connection come from."""
    with run(hosts, target, LISTEN, address) as listener:
        assert listener.stdout is not None
        port = listener.stdout.readline().strip()
        with run(hosts, source, CONNECT, address, port) as connecting:
            _, errors = connecting.communicate(timeout=LIMIT)
        if errors:
            listener.kill()
            raise AssertionError(errors)
        return listener.stdout.readline().strip()


def outcome(nodes: LocalTestnet, source: str, target: str, timeout: int) -> object:
    """How a request from one node to another ends."""
    return nodes.message(source, f"{target}@hello:hello:sys", GREET, timeout)["outcome"]


# --- hosts ---


def test_hosts_reach_each_other_and_each_is_known_by_its_address(hosts: Namespaces) -> None:
    first, second = hosts.add("a.nec"), hosts.add("b.nec")
    assert (first, second) == ("10.1.0.1", "10.1.0.2")
    assert (hosts.address("a.nec"), hosts.address("b.nec")) == (first, second)
    assert connect(hosts, "a.nec", "b.nec", second) == first


def test_hosts_reach_every_address_of_the_hub_and_the_hub_reaches_them(hosts: Namespaces) -> None:
    address = hosts.add("a.nec")
    another = hosts.add_hub_address()
    assert [hosts.address(HUB), another] == ["10.2.0.1", "10.2.0.2"]
    assert [connect(hosts, "a.nec", HUB, each) for each in (hosts.address(HUB), another)] == [address, address]
    assert connect(hosts, HUB, "a.nec", address) == hosts.address(HUB)


def test_a_host_reaches_itself_on_loopback(hosts: Namespaces) -> None:
    hosts.add("a.nec")
    assert connect(hosts, "a.nec", "a.nec", "127.0.0.1") == "127.0.0.1"


def test_runs_side_by_side_have_the_same_addresses_and_never_meet(hosts: Namespaces) -> None:
    address = hosts.add("a.nec")
    with Namespaces() as others:
        assert others.add("a.nec") == address
        for each in (hosts, others):
            each.add("b.nec")
            assert connect(each, "b.nec", "a.nec", address) == "10.1.0.2"
        with run(hosts, "a.nec", LISTEN, address) as listener:
            assert listener.stdout is not None
            port = listener.stdout.readline().strip()
            with run(others, "b.nec", CONNECT, address, port) as connecting:
                assert "Connection refused" in connecting.communicate(timeout=LIMIT)[1]
            listener.kill()


def test_a_new_host_changes_nothing_for_those_that_are_there(hosts: Namespaces) -> None:
    before = hub_device(hosts)["address"]
    hosts.add("a.nec")
    assert hub_device(hosts)["address"] == before


def test_nobody_at_a_pulled_cable_is_told_that_there_is_no_way(hosts: Namespaces) -> None:
    for name in ("a.nec", "b.nec"):
        hosts.add(name)
    hosts.take_down("a.nec")
    ways = [("a.nec", hosts.address(HUB)), ("a.nec", hosts.add_hub_address()), (HUB, hosts.address("a.nec"))]
    attempts = [run(hosts, source, TRY, target) for source, target in ways]
    assert [attempt.communicate(timeout=LIMIT)[0].strip() for attempt in attempts] == ["timed out"] * len(ways)


def test_nothing_of_this_machine_changes(hosts: Namespaces) -> None:
    before = devices()
    hosts.add("a.nec")
    hosts.take_down("a.nec")
    assert devices() == before


def test_a_host_that_is_unknown_or_there_already_is_one_sentence(hosts: Namespaces) -> None:
    hosts.add("a.nec")
    with pytest.raises(BadInput, match=r"^There is a host a\.nec already: choose another name\.$"):
        hosts.add("a.nec")
    for act in (hosts.take_down, hosts.bring_up, hosts.command, hosts.address):
        with pytest.raises(BadInput, match=r"^There is no host b\.nec: there are a\.nec\.$"):
            act("b.nec")
    with pytest.raises(BadInput, match=r"is not a node name"):
        hosts.add("../b.nec")


# --- the end ---


def test_nothing_is_left_at_the_end_and_closing_twice_is_no_mistake() -> None:
    before = ours()
    with Namespaces() as hosts:
        hosts.add("a.nec")
        assert {name.rpartition("-")[2] for name in ours() - before} == {HUB, "a.nec"}
    assert ours() == before
    hosts.close()
    with pytest.raises(BadInput, match="inside `with`"):
        hosts.add("b.nec")


def test_what_still_runs_on_a_host_is_ended() -> None:
    with Namespaces() as hosts:
        hosts.add("a.nec")
        sleeper = subprocess.Popen(
            [*hosts.command("a.nec"), sys.executable, "-c", "print(flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert sleeper.stdout is not None
        sleeper.stdout.readline()
    with sleeper:
        assert sleeper.wait(LIMIT) == -9
    assert ours() == set()


@pytest.mark.parametrize("refused", ["netns add *-a.nec", "* add bridge0 *", "* peer *", "* address add 10.1.*"])
def test_nothing_is_left_after_a_failure_half_way(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = shutil.which("ip")
    choosy = tmp_path / "ip"
    pattern = refused.replace(" ", "\\ ")
    choosy.write_text(f'#!/bin/sh\ncase "$*" in {pattern}) echo no >&2; exit 2;; esac\nexec {really} "$@"\n')
    choosy.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(NoNamespaces, match=r"^`ip .*` is refused here: no\.$"), Namespaces() as hosts:
        hosts.add("a.nec")
    assert ours() == set()


def test_what_a_killed_run_has_left_is_removed_and_what_is_in_use_is_not(hosts: Namespaces) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        namespace, inside = killed.stdout.readline().split()
        assert namespace not in remove_leftovers()
        assert Path(f"/proc/{inside}/ns/net").exists()
        killed.kill()
        killed.wait(LIMIT)
    remove_leftovers()
    assert not Path("/var/run/netns", namespace).exists()
    assert not Path(f"/proc/{inside}/ns/net").exists()
    assert hosts.command(HUB)[-1] in ours()


@pytest.mark.parametrize("beginning", ["", "nectar-", "nectar-1", "nectar-1-2"])
def test_what_could_be_the_beginning_of_others_removes_nothing(hosts: Namespaces, beginning: str) -> None:
    with pytest.raises(BadInput, match="is not what the names of the namespaces of one process begin with"):
        namespaces.remove(beginning)
    assert Path("/var/run/netns", hosts.command(HUB)[-1]).exists()


@pytest.mark.parametrize("name", ["nectar", "nectar-", "nectar-1-2-hub", "nectar-x-1-0-hub", "nectar-1--1-0-hub"])
def test_a_namespace_that_is_not_named_as_ours_are_is_nobodys_leftover(name: str) -> None:
    assert not namespaces._is_left(name)


def test_without_ip_or_root_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert unavailable() == "Network namespaces are made with `ip`, which is not here: install iproute2."
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unavailable() == "Network namespaces need root: run this as root, or go without."


# --- nodes ---


def test_nodes_on_hosts_of_their_own_exchange_messages_and_are_stopped_from_outside(
    apart: Namespaces, nodes: LocalTestnet
) -> None:
    assert outcome(nodes, "a.nec", "b.nec", timeout=60) == "response"
    assert nodes.endpoint("b.nec")[0] == apart.address("b.nec")
    pid = nodes.pid("b.nec")
    place = os.stat(f"/proc/{pid}/ns/net").st_ino
    assert place == os.stat(Path("/var/run/netns", apart.command("b.nec")[-1])).st_ino
    nodes.stop("b.nec")
    assert not Path(f"/proc/{pid}/ns/net").exists()
    nodes.start(["b.nec"])
    assert outcome(nodes, "a.nec", "b.nec", timeout=60) == "response"


def test_a_pulled_cable_keeps_the_answer_away_and_when_it_is_back_the_nodes_find_each_other_again(
    apart: Namespaces, nodes: LocalTestnet
) -> None:
    assert outcome(nodes, "a.nec", "b.nec", timeout=60) == "response"
    apart.take_down("b.nec")
    assert outcome(nodes, "a.nec", "b.nec", timeout=1) == "timeout"
    apart.bring_up("b.nec")
    assert outcome(nodes, "a.nec", "b.nec", timeout=60) == "response"


@pytest.mark.long
def test_a_node_behind_a_pulled_cable_that_was_never_met_is_offline(apart: Namespaces, nodes: LocalTestnet) -> None:
    boot(nodes, apart, "unmet.nec")
    apart.take_down("unmet.nec")
    assert outcome(nodes, "a.nec", "unmet.nec", timeout=30) == "offline"
    apart.bring_up("unmet.nec")
    assert outcome(nodes, "a.nec", "unmet.nec", timeout=60) == "response"


@pytest.mark.long
@pytest.mark.long
def test_a_cable_that_stays_pulled_is_a_lost_connection(apart: Namespaces, nodes: LocalTestnet) -> None:
    assert outcome(nodes, "a.nec", "b.nec", timeout=60) == "response"
    apart.take_down("b.nec")
    lost = nodes.message("a.nec", "b.nec@hello:hello:sys", GREET, timeout=40)
    apart.bring_up("b.nec")
    assert (lost["outcome"], lost["reason"]) == ("offline", "connection lost")


def test_a_node_on_a_host_that_is_gone_does_not_start(nodes: LocalTestnet, apart: Namespaces) -> None:
    prefix = (*apart.command("a.nec")[:-1], "nectar-gone")
    with pytest.raises(CannotStart, match=r"c\.nec ended before it was ready .*nectar-gone.*: its log is "):
        nodes.add("c.nec", BootOptions(prefix=prefix))
