"""What can be done to the nodes of a testnet, and what cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nectar_node.base.folder import is_paused
from nectar_node.launcher.local_network import LocalNetwork
from testnet.faults.disk_full import DiskFull
from testnet.model.rule import NotAtThisLevel
from testnet.real.local import LocalTestnet
from testnet.real.nodes.processes import NodeProcesses
from tests.testnet.faults.kinds import ONLY_IN_SIMULATIONS

A = "a.nec"


@pytest.fixture(scope="module")
def testnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    with LocalTestnet(tmp_path_factory.mktemp("processes") / "testnet") as testnet:
        testnet.start([A])
        yield testnet


def ask_vfs(testnet: LocalTestnet, path: str, action: object) -> object:
    """What the vfs of a.nec answers its user."""
    answer = testnet.message(A, "our@vfs:distro:sys", json.dumps({"path": path, "action": action}))
    return json.loads(str(answer["body"]))


def test_a_full_disk_takes_no_bytes_and_the_node_goes_on(testnet: LocalTestnet) -> None:
    nodes, fault, file = NodeProcesses(testnet.network), DiskFull(A), "/terminal:sys/drive/f"
    ask_vfs(testnet, "/terminal:sys/drive", "CreateDrive")
    assert ask_vfs(testnet, file, "CreateFile") == "Ok"
    fault.begin(nodes)
    pid = testnet.pid(A)
    assert "File too large" in json.dumps(ask_vfs(testnet, file, {"SetLen": 1000}))
    fault.end(nodes)
    assert ask_vfs(testnet, file, {"SetLen": 1000}) == "Ok"
    assert testnet.pid(A) == pid


def test_a_paused_node_has_stopped_and_a_resumed_one_goes_on(testnet: LocalTestnet) -> None:
    nodes, pid = NodeProcesses(testnet.network), testnet.pid(A)
    assert pid is not None
    for _ in range(20):
        assert nodes.pause(A)
        assert is_paused(pid)
        assert nodes.resume(A)
        assert not is_paused(pid)


def test_the_disk_of_a_node_that_does_not_run_is_left_alone(tmp_path: Path) -> None:
    nodes = NodeProcesses(LocalNetwork(tmp_path))
    nodes.fill_disk(A)
    nodes.free_disk(A)
    assert list(tmp_path.iterdir()) == []


def _verb(nodes: NodeProcesses, verb: str) -> Callable[..., None]:
    found: Callable[..., None] = getattr(nodes, verb)
    return found


@pytest.mark.parametrize("verb", ONLY_IN_SIMULATIONS)
def test_what_only_a_simulation_can_do_is_said_in_a_sentence(tmp_path: Path, verb: str) -> None:
    more = {
        "cut_power": (),
        "break_disk": (),
        "step_clock": (5.0,),
        "drift_clock": (1.5,),
        "slow_guests": (0.1,),
        "limit_memory": (True,),
        "refuse_spawns": (True,),
        "trouble_remote": ("one", "down"),
    }[verb]
    with pytest.raises(NotAtThisLevel, match=r"in a simulation only"):
        _verb(NodeProcesses(LocalNetwork(tmp_path)), verb)(A, *more)


def test_without_links_nobody_is_led_to_an_impostor(tmp_path: Path) -> None:
    with pytest.raises(NotAtThisLevel, match=r"only where its links lead through something"):
        NodeProcesses(LocalNetwork(tmp_path)).impersonate(A, "b.nec")
