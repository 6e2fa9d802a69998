"""Answers what the node's own page asks for, with the commands of the control socket.

Each request is a client of the control socket's for as long as it takes. What streams goes out as Server-Sent Events
(HTML, 9.2): a browser that is slow to read them loses some, and is told how many (`nectar_node.control.clients.Feed`);
one that takes nothing loses its connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import trio

from nectar_node.base.errors import NodeError
from nectar_node.contract.http import Headers, HttpAnswer, HttpCommand
from nectar_node.control.commands import Control
from nectar_node.control.server import error
from nectar_node.driver.browsers.event_streams import DoorFeed
from nectar_node.http.node_page import json_answer, refusal

MAX_STREAMS = 32
"""Streams at the same time: an eighth of the browsers' connections, so that the page can still be opened."""
MAX_COMMANDS = 64
"""Other commands at the same time."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at whether somebody is still signed in."""
SILENT_LOOKS = 15
"""Looks after which a stream says something, so that a connection that is gone is noticed."""
_SORRY = "The node could not do that: its log says why."
_HEADERS: Headers = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-accel-buffering", "no"),
)


class NodeApi:
    """What answers the page of a running node."""

    def __init__(
        self,
        control: Control,
        nursery: trio.Nursery,
        answered: Callable[[HttpAnswer | DoorFeed], None],
        goes_on: Callable[[HttpCommand], bool],
        note: Callable[[str, BaseException], None],
    ) -> None:
        """`answered` gives answers to the door; `goes_on` tells whether who has given a command is still signed in;
        `note` logs a failure of our own code.
        """
        self._control = control
        self._nursery = nursery
        self._answered = answered
        self._goes_on = goes_on
        self._note = note
        self._streams = 0
        self._commands = 0

    def take(self, command: HttpCommand) -> None:
        """Begin to carry out a command."""
        if (self._streams if command.streams else self._commands) >= (MAX_STREAMS if command.streams else MAX_COMMANDS):
            busy = refusal(503, "Busy", "Too many pages of this node are open: close some of them.")
            self._answered(HttpAnswer(command.token, *busy))
        elif command.streams:
            self._streams += 1
            self._nursery.start_soon(self._stream, command)
        else:
            self._commands += 1
            self._nursery.start_soon(self._answer, command)

    async def _answer(self, command: HttpCommand) -> None:
        client = self._control.connected(_nothing)
        try:
            if command.piece:
                answer = await self._append(command)
            else:
                answer = await self._control.answer_untrusted(client, command.line)
            self._answered(HttpAnswer(command.token, *json_answer(200 if "ok" in answer else 400, answer)))
        except Exception as failure:  # the node is worth more than its page
            self._note("a command of the page", failure)
            self._answered(HttpAnswer(command.token, *refusal(500, "NodeError", _SORRY)))
        finally:
            self._commands -= 1
            self._control.forget(client)

    async def _append(self, command: HttpCommand) -> dict[str, object]:
        fields = json.loads(command.line)
        try:
            id, offset = str(fields.get("upload", "")), fields.get("offset", 0)
            return {"ok": await self._control.uploads.append_untrusted(id, offset, command.piece)}
        except NodeError as refused:
            return error(refused)

    async def _stream(self, command: HttpCommand) -> None:
        scope = trio.CancelScope()
        feed = DoorFeed(command.token, _HEADERS, scope.cancel)

        async def send(line: bytes) -> None:
            await feed.send(b"data: " + line.rstrip(b"\n") + b"\n\n")

        client = self._control.connected(send)
        try:
            with scope:
                self._answered(feed)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_session, command, feed, nursery.cancel_scope)
                    answer = await self._control.answer_untrusted(client, command.line)
                    await feed.send(b"event: end\ndata: " + json.dumps(answer).encode() + b"\n\n")
                    nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the browser has gone away
        except* Exception as failures:
            self._note("a stream of the page", failures)
        finally:
            self._streams -= 1
            feed.end()
            self._control.forget(client)

    async def _watch_session(self, command: HttpCommand, feed: DoorFeed, scope: trio.CancelScope) -> None:
        """End a stream with its session."""
        looks = 0
        while self._goes_on(command):
            looks += 1
            if looks % SILENT_LOOKS == 0:
                await feed.send(b": still here\n\n")
            await trio.sleep(LOOK_SECONDS)
        with trio.move_on_after(LOOK_SECONDS):
            await feed.send(b"event: signed-out\ndata: {}\n\n")
        scope.cancel()


async def _nothing(_: bytes) -> None:
    """Take an event of a command that has none for a page."""
