"""What programs that run a local testnet can rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotStart, NotRunning
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet

A = "a.nec"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    """A testnet in which the registrar runs."""
    with LocalTestnet(tmp_path_factory.mktemp("local") / "testnet") as nodes:
        nodes.start()
        yield nodes


def test_nodes_come_and_go_on_their_own(nodes: LocalTestnet) -> None:
    nodes.start([A])
    first = nodes.pid(A)
    assert nodes.status(A)["pid"] == first
    assert nodes.status(A)["endpoint"] == list(nodes.endpoint(A))
    with pytest.raises(CannotStart, match=r"a\.nec is running already"):
        nodes.add(A)
    nodes.kill(A)
    assert nodes.pid(A) is None
    with pytest.raises(NotRunning):
        nodes.status(A)
    nodes.start([A])
    assert nodes.pid(A) not in (None, first)
    assert nodes.pid(REGISTRAR_NAME) is not None


def test_a_node_keeps_its_packages_and_the_command_that_becomes_it_over_a_restart(nodes: LocalTestnet) -> None:
    name = "prefix.nec"
    nodes.add(name, BootOptions(packages=(), prefix=("env", "MARK=by a prefix")))
    nodes.restart(name)
    assert not any("hello" in row["address"] for row in nodes.processes(name))
    assert nodes.status(name)["pid"] == nodes.pid(name)
    assert b"\0MARK=by a prefix\0" in Path(f"/proc/{nodes.pid(name)}/environ").read_bytes()
    nodes.kill(name)
    assert nodes.pid(name) is None


def test_what_does_not_run_cannot_be_killed_or_paused_and_what_never_was_has_no_status_and_no_log(
    nodes: LocalTestnet,
) -> None:
    for act in (nodes.kill, nodes.pause, nodes.resume):
        with pytest.raises(NotRunning):
            act("none.nec")
    with pytest.raises(BadInput):
        nodes.status("none.nec")
    assert nodes.log("none.nec") == ""


def test_a_command_that_is_not_there_starts_no_node(nodes: LocalTestnet) -> None:
    with pytest.raises(CannotStart, match=r"^x\.nec cannot be started: no-such-command: No such file or directory\.$"):
        nodes.add("x.nec", BootOptions(prefix=("no-such-command",)))


def test_the_end_stops_everything(tmp_path: Path) -> None:
    nodes = LocalTestnet(tmp_path / "testnet", BootOptions(packages=()))
    nodes.start()
    nodes.close()
    assert [nodes.pid(name) for name in nodes.network.names()] == [None]
