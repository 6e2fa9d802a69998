"""Requests that a proxy in front of the node could read in another way, over real sockets: they are refused."""

from __future__ import annotations

import random

import pytest
import trio

from nectar_node.contract.http import HttpRequest
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.strict_lines import MAX_CHUNK_LINE_BYTES
from tests.nectar_node.driver.browsers.test_http_attacks import GET, answer_of, http_2
from tests.nectar_node.driver.browsers.test_http_attacks import certificate as certificate
from tests.nectar_node.driver.browsers.test_http_door import HEAD, everything, opened, request, status

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\n" + HEAD
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.05)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /a HTTP/1.1\nHost: localhost\n\n",
        b"GET /a HTTP/1.1\nHost: localhost\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\r\n\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\r\nX: y\nContent-Length: 41\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
        b"GET /a HTTP/1.1\rHost: localhost\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\r\r\n\r\n",
        b"\nGET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\nGET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        POST + b"Content-Length: 0\nContent-Length: 41\r\n\r\n",
    ],
)
async def test_a_line_ends_with_both_characters_and_with_neither_alone(data: bytes) -> None:
    async with opened() as door:
        answer = await door.ask(data + HIDDEN)
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1
        assert not door.events


@pytest.mark.parametrize(
    "data",
    [
        b"GET /a HTTP/1.1\r\nHost: localhost\r\nX: y\r\n z\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\r\n\tX: y\r\n\r\n",
        b"GET /a HTTP/1.1\r\n Host: localhost\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: localhost\r\n \r\n\r\n",
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 4\r\n 1\r\n\r\n",
    ],
)
async def test_no_header_goes_on_in_the_next_line(data: bytes) -> None:
    async with opened() as door:
        answer = await door.ask(data + HIDDEN)
        assert status(answer) == 400
        assert not door.events


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 0\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: 5 6\r\n",
        b"Content-Length: 5_0\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: 5;\r\n",
        b"Content-Length:\r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length\t: 5\r\n",
        b"Content-Length\x00: 5\r\n",
        b"Content-Length: 5\x00\r\n",
        b"Content-Length: 5\x0b\r\n",
        b": 5\r\n",
        b"X\r\n",
        b"X(: 5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunke\r\n",
        b"Transfer-Encoding: ,chunked\r\n",
        b"Transfer-Encoding: chunked,\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding: chunked;a=b\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding\r\n: chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer Encoding: chunked\r\n",
    ],
)
async def test_how_long_a_body_is_is_said_once_and_clearly(lines: bytes) -> None:
    async with opened() as door:
        answer = await door.ask(POST + lines + b"Connection: close\r\n\r\n0\r\n\r\n" + HIDDEN)
        assert status(answer) in (0, 400, 501)
        assert b" 200 " not in answer
        assert not [event for event in door.events if isinstance(event, HttpRequest)]


async def test_names_that_a_proxy_may_take_for_others_say_nothing_about_the_length() -> None:
    """With an underscore it is another header: here the request has no body, and what follows is the next request."""
    async with opened() as door:
        for name in (b"Transfer_Encoding: chunked", b"Content_Length: 41", b"X-Transfer-Encoding: chunked"):
            answer = await door.ask(request("/a", name, b"Content-Length: 0", method="POST"))
            assert answer.endswith(b"POST /a 0"), answer


@pytest.mark.parametrize(
    "data",
    [
        b"1;" + b"a" * MAX_CHUNK_LINE_BYTES + b"\r\nx\r\n0\r\n\r\n",
        b"0" * MAX_CHUNK_LINE_BYTES + b"1\r\nx\r\n0\r\n\r\n",
        b"1;" + b"a" * 2 * MAX_CHUNK_LINE_BYTES,
        b"1;a\rb\r\nx\r\n0\r\n\r\n",
        b"1;a\nb\r\nx\r\n0\r\n\r\n",
        b"1\n\r\nx\r\n0\r\n\r\n",
        b"1\r\nx\n0\r\n\r\n",
        b"1\r\nx\r0\r\n\r\n",
        b"1\r\nx0\r\n\r\n",
        b"0x1\r\nx\r\n0\r\n\r\n",
        b"+1\r\nx\r\n0\r\n\r\n",
        b"1_0\r\nx\r\n0\r\n\r\n",
        b"\r\n1\r\nx\r\n0\r\n\r\n",
        b"100000000000000000000000000000000\r\nx\r\n0\r\n\r\n",
        b"1\r\nx\r\n0\r\nA: b\nC: d\r\n\r\n",
        b"1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n",
        b"1\r\nx\r\n0\r\n\n" + HIDDEN,
        b"1\r\nx\r\n0\n\r\n",
        b"1\r\nx\r\n0\r\n\rX",
    ],
)
async def test_a_chunk_that_is_not_written_as_everybody_reads_it_ends_the_connection(data: bytes) -> None:
    async with opened() as door, await door.connect() as stream:
        await stream.send_all(CHUNKED + b"\r\n" + data + HIDDEN)
        await stream.send_eof()
        answer = await everything(stream)
        assert b" 200 " not in answer
        assert not [event for event in door.events if isinstance(event, HttpRequest)]


async def test_chunks_with_an_extension_and_a_trailer_are_a_body() -> None:
    async with opened() as door:
        data = (
            CHUNKED + b"Connection: close\r\n\r\n3;a=b\r\nabc\r\n0\r\nContent-Length: 41\r\nHost: evil.example\r\n\r\n"
        )
        assert (await door.ask(data)).endswith(b"POST /a 3")
        (told,) = [event for event in door.events if isinstance(event, HttpRequest)]
        assert [value for name, value in told.headers if name in ("host", "content-length")] == ["localhost"]


async def test_requests_that_come_byte_by_byte_or_at_once_are_the_same() -> None:
    data = CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n" + request("/b", b"X:  y  ")
    async with opened() as door:
        whole = await door.ask(data)
        async with await door.connect() as stream:
            for number in range(len(data)):
                await stream.send_all(data[number : number + 1])
                await trio.lowlevel.checkpoint()
            slow = await everything(stream)
        assert [each.count(b"HTTP/1.1 200") for each in (whole, slow)] == [2, 2]
        assert b"POST /a 3" in slow
        assert slow.endswith(b"GET /b 0")


async def test_where_the_data_is_cut_changes_no_refusal() -> None:
    seed = 11
    chance = random.Random(seed)
    bad = (b"GET /a HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", b"GET /a HTTP/1.1\r\nHost: localhost\r\n\n")
    async with opened(connections=64) as door:
        for _ in range(20):
            data, cut = chance.choice(bad), chance.randrange(1, 39)
            async with await door.connect() as stream:
                await stream.send_all(data[:cut])
                await trio.lowlevel.checkpoint()
                await stream.send_all(data[cut:])
                assert status(await everything(stream)) == 400, (seed, data, cut)
        assert not door.events


POSTS = {**GET, ":method": "POST"}


@pytest.mark.parametrize(
    "fields",
    [
        [*POSTS.items(), ("transfer-encoding", "chunked")],
        [*POSTS.items(), ("connection", "close")],
        [*POSTS.items(), ("content-length", "5"), ("content-length", "6")],
        [*POSTS.items(), ("content-length", "5,6")],
        [*POSTS.items(), ("content-length", "9")],
        [*POSTS.items(), ("x", "y\r\nhost: evil.example")],
        [*POSTS.items(), ("x", "y\nz")],
        [*POSTS.items(), ("x", "y\x00")],
        [*POSTS.items(), ("x\r\ny", "z")],
        [*POSTS.items(), ("x: y", "z")],
        [*POSTS.items(), ("", "z")],
        [*POSTS.items(), ("Host", "localhost")],
        [*POSTS.items(), ("X-Upper", "z")],
        [*POSTS.items(), (":path", "/hidden")],
        [*POSTS.items(), (":authority", "evil.example")],
        [*POSTS.items(), (":status", "200")],
        [*POSTS.items(), (":x", "y")],
        [("x", "y"), *POSTS.items()],
        [*{**POSTS, ":path": "/a b"}.items()],
        [*{**POSTS, ":path": "/a HTTP/1.1\r\nHost: evil.example\r\n\r\n"}.items()],
        [*{**POSTS, ":path": ""}.items()],
        [*{**POSTS, ":method": "POST /hidden HTTP/1.1\r\nx:"}.items()],
        [*{**POSTS, ":method": ""}.items()],
        [*{**POSTS, ":authority": "localhost\r\nx: y"}.items()],
    ],
)
async def test_by_http_2_too_nothing_can_be_hidden_in_a_head(
    certificate: tuple[str, str], fields: list[tuple[str, str]]
) -> None:
    """What would be two requests, or other headers, for who writes it down as HTTP/1.1."""
    async with opened(tls=certificate) as door, http_2(door.port, certificate[0]) as (stream, sender):
        sender.send_headers(1, fields)
        sender.send_data(1, b"hello", end_stream=True)
        code = await answer_of(stream, sender, 1)
        seen = [event for event in door.events if isinstance(event, HttpRequest)]
        assert code in (0, 400, 413), (code, seen)
        assert not seen
