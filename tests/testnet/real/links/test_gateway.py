"""The links of another machine lead to its nodes, for those who know the testnet's secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from testnet.faults.partition import Partition
from testnet.model.where import Where
from testnet.real.links import gateway, sockets
from testnet.real.links.fabric import Links, open_links
from testnet.real.links.gateway import MAX_GREETING_EACH, NONCE_BYTES, Far, Gateway, dial, proof
from testnet.real.nodes.addresses import LoopbackNetwork, NodePlace
from tests.testnet.real.links.rig import LIMIT, A, B, receive_all

SECRET = b"s" * 32


class Machines:
    """a.nec is on one machine, with links; b.nec is on another one, behind a gateway, and says who has dialed."""

    def __init__(self, folder: Path, links: Links, port: int, there: Gateway) -> None:
        network = LoopbackNetwork.of(folder)
        self.a, self.b = network.place(0), network.place(1)
        self.links = links
        self.port = port
        self.there = there

    async def dial(self) -> trio.SocketStream:
        """A connection from A to B."""
        return trio.SocketStream(trio.socket.from_stdlib_socket(await sockets.connect(self.b.front, self.a.host)))

    async def raw(self) -> trio.SocketStream:
        """A connection to the gateway itself."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)


@asynccontextmanager
async def machines(folder: Path, *, secret: bytes = SECRET, listens: bool = True) -> AsyncIterator[Machines]:
    network = LoopbackNetwork.of(folder)
    places: dict[str, NodePlace] = {A: network.place(0), B: network.place(1)}
    async with open_links() as links, trio.open_nursery() as nursery:
        there = Gateway(sockets.listen(("127.0.0.1", 0)), SECRET, places.get)
        nursery.start_soon(there.serve, {B}.__contains__)
        far = Far(secret)
        far.endpoints = {B: ("127.0.0.1", there.port)}
        links.add(A, places[A])
        links.add(B, places[B], far)

        async def greet(stream: trio.SocketStream) -> None:
            await stream.send_all(stream.socket.getpeername()[0].encode() + b" ")
            async for data in stream:
                await stream.send_all(data)
            await stream.send_eof()

        async def serve() -> None:
            await trio.serve_tcp(greet, places[B].port, host=places[B].host)

        if listens:
            nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(LIMIT):
            yield Machines(folder, links, there.port, there)
        nursery.cancel_scope.cancel()


async def test_a_node_of_another_machine_sees_the_address_of_the_node_that_dials(tmp_path: Path) -> None:
    async with machines(tmp_path) as two, await two.dial() as stream:
        await stream.send_all(b"x" * 100_000)
        await stream.send_eof()
        assert await receive_all(stream) == two.a.host.encode() + b" " + b"x" * 100_000


async def test_a_connection_is_judged_once_where_it_is_dialed(tmp_path: Path) -> None:
    async with machines(tmp_path) as two, await two.dial() as stream:
        assert await stream.receive_some() == two.a.host.encode() + b" "
        two.links.apply(Partition(Where(A, B)))
        await stream.send_all(b"held")
        with trio.move_on_after(0.2) as waited:
            await stream.receive_some()
        assert waited.cancelled_caught
        two.links.remove(1)
        assert await stream.receive_some() == b"held"
        assert [(row["source"], row["target"]) for row in two.links.statistics()] == [(A, B), (B, A)]


async def test_a_node_that_is_down_over_there_refuses_as_one_here_does(tmp_path: Path) -> None:
    async with machines(tmp_path, listens=False) as two:
        with pytest.raises(ConnectionRefusedError):
            await dial(("127.0.0.1", two.port), SECRET, A, B)
        refused = False
        while not refused:
            try:
                async with await two.dial() as stream:
                    await stream.receive_some()
            except ConnectionRefusedError:
                refused = True
            except trio.BrokenResourceError:
                continue


async def test_a_node_that_is_not_here_cannot_be_reached_through_a_gateway(tmp_path: Path) -> None:
    async with machines(tmp_path) as two:
        for target in (A, "nobody.nec"):
            with pytest.raises(ConnectionRefusedError):
                await dial(("127.0.0.1", two.port), SECRET, A, target)


async def test_who_does_not_know_the_secret_is_not_let_in(tmp_path: Path) -> None:
    async with machines(tmp_path, secret=b"o" * 32) as two:
        with pytest.raises(ConnectionResetError):
            await dial(("127.0.0.1", two.port), b"o" * 32, A, B)
        async with await two.dial() as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()


@pytest.mark.parametrize(
    "text", [b"", b" ", b"a.nec", b"a.nec b.nec x", b"../x b.nec", b"\xff b.nec", b"a.nec " + b"b" * 240]
)
async def test_a_greeting_that_names_no_nodes_is_refused_with_the_right_secret_too(tmp_path: Path, text: bytes) -> None:
    async with machines(tmp_path) as two, await two.raw() as stream:
        nonce = await stream.receive_some(NONCE_BYTES)
        await stream.send_all(bytes([len(text)]) + text + proof(SECRET, bytes(nonce), text))
        with pytest.raises(trio.BrokenResourceError):
            await receive_all(stream)


async def test_a_proof_for_one_connection_is_worth_nothing_on_another(tmp_path: Path) -> None:
    async with machines(tmp_path) as two, await two.raw() as first, await two.raw() as second:
        nonce = bytes(await first.receive_some(NONCE_BYTES))
        await second.receive_some(NONCE_BYTES)
        text = f"{A} {B}".encode()
        await second.send_all(bytes([len(text)]) + text + proof(SECRET, nonce, text))
        with pytest.raises(trio.BrokenResourceError):
            await receive_all(second)


async def test_who_says_nothing_keeps_no_descriptor_and_not_more_than_a_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "GREETING_SECONDS", 0.5)
    async with machines(tmp_path) as two:
        silent = [await two.raw() for _ in range(MAX_GREETING_EACH)]
        for stream in silent:
            await stream.receive_some(NONCE_BYTES)
        with pytest.raises((trio.BrokenResourceError, OSError)):  # it may be closed before it is open for us
            async with await two.raw() as beyond:
                await receive_all(beyond)
        for stream in silent:
            with pytest.raises(trio.BrokenResourceError):
                await receive_all(stream)
            await stream.aclose()
        async with await two.dial() as stream:
            assert await stream.receive_some() == two.a.host.encode() + b" "
