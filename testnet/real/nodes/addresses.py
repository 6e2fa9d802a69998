"""The addresses of the nodes of one testnet.

Every node has an address of its own, where it listens and from which it dials, so that an acceptor knows which node
dialed. Others are told another port of that address, where the links listen. On loopback all of 127.0.0.0/8 is free: a
testnet takes 127.x.y.0/24, where x and y follow from its folder.
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
"""The port that others are told, where the links listen: below the ports that the operating system gives out."""
NODE_PORT = 7101
"""The port where the node listens."""
MAX_NODES = 250
"""The most nodes in a /24, without its first and last addresses."""
_FIRST = 2
"""The number of the first node. The address before it is the testnet's own: the process that binds it holds the
network."""
_PREFIX = re.compile(r"127\.[0-9]{1,3}\.[0-9]{1,3}")


class NodePlace(NamedTuple):
    """The addresses of a node."""

    host: str
    """The address where it listens and from which it dials; no other node does."""
    port: int
    front: tuple[str, int]
    """The endpoint that others are told."""
    prefix: tuple[str, ...] = ()
    """The beginning of the command that starts it there."""

    @property
    def endpoint(self) -> tuple[str, int]:
        """The endpoint where it listens."""
        return self.host, self.port

    def options(self, options: BootOptions) -> BootOptions:
        """Return the boot options for this place; a node behind routers tells no endpoint."""
        front = None if options.routers else self.front
        return replace(options, host=self.host, port=self.port, advertise=front, prefix=self.prefix)


class LoopbackNetwork(NamedTuple):
    """One network 127.x.y.0/24."""

    prefix: str
    """Such as "127.53.201"."""

    @staticmethod
    def of(folder: Path, attempt: int = 0) -> LoopbackNetwork:
        """Return the network of the testnet in `folder`; each further attempt gives another one, in case that is
        taken."""
        digest = hashlib.blake2s(f"{folder.resolve()}\0{attempt}".encode(), digest_size=2).digest()
        return LoopbackNetwork(f"127.{1 + digest[0] % 254}.{digest[1]}")

    @property
    def claim(self) -> tuple[str, int]:
        """The endpoint that is bound while the network is used."""
        return f"{self.prefix}.1", FRONT_PORT

    def place(self, number: int) -> NodePlace:
        """Return the place of the node with this number, below MAX_NODES."""
        host = f"{self.prefix}.{_FIRST + number}"
        return NodePlace(host, NODE_PORT, (host, FRONT_PORT))


@dataclass(slots=True)
class Allocation:
    """The places of nodes in a network, for good: name records and the genesis file contain them."""

    network: LoopbackNetwork
    names: list[str] = field(default_factory=list)
    """Names of nodes by number."""

    def place(self, name: str) -> NodePlace:
        """Return the place of the node `name`, and give it one if it has none; raises BadInput if none is left."""
        if name not in self.names:
            if len(self.names) >= MAX_NODES:
                raise BadInput(f"A testnet on loopback has {MAX_NODES} nodes at most: start {name} in another folder.")
            self.names.append(name)
        return self.network.place(self.names.index(name))

    def value(self) -> dict[str, object]:
        """Return the allocation as JSON values."""
        return {"network": self.network.prefix, "nodes": self.names}


def decode_allocation_untrusted(value: Any) -> Allocation:
    """Decode what `Allocation.value` returned; raises ValueError."""
    match value:
        case {"network": str(prefix), "nodes": [*names]} if _PREFIX.fullmatch(prefix) and len(names) <= MAX_NODES:
            if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
                return Allocation(LoopbackNetwork(prefix), names)
    raise ValueError("it has an unknown shape")
