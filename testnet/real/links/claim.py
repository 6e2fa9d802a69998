"""A testnet's network on loopback: claimed while its links run, and remembered in its folder."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nectar_node.base import own_files
from nectar_node.base.decoding import NewerVersion, check_version_untrusted
from nectar_node.base.errors import BadFolder, CannotListen
from nectar_node.base.folder import NodeFolder
from testnet.real.nodes.addresses import Allocation, LoopbackNetwork, NodePlace, decode_allocation_untrusted

LINKS_FOLDER = "links"
_PLACES_FILE = "places.json"
_VERSION = 1
"""The version of that file; one without a number is of this version, too."""
_MAX_FILE_BYTES = 1 << 17
"""The largest file: MAX_NODES names of the greatest length."""
_ATTEMPTS = 16


def links_folder(folder: Path) -> NodeFolder:
    """Return the folder where the links of the testnet in `folder` have their lock, control socket and log."""
    return NodeFolder(folder / LINKS_FOLDER)


@contextmanager
def claim(folder: Path) -> Iterator[Allocation]:
    """Hold the network of the testnet in `folder` for this process; raises CannotListen and BadFolder."""
    own_files.make_folder(links_folder(folder).path)
    known = read(folder)
    networks = [LoopbackNetwork.of(folder, number) for number in range(_ATTEMPTS)] if known is None else [known.network]
    network, claimed = _take(networks, folder)
    with claimed:
        yield known or Allocation(network)


def read(folder: Path) -> Allocation | None:
    """Return what is remembered, or None; raises BadFolder if that is damaged."""
    path = links_folder(folder).path / _PLACES_FILE
    try:
        value = json.loads(own_files.read(path, _MAX_FILE_BYTES))
        check_version_untrusted(value, _VERSION)
        return decode_allocation_untrusted(value)
    except FileNotFoundError:
        return None
    except NewerVersion as error:
        raise BadFolder(f"{path} cannot be used: {error}. Use the newer one.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadFolder(f"{path} is damaged ({error}): stop the testnet, remove the file, and start again.") from error


def allot(folder: Path, allocation: Allocation, name: str) -> NodePlace:
    """Return the place of the node `name` in the testnet in `folder`, and remember it; raises BadInput if none is left,
    and CannotListen if it cannot be remembered."""
    known = name in allocation.names
    place = allocation.place(name)
    if not known:
        try:
            remember(folder, allocation)
        except OSError as error:
            allocation.names.remove(name)
            where = links_folder(folder).path / _PLACES_FILE
            raise CannotListen(f"The place of {name} cannot be written to {where}: {error.strerror}.") from error
    return place


def remember(folder: Path, allocation: Allocation) -> None:
    """Write down the places of the nodes; raises OSError."""
    path = links_folder(folder).path / _PLACES_FILE
    own_files.write(path, (json.dumps({"version": _VERSION, **allocation.value()}, indent=2) + "\n").encode())


def _take(networks: list[LoopbackNetwork], folder: Path) -> tuple[LoopbackNetwork, socket.socket]:
    for network in networks:
        claimed = socket.socket()
        try:
            claimed.bind(network.claim)
        except OSError as error:
            claimed.close()
            if error.errno != errno.EADDRINUSE:
                raise CannotListen(
                    f"The links cannot use {network.claim[0]} ({error.strerror}): start the nodes with --direct."
                ) from error
        else:
            return network, claimed
    raise CannotListen(
        f"The addresses {networks[-1].prefix}.* of the testnet in {folder} are in use, by a copy of it perhaps: "
        "stop that one first."
    )
