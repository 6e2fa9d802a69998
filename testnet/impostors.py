"""Nodes that boot under a name that is another's, with a key of their own: beside a testnet, in a folder of their own.

The registrar would refuse them, and a node that is refused does not run. So they are told of one that nobody is.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

from nectar_node.cli import launch
from nectar_node.cli.boot_options import kept_options
from nectar_node.cli.network import Network
from nectar_node.config import Genesis
from testnet.links.places import Place

IMPOSTORS_FOLDER = "impostors"
_NOBODY = 1
"""A port at which nothing listens."""


def start(network: Network, host: str, by: str, place: Place) -> None:
    """Boot an impostor of the node `host`, with its packages, at `place`; it is called `by`. Raises NodeError."""
    own = _network(network, by)
    own.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace(Genesis.load(network.folder), host=place.host, port=_NOBODY).save(own.folder)
    options = replace(kept_options(network.place(host)), routers=())
    launch.start(own, [(host, place.options(options))])


def dismiss(network: Network, by: str) -> None:
    """End that impostor, for ever."""
    own = _network(network, by)
    launch.stop(own.place(name) for name in own.names())
    shutil.rmtree(own.folder, ignore_errors=True)


def dismiss_all(network: Network) -> None:
    """End all impostors of the testnet."""
    folder = network.folder / IMPOSTORS_FOLDER
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        dismiss(network, path.name)


def _network(network: Network, by: str) -> Network:
    return Network(network.folder / IMPOSTORS_FOLDER / by)
