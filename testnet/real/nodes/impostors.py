"""Nodes that boot under another node's name, with a key of their own: beside a testnet, in a folder of their own.

The registrar would refuse them, and a node that is refused does not run. So each has a signed directory in which it is
the only node. Others find it where a fault redirects them; it finds nobody.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

from nectar_node.base import own_files
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import kept_options
from nectar_node.launcher.local_network import LocalNetwork
from net.names.directory import Endpoint, encode_static_directory
from net.names.identity import KEY_BYTES, Identity
from net.names.keyfile import Keys, create_key_file, seal
from testnet.hostile.forgery import claim_name
from testnet.real.nodes.addresses import NodePlace

IMPOSTORS_FOLDER = "impostors"
_DIRECTORY_FILE = "directory"


def start(network: LocalNetwork, host: str, by: str, place: NodePlace, lifeline: int | None = None) -> None:
    """Boot an impostor of the node `host`, with its packages, at `place`; it is named `by`, and ends with `lifeline` if
    there is one. Raises NodeError."""
    own, identity = network_of(network, by), Identity(host, os.urandom(KEY_BYTES))
    own.place(host).create()
    create_key_file(own.place(host).key, seal(Keys(identity, None), None, os.urandom))
    directory = own.folder / _DIRECTORY_FILE
    own_files.write(directory, _directory(identity, place))
    kept = kept_options(network.place(host))
    alone = (directory.absolute(), identity.public_key)
    options = replace(kept, routers=(), password_file=None, directory=alone, lifeline=lifeline)
    launch.start(own, [(host, place.options(options))])


def _directory(identity: Identity, place: NodePlace) -> bytes:
    return encode_static_directory([claim_name(identity, Endpoint(*place.endpoint))], identity)


def dismiss(network: LocalNetwork, by: str) -> None:
    """End that impostor for good."""
    own = network_of(network, by)
    launch.stop(own.place(name) for name in own.names())
    shutil.rmtree(own.folder, ignore_errors=True)


def dismiss_all(network: LocalNetwork) -> None:
    """End all impostors of the testnet."""
    folder = network.folder / IMPOSTORS_FOLDER
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        dismiss(network, path.name)


def network_of(network: LocalNetwork, by: str) -> LocalNetwork:
    """Return the network that the impostor named `by` believes to be in."""
    return LocalNetwork(network.folder / IMPOSTORS_FOLDER / by)
