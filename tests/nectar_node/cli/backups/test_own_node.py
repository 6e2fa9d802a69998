"""A command reaches keepers through a node of this machine, and leaves nothing in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nectar_node.backup.format.errors import RemoteFailed
from nectar_node.backup.operations import PutObject
from nectar_node.backup.stores.node_messages import exchange
from nectar_node.backup.stores.node_remote import converse
from nectar_node.cli.backups.own_node import OwnNode
from nectar_node.launcher.local_network import LocalNetwork
from tests.nectar_node.cli.real_node import NODE, RealNode

KEEPER = "keeper.nec"
NOBODY = 1 << 22
"""A process id that Linux gives to no process."""


def put(own: OwnNode) -> None:
    converse(own, KEEPER, exchange(KEEPER, NODE, PutObject(f"packs/{1:032x}", bytes(5000))))


def test_a_keeper_that_cannot_be_reached_is_one_sentence_and_no_file_is_left(node: RealNode) -> None:
    folder = node.folder.path / "backup" / "exchange"
    folder.mkdir(parents=True)
    left, others = folder / f"{NOBODY}-left", folder / f"{os.getpid()}-in-use"
    left.touch()
    others.touch()
    own = OwnNode(LocalNetwork(node.network), NODE)
    with pytest.raises(RemoteFailed, match=rf"^{KEEPER} cannot be reached from {NODE} \(no such name\).*\.$"):
        put(own)
    own.close()
    assert [*folder.iterdir()] == [others]


def test_the_network_may_be_named_by_a_path_from_here(node: RealNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(node.network.parent)
    own = OwnNode(LocalNetwork(Path(node.network.name)), NODE)
    with pytest.raises(RemoteFailed, match="no such name"):
        put(own)
    own.close()


def test_without_the_own_node_there_is_no_way_to_it(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path)
    network.place(NODE).path.mkdir(parents=True, mode=0o700)
    with pytest.raises(RemoteFailed) as refusal:
        put(OwnNode(network, NODE))
    start = network.boot(NODE, "--detach")
    sentence = f"{KEEPER} is reached through {NODE}, which is not running: start it with `{start}`."
    assert str(refusal.value) == sentence
    lock = network.place(NODE).acquire()
    with pytest.raises(RemoteFailed) as also:  # and not that it does not answer
        put(OwnNode(network, NODE))
    os.close(lock)
    assert str(also.value) == sentence
