"""The server of the page over real sockets: those who follow, fast and slow."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio
import trio.testing

from nectar_node.contract.config import LOOPBACK, HttpPlace
from nectar_node.driver.browsers.door_sockets import open_door
from nectar_node.http.sessions import WebSessions
from nectar_node.launcher.local_network import LocalNetwork
from testnet.web.carry_out import Hands
from testnet.web.chaos_runs import ChaosRuns
from testnet.web.driver import MAX_FOLLOWERS, WatchDoor
from testnet.web.site import EVENTS, PageSite

LIMIT = 60.0
"""Seconds after which something is taken to hang."""


@dataclass
class Served:
    """A server that runs, and somebody who is signed in."""

    door: WatchDoor
    port: int
    cookie: str = ""
    failures: list[str] = field(default_factory=list)

    async def follow(self, receive_bytes: int | None = None) -> trio.SocketStream:
        """Begin to follow, with a buffer of so many bytes."""
        raw = trio.socket.socket()
        if receive_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        await raw.connect((LOOPBACK, self.port))
        stream = trio.SocketStream(raw)
        await stream.send_all(f"GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\n\r\n".encode())
        return stream

    async def ask(self, path: str) -> bytes:
        """The whole answer to a GET."""
        async with await trio.open_tcp_stream(LOOPBACK, self.port) as stream:
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\nConnection: close\r\n\r\n"
            await stream.send_all(head.encode())
            return b"".join([piece async for piece in stream])


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    opened, network = open_door(HttpPlace(LOOPBACK, 0)), LocalNetwork(folder)
    numbers = iter(range(1, 1000))
    site = PageSite(opened.port, {}, WebSessions(lambda: next(numbers)))
    failures: list[str] = []
    door = WatchDoor(opened, site, Hands(network, ChaosRuns(network)), lambda _, error: failures.append(repr(error)))
    it = Served(door, opened.port, failures=failures)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.serve)
            answer = await it.ask("/login?" + door.link().partition("?")[2])
            found = re.search(rb"set-cookie: ([^;]+)", answer)
            assert found is not None, answer
            it.cookie = found[1].decode()
            yield it
            await door.close()
            nursery.cancel_scope.cancel()
    assert failures == []


async def until(stream: trio.SocketStream, word: bytes) -> bytes:
    """All that comes, to the piece with that word."""
    read = bytearray()
    while word not in read:
        piece = await stream.receive_some()
        assert piece, bytes(read[-200:])
        read += piece
    return bytes(read)


async def test_several_pages_follow_at_once_and_begin_with_the_newest(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        it.door.tell("look", "first")
        it.door.tell("look", "second")
        pages = [await it.follow() for _ in range(3)]
        for page in pages:
            head = await until(page, b'"second"')
            assert b"content-type: text/event-stream" in head
            assert b'"first"' not in head
        it.door.tell("look", "third")
        for page in pages:
            await until(page, b'"third"')


async def test_who_is_slow_skips_to_the_newest_and_holds_up_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        slow, fast = await it.follow(receive_bytes=4096), await it.follow()
        large = "x" * 500_000
        for number in range(60):
            it.door.tell("look", f"{number}/{large}")
            await until(fast, b'x"\n\n')
        it.door.tell("look", "last")
        read = await until(slow, b'"last"')
        assert len(read) < 30 * len(large), "it was sent what it could have skipped"


async def test_the_server_ends_at_once_though_somebody_reads_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await it.follow(receive_bytes=4096)
        for number in range(20):
            it.door.tell("look", f"{number}{'x' * 500_000}")
            await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await it.door.close()
        assert trio.current_time() - began < 10.0


async def test_no_more_pages_follow_than_there_is_room_for(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        it.door.tell("look", "here")
        pages = [await it.follow() for _ in range(MAX_FOLLOWERS)]
        for page in pages:
            await until(page, b'"here"')
        assert (await it.ask(EVENTS)).startswith(b"HTTP/1.1 503 ")
        await pages[0].aclose()
        while not (again := await (await it.follow()).receive_some()).startswith(b"HTTP/1.1 200 "):
            assert again.startswith(b"HTTP/1.1 503 ")
