"""No two testnets that run have the same addresses."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from nectar_node.base.errors import BadFolder, CannotListen
from net.base.limits import MAX_NAME_BYTES
from net.base.node_names import is_node_name
from testnet.real.links.claim import allot, claim, links_folder, read
from testnet.real.nodes.addresses import MAX_NODES, Allocation, LoopbackNetwork


def test_a_testnet_keeps_its_network_and_its_nodes_places(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    with claim(tmp_path) as allocation:
        place = allot(tmp_path, allocation, "a.nec")
    with claim(tmp_path) as again:
        assert (again.network, again.place("a.nec")) == (allocation.network, place)


def test_a_new_testnet_goes_out_of_the_way_of_another_one(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(LoopbackNetwork.of(tmp_path).claim)
        with claim(tmp_path) as allocation:
            assert allocation.network == LoopbackNetwork.of(tmp_path, 1)


def test_a_copy_of_a_testnet_that_runs_says_why_it_cannot(tmp_path: Path) -> None:
    one, copy = tmp_path / "one", tmp_path / "copy"
    with claim(one) as allocation:
        allot(one, allocation, "a.nec")
        shutil.copytree(one, copy)
        with (
            pytest.raises(CannotListen, match=r"are in use, by a copy of it perhaps: stop that one first"),
            claim(copy),
        ):
            pass
    with claim(copy):
        pass


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b"{}"])
def test_a_damaged_file_of_places_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    links_folder(tmp_path).path.mkdir()
    (links_folder(tmp_path).path / "places.json").write_bytes(content)
    with pytest.raises(
        BadFolder, match=r"places\.json is damaged .*: stop the testnet, remove the file, and start again"
    ):
        read(tmp_path)


def test_as_many_nodes_as_there_can_be_with_names_as_long_as_they_can_be_are_remembered(tmp_path: Path) -> None:
    network = LoopbackNetwork.of(tmp_path)
    labels = ".".join(("y" * 63, "y" * 63, "y" * 61))
    full = Allocation(network, [f"{'x' * 60}{number:03}.{labels}" for number in range(MAX_NODES)])
    assert all(is_node_name(name) and len(name) == MAX_NAME_BYTES for name in full.names)
    links_folder(tmp_path).path.mkdir()
    last = full.names.pop()
    allot(tmp_path, full, last)
    assert read(tmp_path) == full
