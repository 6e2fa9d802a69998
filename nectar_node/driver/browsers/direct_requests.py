"""Requests without a body by HTTP/1.1, for which a connection asks the core itself, without ASGI's queue and task.

Nearly all requests of browsers are such. Where the core answers at once, the task that reads the connection writes the
answer, head and body in one piece. Else the answer makes a task when it comes. Answers that are large, or go on, are
written as those to other requests are.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import lru_cache
from time import time
from typing import Any

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import RawData
from hypercorn.protocol.events import Body, EndBody, Event, Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol

from nectar_node.contract.http import Headers, HttpAnswer, HttpRequest
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.application import BODILESS, Answer, AnswerWaiter, Application
from nectar_node.driver.browsers.door_streams import CONNECTION, DoorStream
from nectar_node.driver.browsers.request_bodies import RequestBody

HEADS = 256
"""Heads of answers that are kept as h11 has checked them, each of at most 16 KiB (`nectar_node.http.pages`)."""


def is_direct(request: h11.Request) -> bool:
    """Return whether a request has no body, and is one of those that browsers open pages with."""
    if request.method not in (b"GET", b"HEAD") or request.http_version != b"1.1":
        return False
    return not any(name in (b"content-length", b"transfer-encoding", b"expect") for name, _ in request.headers)


class _NoBody(RequestBody):
    """The body of a request that has none."""

    def __init__(self) -> None:
        super().__init__(self._receive_end)
        self.whole = True
        self._ended = trio.Event()

    def end(self) -> None:
        """Say that the other end has closed the connection."""
        self.gone = True
        self._ended.set()

    async def _receive_end(self) -> MutableMapping[str, Any]:
        await self._ended.wait()
        return {"type": "http.disconnect"}


class DirectRequest(AnswerWaiter):
    """Such a request: hypercorn's stream, the token of what the core is asked, and what waits for its answer."""

    idle = False

    def __init__(self, application: Application, protocol: H11Protocol, request: h11.Request) -> None:
        self._body = _NoBody()
        super().__init__(self._body)
        self._application = application
        self._protocol = protocol
        self._request = request
        state: Any = protocol.connection_state
        self._stream: DoorStream = state[CONNECTION]
        self._asked = False
        self.closed = False

    async def handle(self, event: Event) -> None:
        """Take what hypercorn has read: the end of the request, or that of the connection."""
        if isinstance(event, EndBody):
            await self._application.turns.take(self._stream.package)
            self._application.ask(self._read(), self)
            self._asked = True
            if isinstance(self.answer, HttpAnswer) and len(self.answer.body) <= limits.PIECE_BYTES:
                await self._write(self.answer)
            elif self.answer is not None:
                self._protocol.task_group.spawn(self._write, self.answer)  # who reads sees when its browser goes
        elif isinstance(event, StreamClosed) and not self.closed:
            self.closed = True
            self._body.end()
            self._application.forget(self)

    def set(self, answer: Answer) -> None:
        """Take the answer; it is written by who has asked, if it comes at once."""
        if self.answer is None:
            self.answer = answer
            if self._asked:
                self._protocol.task_group.spawn(self._write, answer)

    def _read(self) -> HttpRequest:
        request, protocol = self._request, self._protocol
        path, _, query = request.target.decode("latin-1").partition("?")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        source = (protocol.client or ("0.0.0.0", 0))[:2]
        return HttpRequest(self, request.method.decode(), path, query, headers, b"", source, protocol.ssl)

    async def _write(self, answer: Answer) -> None:
        self._application.forget(self)
        self._stream.answered(answer)
        try:
            if isinstance(answer, HttpAnswer) and len(answer.body) <= limits.PIECE_BYTES:
                await self._write_at_once(answer)
            elif not self.closed:
                state: Any = self._protocol.connection_state
                scope = {"method": self._request.method.decode(), "http_version": "1.1", "state": state}
                await self._application.write(scope, self._body, answer, self._send)
                if not self.closed:
                    await self._protocol.stream_send(StreamClosed(STREAM_ID))
        finally:
            self._application.release(self)

    async def _write_at_once(self, answer: HttpAnswer) -> None:
        protocol = self._protocol
        connection = protocol.connection
        if self.closed or connection.their_state is h11.ERROR:
            return
        has_body = self._request.method != b"HEAD" and answer.status not in BODILESS
        last = protocol.keep_alive_requests >= protocol.config.keep_alive_max_requests
        length = None if answer.status in BODILESS else len(answer.body)
        data = connection.send(_head(answer.status, answer.headers, length, protocol.config, int(time()), last)) or b""
        if has_body:
            data += connection.send(h11.Data(bytes(answer.body))) or b""
        data += connection.send(h11.EndOfMessage()) or b""
        await protocol.send(RawData(data))
        if not self.closed:
            await protocol.stream_send(StreamClosed(STREAM_ID))

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        """Write what an application says (the ASGI specification, `http.response.…`)."""
        if self.closed:
            await trio.lowlevel.checkpoint()  # here, whoever writes is ended
            return
        if message["type"] == "http.response.start":
            await self._protocol.stream_send(Response(STREAM_ID, message["headers"], message["status"]))
            return
        if message["body"]:
            await self._protocol.stream_send(Body(STREAM_ID, message["body"]))
        if not message["more_body"]:
            await self._protocol.stream_send(EndBody(STREAM_ID))


@lru_cache(HEADS)
def _head(status: int, headers: Headers, length: int | None, config: Config, _: int, last: bool) -> h11.Response:
    """Return the head of an answer in this second, whose date it has. `last`: the connection ends with it."""
    told = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if length is not None:
        told.append((b"content-length", b"%d" % length))
    told += config.response_headers("h11")
    if last:
        told.append((b"connection", b"close"))
    return h11.Response(status_code=status, headers=told)
