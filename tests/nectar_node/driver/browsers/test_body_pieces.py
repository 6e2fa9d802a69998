"""Answers in pieces over real sockets: whole or visibly broken, one piece at a time, and gone when the browser is."""

from __future__ import annotations

import ssl

import pytest
import trio

from nectar_node.contract.http import HttpBroken, HttpGone, HttpPiece, HttpRequest, HttpStart, HttpTaken
from nectar_node.driver.browsers import limits
from tests.nectar_node.driver.browsers.test_http_door import OpenDoor, everything, opened, request, until
from tests.nectar_node.driver.browsers.test_http_door import certificate as certificate

PIECE = bytes(range(256)) * 1024


def start(request: HttpRequest) -> HttpStart:
    """Three pieces, of which the first is there; or the head alone."""
    piece = b"" if request.method == "HEAD" else PIECE
    return HttpStart(request.token, 200, (("x-a", "b"),), 3 * len(PIECE), piece)


async def read_piece(stream: trio.SocketStream) -> None:
    """Read the first piece."""
    read = 0
    while read < len(PIECE):
        read += len(await stream.receive_some(len(PIECE)))


def token_of(door: OpenDoor) -> object:
    return next(event.token for event in door.events if isinstance(event, HttpRequest))


def count(door: OpenDoor) -> int:
    return sum(isinstance(event, HttpTaken) for event in door.events)


def gone(door: OpenDoor) -> int:
    return sum(isinstance(event, HttpGone) for event in door.events)


def give_pieces(door: OpenDoor, most: int = 2) -> None:
    """Let the core send the next piece when one is taken, `most` in all, and then break it off."""

    def taken() -> None:
        if count(door) <= most:
            door.door.perform(HttpPiece(token_of(door), PIECE))
        elif most < 2:
            door.door.perform(HttpBroken(token_of(door)))

    door.taken = taken


async def test_an_answer_in_pieces_comes_whole_and_its_connection_goes_on() -> None:
    async with opened(start) as door:
        give_pieces(door)
        keep = request("/a").replace(b"Connection: close\r\n", b"")
        answer = await door.ask(keep + request("/b", method="HEAD"))
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert b"content-length: 786432" in head
        assert rest[: 3 * len(PIECE)] == PIECE * 3
        assert rest[3 * len(PIECE) :].startswith(b"HTTP/1.1 200")
        assert (count(door) >= 3, gone(door)) == (True, 0)


@pytest.mark.parametrize("most", [0, 1])
async def test_an_answer_that_breaks_off_is_shorter_than_it_said_and_ends_the_connection(most: int) -> None:
    async with opened(start) as door:
        give_pieces(door, most)
        keep = request("/a").replace(b"Connection: close\r\n", b"")
        answer = await door.ask(keep + request("/b"))
        assert len(answer.partition(b"\r\n\r\n")[2]) <= (1 + most) * len(PIECE)
        assert answer.count(b"HTTP/1.1") == 1
        assert gone(door) == 1


@pytest.mark.parametrize("more", [(), (b"Content-Length: 0",)])
async def test_an_answer_that_breaks_off_ends_a_connection_by_tls_too(
    certificate: tuple[str, str], more: tuple[bytes, ...]
) -> None:
    async with opened(start, tls=certificate) as door:
        give_pieces(door, 1)
        context = ssl.create_default_context(cafile=certificate[0])
        async with await trio.open_ssl_over_tcp_stream(
            "localhost", door.port, https_compatible=True, ssl_context=context
        ) as stream:
            await stream.send_all(request("/", *more).replace(b"Connection: close\r\n", b""))
            assert len((await everything(stream)).partition(b"\r\n\r\n")[2]) <= 2 * len(PIECE)
        assert gone(door) == 1


async def test_the_core_is_told_of_a_browser_that_goes_while_a_piece_is_waited_for() -> None:
    async with opened(start) as door:
        async with await door.connect() as stream:
            await stream.send_all(request("/"))
            await read_piece(stream)
            await until(lambda: count(door) == 1)
        await until(lambda: gone(door) == 1)
        assert not door.door._application._bodies_in_pieces


async def test_a_browser_that_reads_nothing_gets_no_second_piece_and_loses_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "WRITE_SECONDS", 0.2)
    large = bytes(16 << 20)

    def two(asked: HttpRequest) -> HttpStart:
        return HttpStart(asked.token, 200, (), 2 * len(large), large)

    async with opened(two) as door, await door.connect() as stream:
        await stream.send_all(request("/"))
        await until(lambda: gone(door) == 1)
        assert count(door) == 0
        assert len(await everything(stream)) < len(large)


async def test_a_door_that_closes_breaks_off_what_is_under_way() -> None:
    async with opened(start) as door, await door.connect() as stream:
        await stream.send_all(request("/"))
        await read_piece(stream)
        await until(lambda: count(door) == 1)
        await door.door.close()
        assert len(await everything(stream)) < 1000
