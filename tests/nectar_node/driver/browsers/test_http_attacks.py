"""What attackers send over real sockets, to have a proxy and the node disagree, or the node break something."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset

from nectar_node.contract.config import LOOPBACK
from nectar_node.contract.http import HttpGone, HttpRequest
from nectar_node.driver.browsers import limits
from tests.nectar_node.driver.browsers.test_http_door import HEAD, opened, request, status, until
from tests.nectar_node.driver.browsers.test_http_door import certificate as certificate

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


ASKS = HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"POST /ws HTTP/1.1\r\n" + ASKS + KEY + b"\r\n",
        b"GET /ws HTTP/1.1\r\n" + ASKS + KEY + b"Content-Length: 5\r\n\r\nabcde",
        b"GET /ws HTTP/1.1\r\n" + ASKS + KEY + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /ws HTTP/1.1\r\n" + ASKS + b"\r\n",
        b"GET /ws HTTP/1.0\r\n" + ASKS + KEY + b"\r\n",
        b"GET /ws HTTP/1.1\r\n" + ASKS.replace(b": 13", b": 7") + KEY + b"\r\n",
    ],
)
async def test_a_websocket_is_asked_for_by_get_and_without_a_body(data: bytes) -> None:
    """Else a proxy takes for a body what would be frames here, or goes on when there is no WebSocket."""
    async with opened() as door:
        with trio.fail_after(10):
            answer = await door.ask(data + request("/no"))
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1
        assert not door.events


@asynccontextmanager
async def http_2(port: int, authority: str) -> AsyncIterator[tuple[trio.SSLStream[trio.SocketStream], H2Connection]]:
    """A connection whose sender sends whatever it is told to."""
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2"])
    inner = await trio.open_tcp_stream(LOOPBACK, port)
    async with trio.SSLStream(inner, context, server_hostname="localhost", https_compatible=True) as stream:
        await stream.do_handshake()
        sender = H2Connection(
            H2Configuration(
                validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
            )
        )
        sender.initiate_connection()
        yield stream, sender


async def answer_of(stream: trio.SSLStream[trio.SocketStream], sender: H2Connection, number: int) -> int:
    """The status that a stream of HTTP/2 is answered with; 0: it, or the connection, has been ended."""
    code = 0
    with trio.fail_after(10):
        while True:
            await stream.send_all(sender.data_to_send())
            data = bytes(await stream.receive_some())
            for event in sender.receive_data(data):
                if isinstance(event, ResponseReceived) and event.stream_id == number:
                    code = int(dict(event.headers)[b":status"])
                if isinstance(event, ConnectionTerminated) or (
                    isinstance(event, (StreamEnded, StreamReset)) and event.stream_id == number
                ):
                    return code
            if not data:
                return code


GET = {":method": "GET", ":scheme": "https", ":path": "/x", ":authority": "localhost"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**GET, "host": "localhost"}, "localhost"),
        ({**GET, "host": "evil.example"}, None),
        ({**GET, ":authority": "evil.example", "host": "localhost"}, None),
        ({**GET, ":authority": "evil.example"}, "evil.example"),
        ({**GET, ":method": "G\xc9T"}, None),
        ({**GET, ":path": "x"}, "localhost"),
        ({**GET, ":path": "http://evil.example/"}, "localhost"),
        ({**GET, ":path": "//evil.example"}, "localhost"),
        ({**GET, ":path": ""}, None),
        ({":method": "CONNECT", ":authority": "evil.example:80"}, None),
        ({**GET, ":method": "CONNECT"}, None),
        ({**GET, ":method": "CONNECT", ":protocol": "websocket"}, None),
        ({**GET, "transfer-encoding": "chunked"}, None),
        ({**GET, "connection": "upgrade", "upgrade": "websocket"}, None),
        ({**GET, "x": "a\r\nhost: evil.example"}, None),
        ({**GET, "content-length": "5"}, None),
        ({name: value for name, value in GET.items() if name != ":authority"}, None),
        ({**GET, ":status": "200"}, None),
    ],
)
async def test_by_http_2_too_a_request_has_one_host_and_one_meaning(
    certificate: tuple[str, str], fields: dict[str, str], said: str | None
) -> None:
    """What the core is told is the authority; what makes no sense reaches nobody, and breaks nothing."""
    async with opened(tls=certificate) as door:
        async with http_2(door.port, certificate[0]) as (stream, sender):
            sender.send_headers(1, list(fields.items()), end_stream=True)
            code = await answer_of(stream, sender, 1)
        told = [each for each in door.events if isinstance(each, HttpRequest)]
        assert [dict(each.headers)["host"] for each in told] == ([] if said is None else [said])
        assert (code == 200) == (said is not None)


async def test_a_refused_upload_that_goes_on_takes_no_other_request_of_its_connection_along(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.01)
    async with opened(tls=certificate) as door, http_2(door.port, certificate[0]) as (stream, sender):
        large = {**GET, ":method": "POST", "content-length": str(limits.MAX_BODY_BYTES + 1)}
        sender.send_headers(1, list(large.items()))
        assert await answer_of(stream, sender, 1) == 413
        for _ in range(8):
            sender.send_data(1, b"x" * 1000)
        sender.prioritize(1, weight=200, depends_on=9, exclusive=True)
        sender.send_headers(3, list(GET.items()), end_stream=True)
        assert await answer_of(stream, sender, 3) == 200


async def test_requests_that_are_taken_back_at_once_are_forgotten(certificate: tuple[str, str]) -> None:
    """Rapid reset (CVE-2023-44487), which no limit of open streams bounds."""
    async with opened(tls=certificate) as door, http_2(door.port, certificate[0]) as (stream, sender):
        for number in range(1, 401, 2):
            sender.send_headers(number, list({**GET, ":path": "/wait"}.items()), end_stream=True)
            sender.reset_stream(number)
        sender.send_headers(401, list(GET.items()), end_stream=True)
        assert await answer_of(stream, sender, 401) == 200
        await until(lambda: len(door.door._application._waiting) == 0)
        asked = [each.token for each in door.events if isinstance(each, HttpRequest) and each.path == "/wait"]
        gone = [each.token for each in door.events if isinstance(each, HttpGone)]
        assert sorted(map(id, asked)) == sorted(map(id, gone))


async def test_frames_that_mean_nothing_end_their_connection_and_are_no_failure(certificate: tuple[str, str]) -> None:
    async with opened(tls=certificate) as door:
        for frame in (
            b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",  # a window that grows by nothing
            b"\x00\x00\x04\x08\x00\x00\x00\x00\x09\x7f\xff\xff\xff",  # that of a stream that is not there
            b"\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x03\x10",  # a stream that depends on itself
            b"\x00\x00\x05\x02\x00\x00\x00\x00\x00\x00\x00\x00\x03\x10",  # a priority of no stream
            b"\x00\x00\x04\x01\x00\x00\x00\x00\x01\x82\x86\x84\xff",  # a head that does not end, then another frame
            b"\x00\x00\x03\x00\x00\x00\x00\x00\x07abc",  # data for a stream that is not there
            b"\x00\x00\x01\x09\x04\x00\x00\x00\x01\x82",  # the rest of no head
            b"\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x08",  # a reset of nothing
            b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",  # a frame of 16 MiB
        ):
            async with http_2(door.port, certificate[0]) as (stream, sender):
                await stream.send_all(sender.data_to_send() + frame + frame)
                # It may be closed before the ping is there, which resets it.
                with trio.move_on_after(0.5), suppress(trio.BrokenResourceError):
                    await stream.send_all(b"\x00\x00\x08\x06\x00\x00\x00\x00\x0001234567")  # a ping
                    while await stream.receive_some():
                        pass
            assert not door.failures, frame
        assert not door.events
