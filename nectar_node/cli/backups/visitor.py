"""A node that lives only as long as a restore: it has a new name in a network, and reads what a keeper has."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nectar_node.backup.stores.node_messages import SCHEME
from nectar_node.base.errors import BadInput
from nectar_node.cli.backups.own_node import OwnNode
from nectar_node.contract.config import GenesisFile
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from net.base.node_names import is_node_name

_NAME_BYTES = 8
"""Of chance in the name, so that nobody has it already."""


def keeper_and_owner(url: str) -> tuple[str, str]:
    """Return both names in node://KEEPER/OWNER; raises BadInput."""
    keeper, _, owner = url.removeprefix(SCHEME).partition("/")
    if not is_node_name(keeper) or not is_node_name(owner):
        raise BadInput(f"{url!r} does not say who keeps whose backup: expected node://KEEPER/OWNER.")
    return keeper, owner


@contextmanager
def visiting(network: Path, options: BootOptions) -> Iterator[OwnNode]:
    """Run a new node in the network of that folder until this context ends; raises NodeError.

    Nothing of it stays but its name at the registrar, which forgets names that are never used again.
    """
    genesis = GenesisFile.load(network)
    folder = Path(tempfile.mkdtemp(prefix="nectar-restore-"))
    try:
        genesis.save(folder)
        place, name = LocalNetwork(folder), f"restore-{os.urandom(_NAME_BYTES).hex()}.nec"
        read, write = os.pipe()  # the node ends with this process, however that ends
        try:
            launch.start(place, [(name, replace(options, packages=(), once=True, lifeline=read))], copies=False)
            node = OwnNode(place, name)
            try:
                yield node
            finally:
                node.close()
        finally:
            os.close(write)
            os.close(read)
            launch.stop([place.place(name)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
