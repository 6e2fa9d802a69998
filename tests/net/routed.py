"""A registrar's network with routers, and a node that accepts no connection behind them."""

from net.names.directory import Endpoint, RegistrarDirectory
from net.names.registrar import Registrar
from net.peering.network import NetworkConfig
from tests.net.world import GENESIS, PORT, REGISTRAR, Node, World, host_of, identity_of

ROUTERS = ("one.test", "two.test")


INDIRECT = "ida.test"


def member(world: World, name: str, **config: object) -> Node:
    """A node with an endpoint, joined to the registrar's network."""
    settings = NetworkConfig(endpoints=(Endpoint(host_of(name), PORT),), register=True, **config)  # type: ignore[arg-type]
    return world.add(identity_of(name), RegistrarDirectory(GENESIS), settings)


def indirect(world: World, name: str = INDIRECT, routers: tuple[str, ...] = ROUTERS) -> Node:
    """A node that accepts no connection."""
    settings = NetworkConfig(routers=routers, register=True)
    return world.add(identity_of(name), RegistrarDirectory(GENESIS), settings, port=None)


def network(caller: str = "ann.test", routers: tuple[str, ...] = ROUTERS) -> tuple[World, Node, Node]:
    """Registrar, routers, a caller, and a node behind the routers."""
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    for name in routers:
        member(world, name)
    first = member(world, caller)
    hidden = indirect(world, routers=routers)
    world.run(2)
    return world, first, hidden


def router_of(node: Node, peer: str) -> str | None:
    """Through which router the two are connected."""
    return next(each.router for each in node.network.peers() if each.name == peer)


def flip(data: bytes) -> bytes:
    """Another bit in the last byte: of a tag, mostly."""
    return data[:-1] + bytes([data[-1] ^ 1])


def carrying() -> tuple[World, Node, Node]:
    """A network with one router, through which the caller has sent a message to the node behind it."""
    world, first, hidden = network(routers=("one.test",))
    world.post(first, hidden.name, b"hello", seconds=1)
    return world, first, hidden
