"""Asks a registrar for one name record, without a node: by a key that is made for this and forgotten (trio)."""

from __future__ import annotations

import os

import trio

from nectar_node.base.errors import CannotJoin
from nectar_node.contract.config import GenesisFile
from nectar_node.control.clock import wall_clock_offset
from net.contract.events import Close, Dial, Hold, LookedUp, Writable
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names.directory import NameRecord, RegistrarDirectory
from net.names.identity import KEY_BYTES, Identity
from net.peering.network import Network, NetworkConfig

LOOKUP_SECONDS = 6.0
"""Seconds until it is given up: a little more than a node's own search for its registrar takes."""


def look_up(genesis: GenesisFile, name: str, seconds: float = LOOKUP_SECONDS) -> NameRecord | None:
    """Return the record of `name`, or None if the registrar knows none that is valid. Raises CannotJoin if it does not
    answer.
    """
    return trio.run(_look_up, genesis, name, seconds)


async def _look_up(genesis: GenesisFile, name: str, seconds: float) -> NameRecord | None:
    offset = wall_clock_offset()
    identity = Identity(f"guest-{os.urandom(8).hex()}.nec", os.urandom(KEY_BYTES))
    directory = RegistrarDirectory(genesis.genesis())
    config = NetworkConfig(guest=True, wall_clock_offset=offset)
    network = Network(identity, directory, config, os.urandom, trio.current_time())
    found = trio.Event()
    async with trio.open_nursery() as nursery:

        def turn() -> None:
            while (event := network.next_event()) is not None:
                if isinstance(event, Dial | Close | Writable | Hold):
                    driver.handle(event)
                elif isinstance(event, LookedUp):
                    found.set()

        driver = Driver(network, TcpTransport(), nursery, turn, trio.current_time)
        network.look_up(name, trio.current_time())
        turn()
        with trio.move_on_after(seconds):
            while not found.is_set():
                deadline = network.next_deadline()
                with trio.move_on_at(trio.current_time() + seconds if deadline is None else deadline):
                    await found.wait()
                network.on_timer(trio.current_time())
                turn()
        answered = any(peer.bytes_received for peer in network.peers())
        nursery.cancel_scope.cancel()
    if not (found.is_set() and answered):
        raise CannotJoin(f"The registrar at {genesis.host}:{genesis.port} does not answer.")
    return network.record(name)
