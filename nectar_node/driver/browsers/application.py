"""The ASGI application that hypercorn asks: it gives each request to the core, and writes what the core answers.

Theory of operation. Of a request with a body the core is told the head first: it refuses it, or reads the body piece
by piece, or wants all of it. Then it is read within its bounds, and the core has the whole request, and decides all.
Hypercorn gives an application the body through a short queue and waits for room in it, also to say that the request is
over. So an answer that comes before the whole body is read goes out while the rest is thrown away.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import trio

from nectar_node.contract.http import (
    BrowserAction,
    HttpAnswer,
    HttpBroken,
    HttpEvent,
    HttpGone,
    HttpHead,
    HttpPiece,
    HttpReadPiece,
    HttpReadWhole,
    HttpRequest,
    HttpStart,
)
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.contract.package_bytes import HeldBodies
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.body_pieces import BodyPieces
from nectar_node.driver.browsers.body_reading import BodyReading, has_body
from nectar_node.driver.browsers.door_streams import CONNECTION, DoorStream
from nectar_node.driver.browsers.event_streams import DoorFeed
from nectar_node.driver.browsers.request_bodies import RequestBody, end_when_gone
from nectar_node.driver.browsers.request_turns import RequestTurns
from nectar_node.http.pages import PageAnswer, error_page

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer: TypeAlias = HttpAnswer | HttpStart | HttpReadWhole | DoorFeed
"""What the core answers a request with, or its head."""
BODILESS = (204, 304)
"""The statuses of answers that have no body, whatever a process says (RFC 9110, 6.4.1)."""


class Application:
    """The requests of browsers that are under way."""

    def __init__(self, tell: Callable[[HttpEvent], None], memory: MemoryBudget) -> None:
        """`tell` gives the core an event; `memory` is for what comes from browsers and goes to them."""
        self._tell = tell
        self._waiting: dict[object, AnswerWaiter] = {}
        self._feeds: weakref.WeakSet[DoorFeed] = weakref.WeakSet()
        self._bodies_in_pieces: dict[object, BodyPieces] = {}
        self._readings: dict[object, BodyReading] = {}
        self._bodies = 0
        """Bytes of bodies in memory."""
        self._account = memory.of_browsers()
        """For the same."""
        self._answers = HeldBodies(memory, limits.MAX_ANSWERS_BYTES_OF_ONE, limits.MAX_ANSWERS_BYTES)
        """What browsers have not taken yet, by the bodies of their requests."""
        self._reading: set[trio.CancelScope] = set()
        """Requests whose bodies are being read."""
        self.turns = RequestTurns()
        """When each request is given to the core."""
        self._closes = False

    def close(self) -> None:
        """Answer what is under way with 503, and what comes from now on."""
        self._closes = True
        for token, waiter in list(self._waiting.items()):
            self._tell(HttpGone(token))
            waiter.set(HttpAnswer(token, *error_page(503, "The node goes down.")))
        for scope in self._reading:
            scope.cancel()
        for feed in tuple(self._feeds):
            feed.end()
        for token, pieces in self._bodies_in_pieces.items():
            pieces.take(HttpBroken(token))

    @contextmanager
    def _until_closed(self, scope: trio.CancelScope) -> Iterator[None]:
        """Cancel what is done meanwhile when the door closes."""
        self._reading.add(scope)
        try:
            yield
        finally:
            self._reading.discard(scope)

    def perform(self, action: BrowserAction | DoorFeed) -> bool:
        """Carry out an action that is for a request of HTTP, if its browser is there; return whether it is one."""
        if isinstance(action, (HttpPiece, HttpBroken)):
            if (pieces := self._bodies_in_pieces.get(action.token)) is not None:
                pieces.take(action)
            return True
        if isinstance(action, HttpReadPiece):
            if action.token in self._readings:
                self._readings[action.token].read_on()
            return True
        waiter = self._waiting.get(action.token)
        if waiter is not None:
            if isinstance(action, HttpAnswer):
                waiter.set(action if self._may_be_taken(waiter, action) else _too_much(waiter))
            elif isinstance(action, (HttpStart, HttpReadWhole, DoorFeed)):
                waiter.set(action)
            return True
        if isinstance(action, DoorFeed):
            action.left()
        return isinstance(action, (DoorFeed, HttpStart, HttpReadWhole))

    def _may_be_taken(self, waiter: AnswerWaiter, answer: HttpAnswer) -> bool:
        """Count the body of an answer until its browser has taken it, if there may be so much of that."""
        if answer.package is None or len(answer.body) <= limits.SMALL_BYTES or waiter.answer is not None:
            return True
        return self._answers.hold(waiter, answer.package, answer.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of HTTP (the ASGI specification, 3.0)."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013})  # by HTTP/2, unasked: 403
        elif scope["type"] == "http":
            waiter = AnswerWaiter(RequestBody(receive))
            try:
                answer = await self._answer(scope, waiter)
                if answer is not None:
                    await self.write(scope, waiter.reading, answer, send)
            finally:
                self._bodies -= waiter.reading.reserved
                self._account.remove(waiter.reading.reserved)
                self.release(waiter)

    async def write(self, scope: Scope, reading: RequestBody, answer: Answer | PageAnswer, send: Send) -> None:
        """Write an answer of whichever kind."""
        if isinstance(answer, DoorFeed):
            self._feeds.add(answer)
            await answer.pour(reading, send)
        elif isinstance(answer, HttpStart):
            await self._send_pieces(scope, answer, reading, send)
        elif not isinstance(answer, HttpReadWhole):
            await self._write(scope, reading, answer, send)

    async def _answer(self, scope: Scope, waiter: AnswerWaiter) -> Answer | PageAnswer | None:
        """Return what the request is answered with; None: nobody is there any more."""
        reading = waiter.reading
        if self._closes:
            return error_page(503, "The node goes down.")
        version, names = scope["http_version"], [name for name, _ in scope["headers"]]
        if version not in ("1.0", "1.1", "2"):
            return error_page(505, "Requests come by HTTP/1.1, or by HTTP/2 with TLS.")
        if scope["method"] == "CONNECT":  # an answer of 200 would end HTTP on this connection (RFC 9110, 9.3.6)
            return error_page(501, "This is no proxy.")
        if b"transfer-encoding" in names and (b"content-length" in names or version == "1.0"):
            # Two lengths, of which another parser may believe the other one (RFC 9112, 6.1).
            return error_page(400, "A request has one length.")
        if has_body(scope, _length(scope)):
            early = await self._ask(scope, waiter, reads=False)
            if not isinstance(early, HttpReadWhole):
                return early
            waiter.wait_again()
        if _length(scope) > limits.MAX_BODY_BYTES:
            return error_page(413, f"A request has at most {limits.MAX_BODY_BYTES} bytes.")
        with trio.move_on_after(limits.READ_SECONDS) as limit, self._until_closed(limit):
            while await reading.more():
                grown = len(reading.data) - reading.reserved
                if len(reading.data) > limits.MAX_BODY_BYTES:
                    return error_page(413, f"A request has at most {limits.MAX_BODY_BYTES} bytes.")
                if self._bodies + grown > limits.MAX_BODIES_BYTES or not self._account.may_add(grown):
                    return error_page(503, "The node has too much to do.")
                self._reserve(reading, grown)
        if limit.cancelled_caught and self._closes:
            return error_page(503, "The node goes down.")
        if limit.cancelled_caught:
            return error_page(408, f"The request was not there within {limits.READ_SECONDS:.0f} seconds.")
        if reading.gone:
            return None
        if b"content-length" in names and len(reading.data) != _length(scope):  # by HTTP/2 (RFC 9113, 8.1.1)
            return error_page(400, "A request has the length that it says.")
        return await self._ask(scope, waiter)

    def _reserve(self, reading: RequestBody, size: int) -> None:
        """Count so many bytes more of a body."""
        self._bodies += size
        self._account.add(size)
        reading.reserved += size

    async def _ask(self, scope: Scope, waiter: AnswerWaiter, *, reads: bool = True) -> Answer | None:
        """Ask the core, about a request's head if its body has not been read; None: the browser has gone."""
        request = HttpRequest(
            waiter,
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
            waiter.reading.take(),
            tuple(scope["client"] or ("0.0.0.0", 0))[:2],
            scope["scheme"] == "https",
        )
        stream: DoorStream = scope["state"][CONNECTION]
        await self.turns.take(stream.package)
        try:
            if reads:
                self.ask(request, waiter)
            else:
                await self._read_for(waiter, HttpHead(request, _length(scope) or None))
            if waiter.answer is None:  # else no process had to be asked
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(end_when_gone, waiter.reading, nursery.cancel_scope)
                    await waiter.there.wait()
                    nursery.cancel_scope.cancel()
        finally:
            self.forget(waiter)
        stream.answered(waiter.answer)
        return waiter.answer

    async def _read_for(self, waiter: AnswerWaiter, head: HttpHead) -> None:
        """Give the core a request's head, and what it asks for of the body."""
        reading = self._readings[waiter] = BodyReading(waiter, waiter.reading, self._tell)
        try:
            self.ask(head, waiter)
            if waiter.answer is None:
                await reading.run(waiter.there, partial(self._reserve, waiter.reading))
        finally:
            del self._readings[waiter]

    def ask(self, request: HttpRequest | HttpHead, waiter: AnswerWaiter) -> None:
        """Give the core a request whose token is its waiter. Whoever asks forgets it, too."""
        self._waiting[waiter] = waiter
        if self._closes:
            waiter.set(HttpAnswer(waiter, *error_page(503, "The node goes down.")))
        else:
            self._tell(request)

    def forget(self, waiter: AnswerWaiter) -> None:
        """Wait for an answer no longer, whether it is there or not."""
        if self._waiting.pop(waiter, None) is not None and waiter.answer is None:
            self._tell(HttpGone(waiter))

    def release(self, waiter: AnswerWaiter) -> None:
        """Count the answer no longer: its browser has taken it."""
        self._answers.release(waiter)

    async def _send_pieces(self, scope: Scope, start: HttpStart, reading: RequestBody, send: Send) -> None:
        """Send an answer that comes in pieces; without all of them, the connection ends."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in start.headers]
        headers.append((b"content-length", b"%d" % start.length))
        pieces = BodyPieces(start, self._tell, limits.PIECE_BYTES, limits.WRITE_SECONDS)
        self._bodies_in_pieces[start.token] = pieces
        whole = False
        try:
            await send({"type": "http.response.start", "status": start.status, "headers": headers})
            whole = not start.piece or await pieces.send(send, reading.until_gone)
        finally:
            del self._bodies_in_pieces[start.token]
            if not whole:
                scope["state"][CONNECTION].socket.close()
        if whole:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, scope: Scope, reading: RequestBody, answer: HttpAnswer | PageAnswer, send: Send) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        body = b"" if answer.status in BODILESS else answer.body
        if answer.status not in BODILESS:
            headers.append((b"content-length", b"%d" % len(body)))
        if not reading.whole and scope["http_version"] in ("1.0", "1.1"):
            headers.append((b"connection", b"close"))
        whole = reading.whole and scope["method"] != "HEAD" and 0 < len(body) <= limits.PIECE_BYTES
        if whole and scope["http_version"] == "1.1":
            scope["state"][CONNECTION].hold_next()  # a write costs more than all else
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if whole:
            await send({"type": "http.response.body", "body": bytes(body), "more_body": False})
            return
        if scope["method"] != "HEAD":
            pieces = memoryview(body)
            for begin in range(0, len(pieces), limits.PIECE_BYTES):
                if reading.gone:
                    return
                piece = bytes(pieces[begin : begin + limits.PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        end = {"type": "http.response.body", "body": b"", "more_body": False}
        if reading.whole:
            await send(end)
            return
        with trio.move_on_after(limits.DRAIN_SECONDS):
            await reading.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.drain)
            await send(end)
            nursery.cancel_scope.cancel()


class AnswerWaiter:
    """A request that waits for the core's answer; also its token."""

    def __init__(self, reading: RequestBody) -> None:
        self.reading = reading
        self.there = trio.Event()
        self.answer: Answer | None = None

    def wait_again(self) -> None:
        """Wait for the answer to the whole request, after that to its head."""
        self.there, self.answer = trio.Event(), None

    def set(self, answer: Answer) -> None:
        """Take the answer."""
        if self.answer is None:
            self.answer = answer
            self.there.set()


def _too_much(waiter: AnswerWaiter) -> HttpAnswer:
    return HttpAnswer(waiter, *error_page(503, "Too many browsers take answers of this package too slowly."))


def _length(scope: Scope) -> int:
    """Return the length that a request says it has; 0: it does not say. Hypercorn has checked that it is a number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            with suppress(ValueError):
                return int(value)
    return 0
