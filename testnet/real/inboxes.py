"""Files that nodes on this machine have received from others, as whoever checks them sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nectar_node.launcher.local_network import LocalNetwork

INBOX = "file_transfer:sys/inbox"
"""Where a node keeps received files, below its drives."""
PARTIAL = ".partial"
"""The folder there of files that are not whole yet."""


class InboxFile(NamedTuple):
    """A file in the inbox of a node."""

    size: int
    digest: str
    """Its BLAKE2b, in hexadecimal digits."""


def inbox(network: LocalNetwork, name: str) -> Path:
    """Return the folder of received files of a node on this machine."""
    return network.place(name).drives / INBOX


def look_at_received(network: LocalNetwork, name: str, file: str) -> InboxFile | None:
    """Return what is in the inbox of a node on this machine under that name; None: nothing."""
    try:
        data = inbox(network, name).joinpath(file).read_bytes()
    except FileNotFoundError:
        return None
    return InboxFile(len(data), hashlib.blake2b(data).hexdigest())


def partial_files(network: LocalNetwork, names: Sequence[str]) -> set[tuple[str, str]]:
    """Return the files that are not whole yet, with the node on this machine that receives each."""
    folders = [(name, inbox(network, name) / PARTIAL) for name in names]
    return {(name, path.name) for name, folder in folders if folder.is_dir() for path in folder.iterdir()}
