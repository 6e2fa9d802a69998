"""(trio) Hostile peers over TCP: the bytes of each are carried by what carries a node's."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import trio

from nectar_node.contract.config import REGISTRAR_NAME, GenesisFile
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names.directory import Genesis
from testnet.hostile.behaviours import AttackOrder
from testnet.hostile.peer import AttackCounts, AttackingPeer

_LEAVES_WITHIN = 2.0
"""Seconds that their connections may take to end."""


class _Driven:
    """One attacker and its driver."""

    def __init__(self, peer: AttackingPeer, nursery: trio.Nursery, source: str | None) -> None:
        self.peer = peer
        transport = TcpTransport()
        transport.dial_from(source)
        self._driver = Driver(peer, transport, nursery, self._turn, trio.current_time)

    def _turn(self) -> None:
        actions = self.peer.actions
        while actions:
            self._driver.handle(actions.popleft())

    async def play(self) -> None:
        """Run until it is cancelled."""
        while True:
            await trio.sleep_until(self.peer.next_deadline())
            self.peer.on_timer(trio.current_time())
            self._turn()

    async def leave(self) -> None:
        """End its connections."""
        self.peer.leave()
        self._turn()
        await self._driver.closed()


async def attack(
    folder: Path, orders: Sequence[AttackOrder], seed: int, until: trio.Event, source: str | None = None
) -> list[AttackCounts]:
    """Attack nodes of the testnet in `folder` until `over`, from the address `source` if there is one; return the
    counts of each attacker. Raises CannotJoin."""
    genesis = GenesisFile.load(folder).genesis()
    async with trio.open_nursery() as carriers:
        driven = [_Driven(_peer(order, genesis, seed), carriers, source) for order in orders]
        async with trio.open_nursery() as players:
            for each in driven:
                players.start_soon(each.play)
            await until.wait()
            players.cancel_scope.cancel()
        with trio.move_on_after(_LEAVES_WITHIN):
            async with trio.open_nursery() as leaving:
                for each in driven:
                    leaving.start_soon(each.leave)
        carriers.cancel_scope.cancel()
    return [each.peer.counts for each in driven]


def _peer(order: AttackOrder, genesis: Genesis, seed: int) -> AttackingPeer:
    now = trio.current_time()
    chance = Random(f"{seed}/{order.behaviour}/{time.time_ns()}")
    return AttackingPeer(order, genesis, chance, unix=time.time() - now, now=now)


def attack_for(folder: Path, orders: Sequence[AttackOrder], seed: int, seconds: float) -> list[AttackCounts]:
    """Attack for so many seconds, for callers without an event loop. Raises KeyboardInterrupt by itself, not in a
    group."""
    take_descriptors()
    try:
        return trio.run(_attack_for, folder, orders, seed, seconds)
    except* KeyboardInterrupt:
        pass
    raise KeyboardInterrupt


async def _attack_for(folder: Path, orders: Sequence[AttackOrder], seed: int, seconds: float) -> list[AttackCounts]:
    until = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_set_after, seconds, until)
        return await attack(folder, orders, seed, until)
    raise AssertionError("a nursery does not end by itself while its body runs")


async def _set_after(seconds: float, event: trio.Event) -> None:
    await trio.sleep(seconds)
    event.set()


def take_descriptors() -> None:
    """Raise the limit of descriptors to its maximum: an attacker has hundreds of connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def is_registrar(name: str) -> bool:
    """Whether that node answers look-ups."""
    return name == REGISTRAR_NAME
