"""Routers, their nodes and their callers against peers that mean harm, and against breaks at bad moments."""

from net.registrar import Registrar
from tests.net.test_routers import indirect, member
from tests.net.world import REGISTRAR, Wire, World


def wires_between(world: World, *names: str) -> list[Wire]:
    """The open ones, oldest first."""
    wires = dict.fromkeys(map(id, world.open.values()))
    return [wire for wire in world.wires if id(wire) in wires and {end.name for end, _ in wire.ends} == set(names)]


# --- breaks at bad moments ----------------------------------------------------------------------------------------------


# --- strangers, and the registrar as a router ----------------------------------------------------------------------------------------------------------


def test_the_registrar_is_a_router_for_who_joins_only_now() -> None:
    world = World()
    registrar = world.add(REGISTRAR, Registrar(REGISTRAR))
    first = member(world, "ann.test")
    hidden = indirect(world, routers=(REGISTRAR.name,))
    world.run(2)
    assert registrar.network._relay.places == [hidden.name]
    world.send(first, hidden.name, b"hello")
    world.run(1)
    assert hidden.headers() == [b"hello"]
