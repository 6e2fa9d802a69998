"""What attackers send over real sockets, to have a proxy and the node disagree, or the node break something."""

from __future__ import annotations

import pytest
import trio

from tests.nectar_node.driver.test_http_door import HEAD, opened, request, status

UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


async def test_no_upgrade_to_http_2_hides_requests_from_a_proxy() -> None:
    """A proxy that passes `Upgrade` on, as WebSockets need it to, would pass on whatever comes behind a 101 unread:
    with another Host, and without the headers that say that there is a proxy.
    """
    async with opened() as door, await door.connect() as stream:
        await stream.send_all(b"GET /1 HTTP/1.1\r\n" + HEAD + UPGRADE + b"\r\n" + request("/2"))
        got = bytearray()
        async for piece in stream:
            got += piece
        assert got.count(b"HTTP/1.1 200") == 2, "it stays HTTP/1.1, where the proxy reads each request"
        assert b"101" not in got.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\n" + HEAD + b"Connection: close\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\n" + HEAD + b"Connection: close\r\n\r\n", 505),
        (b"POST / HTTP/1.0\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 400),
        (request("/open", method="CONNECT"), 501),
        (request("evil.example:80", method="CONNECT"), 501),
    ],
)
async def test_what_is_neither_http_1_1_nor_http_2_with_tls_reaches_nobody(data: bytes, code: int) -> None:
    async with opened() as door:
        with trio.fail_after(10):
            answer = await door.ask(data)
        assert status(answer) == code
        assert b"HTTP/1.1 200" not in answer
        assert not door.events


@pytest.mark.parametrize(
    "data",
    [
        b"1\nx\n0\n\n",
        b"1;a=\n\r\nx\r\n0\r\n\r\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"01x\r\nx\r\n0\r\n\r\n",
        b"fffffffffffffffffffff\r\nx",
        b"1\r\nx\r\n0\r\nGET /no HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b" 1\r\nx\r\n0\r\n\r\n",
    ],
)
async def test_chunks_that_two_parsers_could_read_in_two_ways_are_refused(data: bytes) -> None:
    """A bare line feed, in an extension too, and bytes after a chunk: TERM.EXT, EXT.TERM and their like."""
    async with opened() as door, await door.connect() as stream:
        head = b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        await stream.send_all(head + data + request("/no"))
        got = b""
        with trio.move_on_after(10) as limit:
            async for piece in stream:
                got += piece
        assert not limit.cancelled_caught, "the connection ends"
        assert b" 200 " not in got
        assert not door.events
