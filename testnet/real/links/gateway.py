"""(trio) The way from the links of one machine to a node of another one: through the links there.

    node a ── door of b, faults (machine one) ══ network ══ gateway (machine two) ── node b

All machines of a testnet give its nodes the same loopback addresses, so a name record means the same everywhere: the
links of the machine where that is. Every connection is judged once, by the links of the machine that dials, in both
directions. What a gateway adds is a copy, and that the node sees the address of the node that has dialed.

A gateway listens for everybody, and lets in who knows the testnet's secret:

    gateway -> nonce (16 bytes)
    dialer  -> length (1 byte), "SOURCE TARGET", BLAKE2s of nonce and text, keyed with the secret (32 bytes)
    gateway -> "+": what follows is the node's; "-": nobody listens there

That only tells who dials whom: nodes prove their names to each other, and encrypt, whatever lies between them.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import trio

from net.base.node_names import is_node_name
from testnet.model.rule import Link
from testnet.real.links import sockets
from testnet.real.links.door import Door
from testnet.real.links.elsewhere import Endpoints
from testnet.real.links.rules import Rules
from testnet.real.links.stream import Counts, ProxiedConnection
from testnet.real.nodes.addresses import NodePlace

NONCE_BYTES = 16
PROOF_BYTES = 32
GREETING_SECONDS = 10.0
"""Seconds in which a dialer must have shown that it knows the secret."""
DIAL_SECONDS = 30.0
"""Seconds in which another machine's gateway must have answered."""
MAX_GREETING = 128
"""The most connections at a time that have not shown it yet: each is a descriptor."""
MAX_GREETING_EACH = 32
"""The most of them from one address, so that a stranger does not take the places of other machines."""
_IN, _NOBODY = b"+", b"-"
_LOOK_SECONDS = 1.0
"""Seconds between two checks whether a node of another machine that was down listens again: each goes there."""


def proof(secret: bytes, nonce: bytes, text: bytes) -> bytes:
    """Return what shows that its maker knows the secret."""
    return hashlib.blake2s(nonce + text, key=secret, digest_size=PROOF_BYTES).digest()


async def dial(endpoint: tuple[str, int], secret: bytes, source: str, target: str) -> socket.socket:
    """Return a connection to the node `target` behind the gateway at `endpoint`, as from the node `source`, which is
    "" for none; raises OSError, and ConnectionRefusedError if nobody listens there."""
    connection = None
    try:
        with trio.fail_after(DIAL_SECONDS):
            connection = await sockets.connect(endpoint, None)
            nonce = await _receive(connection, NONCE_BYTES)
            text = f"{source} {target}".encode()
            await sockets.send_all(connection, bytes([len(text)]) + text + proof(secret, nonce, text))
            answer = await _receive(connection, 1)
    except BaseException as error:
        if connection is not None:
            sockets.reset(connection)
        if isinstance(error, trio.TooSlowError):
            raise TimeoutError(f"the links at {endpoint[0]}:{endpoint[1]} do not answer") from error
        raise
    if answer != _IN:
        sockets.close(connection)
        raise ConnectionRefusedError(f"{target} does not listen")
    return connection


async def _receive(connection: socket.socket, count: int) -> bytes:
    """Read exactly so many bytes; raises OSError, also at the end of the connection."""
    data = bytearray(count)
    view, there = memoryview(data), 0
    while there < count:
        got = await sockets.receive_into(connection, view[there:])
        if not got:
            raise ConnectionResetError("the connection has ended")
        there += got
    return bytes(data)


class FarDoor(Door):
    """The door before a node of another machine."""

    look_seconds = _LOOK_SECONDS

    def __init__(
        self,
        name: str,
        place: NodePlace,
        rules: Rules,
        enter: Callable[[socket.socket, str], None],
        far: Far,
        names: Mapping[str, str],
    ) -> None:
        """As `Door`; `names` are those of the nodes by their addresses."""
        self._far = far
        self._names = names
        super().__init__(name, place, rules, enter)

    async def _reach(self, source: str | None) -> socket.socket:
        endpoint = self._far.endpoints.get(self._name)
        if endpoint is None:
            raise OSError(f"it is not known yet where {self._name} is")
        return await dial(endpoint, self._far.secret, self._names.get(source or "", ""), self._name)


class Far:
    """What the links know of other machines."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.endpoints: Endpoints = {}
        """Where the gateway before a node is, by the node's name."""


class Gateway:
    """Lets in connections of the links of other machines, to the nodes that are here."""

    def __init__(self, listener: socket.socket, secret: bytes, places: Callable[[str], NodePlace | None]) -> None:
        """`listener` is closed at the end. `places` tells the place of each node of the testnet by its name; None:
        there is no such one."""
        self._listener = listener
        self._secret = secret
        self._places = places
        self._greeting: Counter[str] = Counter()
        """Connections that have not shown it yet, by their addresses."""
        self._numbers = itertools.count(1)

    @property
    def port(self) -> int:
        """Return the port where it listens."""
        return int(self._listener.getsockname()[1])

    async def serve(self, here: Callable[[str], bool]) -> None:
        """Let in connections to the nodes that are `here`; runs for ever."""
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    connection, address = await sockets.accept(self._listener)
                    if self._greeting.total() >= MAX_GREETING or self._greeting[address] >= MAX_GREETING_EACH:
                        sockets.reset(connection)
                    else:
                        self._greeting[address] += 1
                        nursery.start_soon(self._let_in, connection, address, here)
        finally:
            sockets.close(self._listener)

    async def _let_in(self, client: socket.socket, address: str, here: Callable[[str], bool]) -> None:
        server = None
        try:
            try:
                with trio.fail_after(GREETING_SECONDS):
                    link = await self._greet_untrusted(client)
            finally:
                self._greeting -= Counter((address,))
            place = self._places(link.target) if here(link.target) else None
            source = self._places(link.source) if link.source else None
            if place is not None:
                try:
                    server = await sockets.connect(place.endpoint, source.host if source is not None else None)
                except ConnectionRefusedError:
                    place = None
            if server is None:
                await sockets.send_all(client, _NOBODY)
                return
            await sockets.send_all(client, _IN)
            counts: defaultdict[Link, Counts] = defaultdict(Counts)
            connection = ProxiedConnection(next(self._numbers), link, client, server)
            await connection.run(Rules(lambda: 0.0), counts)
        except (OSError, ValueError, trio.TooSlowError):
            sockets.reset(client)
        finally:
            sockets.close(client)
            if server is not None:
                sockets.reset(server)

    async def _greet_untrusted(self, client: socket.socket) -> Link:
        """Return who dials whom; raises ValueError if the dialer does not know the secret, and OSError."""
        nonce = os.urandom(NONCE_BYTES)
        await sockets.send_all(client, nonce)
        text = await _receive(client, (await _receive(client, 1))[0])
        if not hmac.compare_digest(await _receive(client, PROOF_BYTES), proof(self._secret, nonce, text)):
            raise ValueError("the dialer does not know the secret")
        source, _, target = text.decode("ascii").partition(" ")
        if not is_node_name(target) or (source and not is_node_name(source)):
            raise ValueError("no names of nodes")
        return Link(source, target)
