"""Bodies that the core reads piece by piece, over real sockets: no more than a piece waits, and none is read before."""

from __future__ import annotations

import pytest
import trio
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamEnded

from nectar_node.contract.http import (
    HttpAnswer,
    HttpBodyPiece,
    HttpGone,
    HttpHead,
    HttpReadPiece,
    HttpRequest,
)
from nectar_node.driver.browsers import limits
from nectar_node.http.bodies.body_files import PIECE_BYTES
from tests.nectar_node.driver.browsers.test_http_attacks import http_2
from tests.nectar_node.driver.browsers.test_http_door import OpenDoor, everything, opened, request, status, until
from tests.nectar_node.driver.browsers.test_http_door import certificate as certificate

MOST_READ_AHEAD = PIECE_BYTES + limits.PIECE_BYTES
"""Bytes of a piece at most."""


class Reader:
    """A core that reads bodies piece by piece."""

    def __init__(self, door: OpenDoor, *, stops_after: int = 1 << 40, refuses: bool = False) -> None:
        """It wants no more pieces after so many bytes, or `refuses` then."""
        self.door = door
        self.heads: list[HttpHead] = []
        self.body = bytearray()
        self.sizes: list[int] = []
        self.most_held = 0
        self._stops_after = stops_after
        self._refuses = refuses
        self._others = door.door._application._tell
        door.door._application._tell = self._tell

    def _tell(self, event: object) -> None:
        if isinstance(event, HttpHead):
            self.heads.append(event)
            self._go_on(event.request.token)
        elif isinstance(event, HttpBodyPiece):
            self.body += event.data
            self.sizes.append(len(event.data))
            self.most_held = max(self.most_held, self.door.door._application._bodies)
            if event.is_last:
                self.answer(event.token, 200)
            else:
                self._go_on(event.token)
        else:
            self._others(event)  # type: ignore[arg-type]

    def _go_on(self, token: object) -> None:
        if len(self.body) < self._stops_after:
            self.door.door.perform(HttpReadPiece(token))
        elif self._refuses:
            self.answer(token, 507)

    def answer(self, token: object, status: int) -> None:
        self.door.door.perform(HttpAnswer(token, status, (), b""))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on sending what was refused is not listened to for long."""
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.1)


def post(*headers: bytes) -> bytes:
    return request("/take", *headers, method="POST")


async def test_a_body_comes_whole_in_pieces_of_which_one_is_in_memory() -> None:
    body = bytes(range(256)) * 40_000
    async with opened() as door:
        core = Reader(door)
        answer = await door.ask(post(b"Content-Length: %d" % len(body)) + body)
        assert status(answer) == 200
        assert bytes(core.body) == body
        assert max(core.sizes) <= MOST_READ_AHEAD
        assert core.most_held == PIECE_BYTES
        assert core.heads[0].length == len(body)
        assert core.heads[0].request.body == b""
        assert not door.events, "it comes no second time"


async def test_a_body_without_a_length_comes_whole_too() -> None:
    async with opened() as door:
        core = Reader(door)
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        answer = await door.ask(post(b"Transfer-Encoding: chunked") + chunk * 20 + b"0\r\n\r\n")
        assert status(answer) == 200
        assert len(core.body) == 20 * 0x10000
        assert core.heads[0].length is None


async def test_what_the_core_does_not_want_yet_stays_with_the_browser() -> None:
    async with opened() as door, await door.connect() as stream:
        core = Reader(door, stops_after=1)
        await stream.send_all(post(b"Content-Length: 1000000000"))
        await until(lambda: bool(core.heads))
        with trio.move_on_after(0.3) as limit:
            await stream.send_all(bytes(64 << 20))
        assert limit.cancelled_caught, "it waits in the browser"
        assert len(core.body) <= MOST_READ_AHEAD


async def test_a_refusal_by_the_head_comes_before_anything_is_read() -> None:
    async with opened() as door, await door.connect() as stream:
        core = Reader(door, stops_after=0, refuses=True)
        await stream.send_all(post(b"Content-Length: 1000000000", b"Expect: 100-continue"))
        assert b" 507 " in await everything(stream)
        assert not core.body


async def test_a_refusal_in_the_midst_ends_the_request() -> None:
    async with opened() as door, await door.connect() as stream:
        Reader(door, stops_after=PIECE_BYTES, refuses=True)
        await stream.send_all(post(b"Content-Length: 1000000000") + bytes(PIECE_BYTES + 1))
        assert status(await everything(stream)) == 507


async def test_the_core_is_told_of_a_browser_that_goes_in_the_middle() -> None:
    async with opened() as door:
        core = Reader(door)
        stream = await door.connect()
        await stream.send_all(post(b"Content-Length: 1000000") + bytes(PIECE_BYTES + 1))
        await until(lambda: bool(core.body))
        await stream.aclose()
        await until(lambda: any(isinstance(event, HttpGone) for event in door.events))


async def test_a_door_that_closes_answers_who_is_sending_and_tells_the_core() -> None:
    async with opened() as door, await door.connect() as stream:
        core = Reader(door)
        await stream.send_all(post(b"Content-Length: 1000000") + bytes(PIECE_BYTES + 1))
        await until(lambda: bool(core.body))
        await door.door.close()
        assert status(await everything(stream)) == 503
        assert sum(isinstance(event, HttpGone) for event in door.events) == 1


async def test_by_http_2_a_body_comes_piece_by_piece_too_and_its_length_may_be_missing(
    certificate: tuple[str, str],
) -> None:
    fields = {":method": "POST", ":scheme": "https", ":path": "/take", ":authority": "localhost"}
    async with opened(tls=certificate) as door, http_2(door.port, certificate[0]) as (stream, sender):
        core = Reader(door)
        sender.send_headers(1, list(fields.items()))
        for _ in range(3):
            sender.send_data(1, bytes(16_000))
        sender.send_data(1, b"", end_stream=True)
        assert await _ended(stream, sender) == 200
        assert bytes(core.body) == bytes(48_000)
        assert core.heads[0].length is None


async def test_requests_without_a_body_are_told_at_once(certificate: tuple[str, str]) -> None:
    async with opened() as door:
        core = Reader(door)
        await door.ask(request("/a") + b"")
        await door.ask(request("/b", b"Content-Length: 0", method="POST"))
        assert not core.heads
        assert [event.path for event in door.events if isinstance(event, HttpRequest)] == ["/a", "/b"]


async def _ended(stream: trio.SSLStream[trio.SocketStream], sender: H2Connection) -> int:
    code = 0
    with trio.fail_after(10):
        while True:
            await stream.send_all(sender.data_to_send())
            for event in sender.receive_data(bytes(await stream.receive_some())):
                if isinstance(event, ResponseReceived):
                    code = int(dict(event.headers)[b":status"])
                elif isinstance(event, StreamEnded):
                    return code
