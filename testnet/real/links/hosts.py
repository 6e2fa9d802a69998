"""The links of nodes on hosts of their own: network namespaces, and the links in the hub between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from testnet.faults.black_hole import BlackHole
from testnet.faults.partition import Partition
from testnet.faults.registrar_down import RegistrarDown
from testnet.model.rule import Fault
from testnet.real.links.fabric import Links, open_links
from testnet.real.links.thread import ThreadedLinks, run_in_thread
from testnet.real.nodes.addresses import FRONT_PORT, NODE_PORT, NodePlace
from testnet.real.nodes.namespaces import HUB, Namespaces


class HostLinks(ThreadedLinks):
    """Links between hosts. A fault that cuts off one node from all others pulls its cable."""

    def __init__(self, links: Links, token: trio.lowlevel.TrioToken, hosts: Namespaces) -> None:
        super().__init__(links, token)
        self.hosts = hosts
        self._places: dict[str, NodePlace] = {}
        self._pulled: Counter[str] = Counter()
        """The number of faults that have pulled the cable of a host."""
        self._cables: dict[int, str] = {}
        """By the fault's number, the host whose cable it has pulled."""

    def connect(self, name: str) -> NodePlace:
        place = self._places.get(name)
        if place is None:
            host, front = self.hosts.add(name), (self.hosts.add_hub_address(), FRONT_PORT)
            place = self._places[name] = NodePlace(host, NODE_PORT, front, tuple(self.hosts.command(name)))
            self.add(name, place)
        return place

    def apply(self, fault: Fault) -> int:
        host = cut_off(fault)
        if host is None or host not in self._places:
            return super().apply(fault)
        number = self.reserve()
        self._cables[number] = host
        self._pulled[host] += 1
        self.hosts.take_down(host)
        return number

    def remove(self, number: int) -> None:
        host = self._cables.pop(number, None)
        if host is None:
            super().remove(number)
            return
        self._pulled[host] -= 1
        if not self._pulled[host]:
            self.hosts.bring_up(host)


def cut_off(fault: Fault) -> str | None:
    """Return the node that this fault cuts off from all others, or None."""
    match fault:
        case Partition(where) | BlackHole(where) if where.both and len(where.names) == 1:
            return where.names[0]
        case RegistrarDown("unreachable", node):
            return node
    return None


@contextmanager
def run_host_links(seed: int = 0) -> Iterator[HostLinks]:
    """Yield links in a hub of their own; raises NoNamespaces."""
    with Namespaces() as hosts, run_in_thread(lambda: open_links(seed), lambda: hosts.enter(HUB)) as (links, token):
        yield HostLinks(links, token, hosts)
