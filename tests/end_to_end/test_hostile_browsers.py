"""Browsers that mean no good with WebSockets: others are served meanwhile, and nothing is left of them."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.model.packages import find_package
from testnet.real.local import LocalTestnet
from tests.waiting import until
from tests.web_sockets import web_socket

NODE = "held.nec"
PAGE = "/pages:pages:sys/live"
MANY = int(os.environ.get("NECTAR_HOSTILE_BROWSERS", "100"))
"""WebSockets in a row, and a measure for all else: with 100,000 the tiny frames are a million."""
HANDSHAKE = (
    f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
MASK = b"\0\0\0\0"
TEXT, FIRST, NEXT, PING = (
    b"\x81\x81" + MASK + b"x",
    b"\x01\x81" + MASK + b"x",
    b"\x00\x81" + MASK + b"x",
    b"\x89\x80" + MASK,
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    with LocalTestnet(tmp_path_factory.mktemp("held") / "testnet") as network:
        network.boot({NODE: BootOptions(packages=(find_package("pages", ()),), http=(LOOPBACK, 0))})
        yield network


async def connect(port: int) -> trio.SocketStream:
    """A connection whose WebSocket has been accepted."""
    stream = await trio.open_tcp_stream(LOOPBACK, port)
    await stream.send_all(HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += bytes(await stream.receive_some())
    assert head.startswith(b"HTTP/1.1 101")
    return stream


async def open_and_leave(port: int) -> None:
    for number in range(MANY):
        stream = await connect(port)
        if number % 3 == 0:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif number % 3 == 1:
            await stream.send_all(b"\x88\x80" + MASK)
        await stream.aclose()


async def ask_by_halves(port: int) -> None:
    """More connections than there are places, none of which says all of what it wants."""
    streams = []
    for number in range(300):
        stream = await trio.open_tcp_stream(LOOPBACK, port)
        streams.append(stream)
        await stream.send_all(HANDSHAKE[: number % (len(HANDSHAKE) - 2)])
    await is_served(port)
    for stream in streams:
        await stream.aclose()


async def send_and_take(port: int, data: bytes) -> None:
    """Send all of it, and take what comes meanwhile."""
    async with await connect(port) as stream, trio.open_nursery() as nursery:

        async def take() -> None:
            while await stream.receive_some():
                pass

        nursery.start_soon(take)
        for begin in range(0, len(data), 1 << 16):
            await stream.send_all(data[begin : begin + (1 << 16)])
        await is_served(port)
        nursery.cancel_scope.cancel()


async def send_tiny_frames(port: int) -> None:
    await send_and_take(port, TEXT * MANY * 10)


async def never_finish_a_message(port: int) -> None:
    await send_and_take(port, FIRST + NEXT * MANY * 50)


async def flood_with_pings(port: int) -> None:
    await send_and_take(port, PING * MANY * 10)


async def say_goodbye_to_nobody(port: int) -> None:
    """Let WebSockets be, without a word, after all that was sent to them has been left unread."""
    streams = [await connect(port) for _ in range(20)]
    for stream in streams:
        await stream.send_all(TEXT * MANY + b"\x88\x80" + MASK)
    await is_served(port)
    for stream in streams:
        stream.socket.close()


async def is_served(port: int) -> None:
    """Another browser talks to the process."""
    async with web_socket(port, PAGE) as client:
        await client.send("hello")
        assert await client.receive() == "hello"


ATTACKS = (
    *(open_and_leave, ask_by_halves, send_tiny_frames),
    *(never_finish_a_message, flood_with_pings, say_goodbye_to_nobody),
)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_others_are_served_and_nothing_is_left(
    network: LocalTestnet, attack: Callable[[int], Awaitable[None]]
) -> None:
    port = int(str(network.status(NODE)["http"]).rpartition(":")[2])

    def left() -> tuple[int, int]:
        descriptors = network.status(NODE)["descriptors"]
        assert isinstance(descriptors, dict)
        opened = network.message(NODE, "our@pages:pages:sys", '{"Open":null}', 60)["body"]
        return int(json.loads(str(opened))["Open"]), int(descriptors["used"])

    before = await trio.to_thread.run_sync(left)
    with trio.fail_after(60 + MANY / 10):
        await attack(port)
    await trio.to_thread.run_sync(until, lambda: all(now <= then for now, then in zip(left(), before, strict=True)))
    assert "failed at" not in network.log(NODE)
