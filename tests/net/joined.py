"""Nodes of a registrar's network."""

from collections.abc import Sequence
from dataclasses import replace

from net.contract.events import RecordStored, Registered, RegistrationFailed
from net.names.directory import Endpoint, HeldRecord, RegistrarDirectory
from net.names.identity import Identity
from net.names.registrar import Registrar
from net.peering.network import NetworkConfig
from tests.net.world import GENESIS, PORT, REGISTRAR, Node, World, host_of


def registrar_in(world: World, records: Sequence[HeldRecord] = (), **config: float) -> Node:
    """The registrar's node, with what it had on its disk."""
    return world.add(REGISTRAR, Registrar(REGISTRAR, records), NetworkConfig(**config))  # type: ignore[arg-type]


def join(
    world: World, identity: Identity, directory: RegistrarDirectory | None = None, port: int = PORT, **config: object
) -> Node:
    """A node that registers at its port."""
    endpoints = (Endpoint(host_of(identity.name), port),)
    chosen = replace(NetworkConfig(endpoints=endpoints, register=True), **config)  # type: ignore[arg-type]
    alias = identity.name if port == PORT else f"{identity.name} at {port}"
    node = world.add(identity, directory or RegistrarDirectory(GENESIS), chosen, port=None, alias=alias)
    world.listening[(host_of(identity.name), port)] = node
    return node


def joined(*identities: Identity, **config: object) -> tuple[World, Node, list[Node]]:
    """A world, its registrar, and nodes that have registered."""
    world = World()
    registrar = registrar_in(world)
    nodes = [join(world, identity, **config) for identity in identities]  # type: ignore[arg-type]
    world.settle()
    return world, registrar, nodes


def stored(node: Node) -> list[HeldRecord]:
    """What the node would have on its disk."""
    return [event.record for event in node.events if isinstance(event, RecordStored)]


def outcome(node: Node) -> list[object]:
    """How the node's registrations ended."""
    return [event.reason if isinstance(event, RegistrationFailed) else "granted" for event in registrations(node)]


def registrations(node: Node) -> list[Registered | RegistrationFailed]:
    """The events that end registrations."""
    return [event for event in node.events if isinstance(event, Registered | RegistrationFailed)]
