"""Browsers that ask without a pause hold up neither the rest of a node nor another package's page: counted in turns."""

from __future__ import annotations

import trio

from kernel.contract.address import PackageId
from nectar_node.contract.http import HttpAnswer, HttpRequest
from tests.nectar_node.driver.browsers.test_http_door import OpenDoor, opened, request

BROWSERS = 80
PIPELINED = 8
"""Requests that each browser sends at once, and again without a pause."""
FEW = 32
"""Requests: twice those of a round, since a task that is ready has its step in this round or in the next."""
BUSY, QUIET = PackageId("busy", "sys"), PackageId("quiet", "sys")


def answer(asked: HttpRequest) -> HttpAnswer:
    """As the pages of two packages are."""
    return HttpAnswer(asked.token, 200, (), b"page", QUIET if asked.path == "/quiet" else BUSY)


def kept(path: str) -> bytes:
    """A request after which the connection goes on."""
    return request(path).replace(b"Connection: close\r\n", b"")


async def flood(door: OpenDoor, headers: tuple[bytes, ...]) -> None:
    """Ask for the busy page without a pause, and read what comes."""
    async with await door.connect() as stream, trio.open_nursery() as nursery:

        async def read() -> None:
            while await stream.receive_some(1 << 16):
                pass

        nursery.start_soon(read)
        while True:
            await stream.send_all(request("/busy", *headers).replace(b"Connection: close\r\n", b"") * PIPELINED)


async def flooded(door: OpenDoor, nursery: trio.Nursery, *headers: bytes) -> None:
    """Begin to flood a door, and come back when all browsers are there."""
    for _ in range(BROWSERS):
        nursery.start_soon(flood, door, headers)
    while len(door.door._watch.streams) < BROWSERS or len(door.events) < 4 * BROWSERS:
        await trio.lowlevel.checkpoint()


async def test_whatever_the_browsers_ask_for_everything_else_has_its_turn_after_a_few_requests() -> None:
    async with opened(answer, BROWSERS) as door, trio.open_nursery() as nursery:
        await flooded(door, nursery)
        between = []
        for _ in range(40):
            before = len(door.events)
            await trio.lowlevel.checkpoint()  # as whoever carries a message does
            between.append(len(door.events) - before)
        assert max(between) <= FEW
        assert sum(between) >= 40, "the browsers are answered, too"
        nursery.cancel_scope.cancel()


async def test_requests_with_bodies_wait_for_their_turns_too() -> None:
    async with opened(answer, BROWSERS) as door, trio.open_nursery() as nursery:
        await flooded(door, nursery, b"Content-Length: 0")
        for _ in range(30):
            before = len(door.events)
            await trio.lowlevel.checkpoint()
            assert len(door.events) - before <= FEW
        nursery.cancel_scope.cancel()


async def test_another_packages_page_comes_after_a_few_of_a_package_that_is_asked_without_a_pause() -> None:
    async with (
        opened(answer, BROWSERS + 1) as door,
        await door.connect() as quiet,
        trio.open_nursery() as nursery,
    ):
        await quiet.send_all(kept("/quiet"))
        assert b"200" in await quiet.receive_some()
        await flooded(door, nursery)
        for _ in range(8):
            before = len(door.events)
            await quiet.send_all(kept("/quiet"))
            while all(each.path != "/quiet" for each in door.events[before:] if isinstance(each, HttpRequest)):
                await trio.lowlevel.checkpoint()
            assert len(door.events) - before <= 2 * FEW
            assert b"200" in await quiet.receive_some()
        nursery.cancel_scope.cancel()
