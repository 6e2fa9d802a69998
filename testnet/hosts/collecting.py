"""Which files of a host are collected: logs, traces, journals and recordings of its nodes.

Keys, stores and what processes have written stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import LINKS_FOLDER

_OF_A_NODE = ("log*", "trace*", "recording*")
"""What is taken of a node's folder."""
_JOURNALS = "sim"
"""The folder of journals in that of a testnet."""


def files_to_collect(folder: Path) -> Iterator[Path]:
    """Yield those of the testnet in a folder."""
    network = LocalNetwork(folder)
    places: list[tuple[Path, tuple[str, ...]]] = [(network.place(name).path, _OF_A_NODE) for name in network.names()]
    places.append((folder / LINKS_FOLDER, ("log*",)))
    places.append((folder, (_JOURNALS,)))
    for place, patterns in places:
        for pattern in patterns:
            for path in sorted(place.glob(pattern)):
                yield from sorted(each for each in (path, *path.rglob("*")) if each.is_file() and not each.is_symlink())
