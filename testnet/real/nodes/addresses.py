"""Which addresses the nodes of one testnet have.

Every node has an address of its own, where it listens and from which it dials, so that whoever accepts a connection
knows which node made it. Others are told another port of that address, where the links listen. On loopback all of
127.0.0.0/8 is there for the taking: a testnet takes 127.x.y.0/24, where x and y follow from its folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from nectar_node.base.errors import BadInput
from nectar_node.launcher.boot_options import BootOptions

FRONT_PORT = 7100
"""Where others are told to reach a node, and the links listen: below the ports that the operating system gives out."""
NODE_PORT = 7101
"""Where the node listens."""
MAX_NODES = 250
"""In a /24, without its first and last addresses."""
_FIRST = 2
"""The address before it is the testnet's own: who has bound it, has the network."""
_PREFIX = re.compile(r"127\.[0-9]{1,3}\.[0-9]{1,3}")


class Place(NamedTuple):
    """Where a node is."""

    host: str
    """It listens there and dials from there; nobody else does."""
    port: int
    front: tuple[str, int]
    """Where others are told to reach it."""
    prefix: tuple[str, ...] = ()
    """What goes before the command that starts it there."""

    @property
    def endpoint(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    def options(self, options: BootOptions) -> BootOptions:
        """How a node is booted there; one behind routers is told to nobody."""
        front = None if options.routers else self.front
        return replace(options, host=self.host, port=self.port, advertise=front, prefix=self.prefix)


class LoopbackNetwork(NamedTuple):
    """One 127.x.y.0/24."""

    prefix: str
    """Such as "127.53.201"."""

    @staticmethod
    def of(folder: Path, attempt: int = 0) -> LoopbackNetwork:
        """The network of the testnet in `folder`; each further attempt is another one, for when that is taken."""
        digest = hashlib.blake2s(f"{folder.resolve()}\0{attempt}".encode(), digest_size=2).digest()
        return LoopbackNetwork(f"127.{1 + digest[0] % 254}.{digest[1]}")

    @property
    def claim(self) -> tuple[str, int]:
        """What is bound while the network is used."""
        return f"{self.prefix}.1", FRONT_PORT

    def place(self, number: int) -> Place:
        """Of the node with this number; numbers are below MAX_NODES."""
        host = f"{self.prefix}.{_FIRST + number}"
        return Place(host, NODE_PORT, (host, FRONT_PORT))


@dataclass(slots=True)
class Allocation:
    """Which node has which place in a network, for good: name records and the genesis file say so too."""

    network: LoopbackNetwork
    names: list[str] = field(default_factory=list)
    """By their numbers."""

    def place(self, name: str) -> Place:
        """Of the node `name`, which is given one if it has none; raises BadInput if there is none left."""
        if name not in self.names:
            if len(self.names) >= MAX_NODES:
                raise BadInput(f"A testnet on loopback has {MAX_NODES} nodes at most: start {name} in another folder.")
            self.names.append(name)
        return self.network.place(self.names.index(name))

    def value(self) -> dict[str, object]:
        """As JSON."""
        return {"network": self.network.prefix, "nodes": self.names}


def decode_allocation_untrusted(value: Any) -> Allocation:
    """What `Allocation.value` made; raises ValueError."""
    match value:
        case {"network": str(prefix), "nodes": [*names]} if _PREFIX.fullmatch(prefix) and len(names) <= MAX_NODES:
            if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
                return Allocation(LoopbackNetwork(prefix), names)
    raise ValueError("it has an unknown shape")
