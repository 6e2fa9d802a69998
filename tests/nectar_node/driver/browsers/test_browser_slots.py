"""No browser, and no address, keeps all others from being served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from nectar_node.contract.http import HttpAnswer, HttpRequest
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.browser_slots import BrowserSlot, BrowserSlots
from tests.nectar_node.driver.browsers.test_http_door import OpenDoor, echo, opened, request, status, until

PLACES = 4
Hold = Callable[[OpenDoor, trio.SocketStream], Awaitable[None]]


def answer(asked: HttpRequest) -> HttpAnswer | None:
    """As `echo`, and much at /much."""
    return HttpAnswer(asked.token, 200, (), bytes(32 << 20)) if asked.path == "/much" else echo(asked)


async def _send_slowly(door: OpenDoor, stream: trio.SocketStream) -> None:
    await stream.send_all(request("/", b"Content-Length: 100000", method="POST"))
    while True:
        await stream.send_all(b"x")
        await trio.sleep(limits.STALL_SECONDS / 10)


async def _read_slowly(door: OpenDoor, stream: trio.SocketStream) -> None:
    await stream.send_all(request("/much"))
    for _ in range(100_000):
        await stream.receive_some(1)
        await trio.sleep(limits.STALL_SECONDS / 10)


async def _wait_for_a_process(door: OpenDoor, stream: trio.SocketStream) -> None:
    await stream.send_all(request("/wait"))
    await stream.receive_some()


@asynccontextmanager
async def held(door: OpenDoor, hold: Hold) -> AsyncIterator[None]:
    """Let all places of a door be held."""

    async def one() -> None:
        try:
            async with await door.connect() as stream:
                await hold(door, stream)
        except trio.BrokenResourceError:
            pass  # it has given way

    async with trio.open_nursery() as nursery:
        for _ in range(PLACES):
            nursery.start_soon(one)
        await until(lambda: len(door.door._slots._busy) == PLACES)
        yield
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("hold", [_send_slowly, _read_slowly, _wait_for_a_process])
async def test_requests_that_make_no_progress_give_way_to_others(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.3)
    async with opened(answer, PLACES) as door, held(door, hold):
        for number in range(2 * PLACES):
            assert status(await door.ask(request(f"/{number}"))) == 200


async def test_who_sends_a_body_at_a_fair_rate_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALL_SECONDS", 1.0)
    async with opened(answer, 1) as door, await door.connect() as steady, trio.open_nursery() as nursery:
        pieces = 16
        length = pieces * limits.PROGRESS_BYTES
        await steady.send_all(request("/", b"Content-Length: %d" % length, method="POST"))

        async def other() -> None:
            assert status(await door.ask(request("/other"))) == 200

        nursery.start_soon(other)
        for _ in range(pieces):
            await steady.send_all(bytes(limits.PROGRESS_BYTES))
            await trio.sleep(limits.STALL_SECONDS / 10)
        assert status(bytes(await steady.receive_some())) == 200
        assert next(each.path for each in door.events if isinstance(each, HttpRequest)) == "/"


class Ended(list[str]):
    """The names of connections that have been told to end, and their slots."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.slots = BrowserSlots(most)
        self.of: dict[str, BrowserSlot] = {}

    async def take(self, name: str, host: str = "127.0.0.1", *, busy: bool = True) -> bool:
        def end() -> None:
            self.append(name)
            self.of.pop(name).release()

        slot = await self.slots.take(end, host)
        if slot is None:
            return False
        self.of[name] = slot
        slot.idles(idle=not busy)
        return True


async def test_the_request_goes_whose_last_progress_is_furthest_back(autojump_clock: MockClock) -> None:
    ended = Ended(3)
    for name in "abc":
        await ended.take(name)
        await trio.sleep(1.0)
    ended.of["a"].moved(limits.PROGRESS_BYTES)
    ended.of["b"].moved(limits.PROGRESS_BYTES - 1)
    await ended.take("d")
    assert (ended, trio.current_time()) == (["b"], 1.0 + limits.STALL_SECONDS)
    await ended.take("e")
    assert (ended, trio.current_time()) == (["b", "c"], 2.0 + limits.STALL_SECONDS)
    await ended.take("f")
    assert (ended, trio.current_time()) == (["b", "c", "a"], 3.0 + limits.STALL_SECONDS)


@pytest.mark.parametrize(
    "hosts", [("192.0.2.1",) * 9, ("::ffff:192.0.2.1",) * 9, tuple(f"2001:db8::{n}" for n in range(1, 10))]
)
async def test_an_address_of_another_machine_has_half_of_the_places(hosts: tuple[str, ...]) -> None:
    ended = Ended(8)
    assert [await ended.take(str(n), host) for n, host in enumerate(hosts)] == [True] * 4 + [False] * 5
    assert await ended.take("other", "192.0.2.2")
    assert await ended.take("other network", "2001:db8:0:1::1")
    assert not ended
    ended.of["0"].release()
    assert await ended.take("again", hosts[0])
    ended.of["again"].idles(idle=True)
    assert await ended.take("instead of one that does nothing", hosts[0])
    assert ended == ["again"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_browsers_of_this_machine_have_all_places(host: str) -> None:
    ended = Ended(8)
    assert all([await ended.take(str(n), host) for n in range(8)])
    assert not ended.slots._of
