"""What programs that run a local testnet can rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotStart, NotRunning
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[LocalTestnet]:
    with LocalTestnet(tmp_path / "testnet") as nodes:
        yield nodes


def test_nodes_come_and_go_on_their_own(nodes: LocalTestnet) -> None:
    nodes.start(["a.nec"])
    first = nodes.pid("a.nec")
    assert nodes.status("a.nec")["pid"] == first
    assert nodes.status("a.nec")["endpoint"] == list(nodes.endpoint("a.nec"))

    nodes.kill("a.nec")
    assert nodes.pid("a.nec") is None
    with pytest.raises(NotRunning):
        nodes.status("a.nec")

    nodes.start(["a.nec"])
    second = nodes.pid("a.nec")
    nodes.restart("a.nec")
    assert nodes.pid("a.nec") not in (None, first, second)
    assert nodes.pid(REGISTRAR_NAME) is not None


def test_a_node_runs_the_packages_it_was_given_also_after_a_restart(nodes: LocalTestnet) -> None:
    nodes.start()
    nodes.add("a.nec", BootOptions(packages=()))
    nodes.restart("a.nec")
    addresses = [row["address"] for row in nodes.processes("a.nec")]
    assert not any("hello" in address for address in addresses)


def test_a_node_is_not_added_twice(nodes: LocalTestnet) -> None:
    nodes.start(["a.nec"])
    with pytest.raises(CannotStart, match=r"a\.nec is running already"):
        nodes.add("a.nec")


def test_the_end_stops_everything(nodes: LocalTestnet) -> None:
    nodes.start(["a.nec"])
    nodes.close()
    assert [nodes.pid(name) for name in nodes.network.names()] == [None, None]


def test_what_does_not_run_cannot_be_killed_or_paused(nodes: LocalTestnet) -> None:
    for act in (nodes.kill, nodes.pause, nodes.resume):
        with pytest.raises(NotRunning):
            act("a.nec")


def test_a_node_that_never_was_has_no_status_and_no_log(nodes: LocalTestnet) -> None:
    with pytest.raises(BadInput):
        nodes.status("a.nec")
    assert nodes.log("a.nec") == ""


def test_a_node_may_be_started_by_a_command_that_becomes_it(nodes: LocalTestnet) -> None:
    nodes.start()
    nodes.add("a.nec", BootOptions(packages=(), prefix=("env", "MARK=by a prefix")))
    nodes.restart("a.nec")
    assert nodes.status("a.nec")["pid"] == nodes.pid("a.nec")
    assert b"\0MARK=by a prefix\0" in Path(f"/proc/{nodes.pid('a.nec')}/environ").read_bytes()
    nodes.kill("a.nec")
    assert nodes.pid("a.nec") is None


def test_a_command_that_is_not_there_starts_no_node(nodes: LocalTestnet) -> None:
    nodes.start()
    with pytest.raises(CannotStart, match=r"^a\.nec cannot be started: no-such-command: No such file or directory\.$"):
        nodes.add("a.nec", BootOptions(prefix=("no-such-command",)))
