"""The nodes of other machines, as `nectar testnet watch` looks at them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder
from testnet.hosts.far import FarNetwork, far_network
from testnet.hosts.kept import KeptHosts
from testnet.hosts.network import Hosts, asked
from testnet.watch.pollers import Glance
from testnet.watch.snapshot import LinksLook, Row, decode_links_untrusted

GLANCE_SECONDS = 5.0
"""Seconds in which a host says how a node is; one that does not is lost, and its nodes are silent."""


class WatchedHosts:
    """See `testnet.watch.pollers.Watched`."""

    def __init__(self, hosts: Hosts, network: FarNetwork, lost: dict[str, NodeError]) -> None:
        """`lost`: hosts that could not be reached, each with the reason."""
        self._hosts = hosts
        self._network = network
        self._lost = lost

    @property
    def lost(self) -> list[str]:
        """Return a sentence on each host that could not be reached."""
        return [str(error) for error in self._lost.values()]

    def names(self) -> list[str]:
        """Return the nodes of all hosts."""
        return self._network.names()

    def folder(self, name: str) -> NodeFolder:
        """Return the folder here with a node's control socket, which is forwarded."""
        return NodeFolder(self._network.nodes.doors / name)

    def glance(self, name: str) -> Glance:
        """Ask a node's host. Raises NodeError."""
        host = self._network.nodes.host_of(name)
        if host in self._lost:
            raise self._lost[host]
        match self._hosts.ask(host, "look", GLANCE_SECONDS, node=name):
            case {"pid": int(pid), "paused": bool(paused), "listens": bool(listens)}:
                return Glance(pid, paused, listens)
        return Glance()

    def links(self) -> LinksLook:
        """Ask the links of all hosts. Where two count the same direction, the one that has seen more counts."""
        told: dict[str, dict[str, object]] = {name: {} for name in self._hosts.names}
        looks, errors = self._hosts.try_each(told, "look", GLANCE_SECONDS)
        pids = [each.get("links") for each in looks.values()]
        if errors or self._lost:
            return LinksLook(time.monotonic(), "silent")
        if not all(isinstance(pid, int) for pid in pids):
            return LinksLook(time.monotonic(), "ended" if any(pids) else "none")
        faults: dict[object, Row] = {}
        rows: dict[tuple[str, str], Row] = {}
        for question in ("faults", "statistics"):
            asking: dict[str, dict[str, object]] = {name: {"ask": question} for name in self._hosts.names}
            answers, errors = self._hosts.try_each(asking, "ask", GLANCE_SECONDS)
            if errors:
                return LinksLook(time.monotonic(), "silent")
            for answer in answers.values():
                faults |= {str(row): row for row in _rows(answer.get("faults"))}
                for row in _rows(answer.get("links")):
                    place = str(row.get("source")), str(row.get("target"))
                    rows[place] = max(rows.get(place, row), row, key=_bytes)
        found = {"links": list(rows.values())}
        return decode_links_untrusted(time.monotonic(), None, {"faults": list(faults.values())}, found)


def _bytes(row: Row) -> int:
    count = row.get("bytes")
    return count if isinstance(count, int) else 0


def _rows(value: object) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


@contextmanager
def watched_hosts(kept: KeptHosts, folder: Path) -> Iterator[WatchedHosts]:
    """Yield the testnet on those machines; those that cannot be reached are noted. Raises NodeError."""
    lost: dict[str, NodeError] = {}
    with asked(kept, kept.pythons, lost) as hosts, far_network(hosts, folder) as network:
        yield WatchedHosts(hosts, network, lost)
