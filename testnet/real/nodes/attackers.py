"""Hostile peers of a testnet, each a process beside its nodes, found through its folder alone."""

from __future__ import annotations

import shutil
import sys

from nectar_node.base.folder import NodeFolder
from nectar_node.launcher import launch
from nectar_node.launcher.local_network import LocalNetwork
from testnet.model.rule import Attack
from testnet.real.nodes.addresses import NodePlace

ATTACKERS_FOLDER = "attackers"


def start(network: LocalNetwork, attack: Attack, by: str, where: NodePlace | None, lifeline: int | None = None) -> None:
    """Start a hostile peer named `by`, at `where` if it has a place of its own; it ends with `lifeline` if there is
    one. Raises NodeError."""
    folder = place(network, by)
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-P", "-m", "testnet.hostile"]
    if where is not None:
        command = [*where.prefix, *command, "--source", where.host]
    words = [str(network.folder), str(folder.path), *attack[:3], str(attack.seed)]
    launch.start_beside(by, folder, command, words, lifeline)


def call_off(network: LocalNetwork, by: str) -> None:
    """End a hostile peer, and forget it."""
    folder = place(network, by)
    launch.stop([folder])
    shutil.rmtree(folder.path, ignore_errors=True)


def call_off_all(network: LocalNetwork) -> None:
    """End all hostile peers of the testnet."""
    folder = network.folder / ATTACKERS_FOLDER
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        call_off(network, path.name)


def place(network: LocalNetwork, by: str) -> NodeFolder:
    """Return the folder of the hostile peer named `by`."""
    return NodeFolder(network.folder / ATTACKERS_FOLDER / by)
