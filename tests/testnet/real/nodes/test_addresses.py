"""Nodes have addresses of their own, for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.nodes.addresses import (
    FRONT_PORT,
    MAX_NODES,
    NODE_PORT,
    Allocation,
    LoopbackNetwork,
    NodePlace,
    decode_allocation_untrusted,
)


def test_the_network_of_a_testnet_follows_from_its_folder_and_is_not_the_usual_one(tmp_path: Path) -> None:
    networks = {LoopbackNetwork.of(tmp_path / str(number)).prefix for number in range(100)}
    assert len(networks) > 90
    assert LoopbackNetwork.of(tmp_path) == LoopbackNetwork.of(tmp_path / "a" / "..")
    assert LoopbackNetwork.of(tmp_path) != LoopbackNetwork.of(tmp_path, 1)
    many = [LoopbackNetwork.of(tmp_path, number) for number in range(2000)]
    assert not [each for each in many if each.prefix.startswith(("127.0.", "127.255."))]


def test_each_node_keeps_its_place(tmp_path: Path) -> None:
    allocation = Allocation(LoopbackNetwork("127.5.6"))
    assert allocation.place("a.nec") == NodePlace("127.5.6.2", NODE_PORT, ("127.5.6.2", FRONT_PORT))
    assert allocation.place("b.nec").host == "127.5.6.3"
    again = decode_allocation_untrusted(allocation.value())
    assert (again.place("b.nec"), again.place("c.nec").host) == (allocation.place("b.nec"), "127.5.6.4")


def test_a_network_that_is_full_says_so() -> None:
    allocation = Allocation(LoopbackNetwork("127.5.6"))
    hosts = {allocation.place(f"n{number}.nec").host for number in range(MAX_NODES)}
    assert len(hosts) == MAX_NODES
    assert "127.5.6.255" not in hosts
    with pytest.raises(BadInput, match="250 nodes at most: start one-more"):
        allocation.place("one-more.nec")


def test_others_are_told_of_the_links_but_not_of_a_node_behind_routers() -> None:
    place = NodePlace("127.5.6.2", 7101, ("127.5.6.2", 7100))
    assert place.options(BootOptions()) == BootOptions(host="127.5.6.2", port=7101, advertise=("127.5.6.2", 7100))
    routers = BootOptions(routers=("r.nec",))
    assert place.options(routers) == BootOptions(host="127.5.6.2", port=7101, routers=("r.nec",))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"network": "127.5.6"},
        {"network": "10.1.2", "nodes": []},
        {"network": "127.5.6\n", "nodes": []},
        {"network": "127.5.6", "nodes": ["a", "a"]},
        {"network": "127.5.6", "nodes": [1]},
        {"network": "127.5.6", "nodes": [str(number) for number in range(MAX_NODES + 1)]},
    ],
)
def test_what_is_no_allocation_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="unknown shape"):
        decode_allocation_untrusted(value)
