"""A control socket: how commands reach one of our running processes.

The socket is a Unix socket in the process's folder, accessible to its user only. One line of JSON is a request, one
line its answer: {"command": name, …} gets {"ok": {…}} or {"error": {"kind": …, "sentence": …}}. A connection may carry
many requests, which are answered one after another; when it goes away, the request that is being answered ends. What
the commands are is up to the object that answers.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from nectar_node.base import own_files
from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.base.descriptors import MAX_CLIENTS
from nectar_node.base.errors import BadInput, CannotListen, NodeError

MAX_WAITING_LINES = 16
"""Requests of one connection that wait for the answer to an earlier one."""
_READ_BYTES = 1 << 16
_MAY_PASS = frozenset((errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM))
"""Why a connection may not be accepted, and the next one may be (accept(2)): no descriptor is free, above all."""
_ACCEPT_PAUSE_SECONDS = 0.1

C = TypeVar("C")
T = TypeVar("T")


class Responder(Protocol[C]):
    """Answers requests; C is the state of one connection."""

    def connected(self, send: Callable[[bytes], Awaitable[None]]) -> C:
        """Return the state of a new connection; `send` writes a line to its client."""

    async def answer_untrusted(self, client: C, line: bytes) -> dict[str, object]:
        """Return the answer to one line, whatever it contains."""

    def forget(self, client: C) -> None:
        """Take back what a client that has gone away had."""


def request_untrusted(line: bytes, type: type[T]) -> T:
    """Return the request of that type in one line; raises BadInput."""
    try:
        return decode_untrusted(line, type)
    except BadShape as error:
        raise BadInput(f"The request cannot be understood: {error}.") from error


def line_of(value: dict[str, object]) -> bytes:
    """Return a value as it goes over the socket."""
    return json.dumps(value).encode() + b"\n"


def error(error: NodeError) -> dict[str, object]:
    """Return the answer to a request that could not be carried out."""
    return {"error": {"kind": type(error).__name__, "sentence": str(error)}}


def bind(path: Path) -> trio.socket.SocketType:
    """Return a listening socket at `path`, in place of one that a crash left; raises CannotListen and NotOurs.

    The socket is bound through a descriptor of its folder: a Unix socket's path is limited to 108 bytes, a folder's is
    not.
    """
    own_files.remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with own_files.folder(path.parent) as folder:
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise CannotListen(f"The control socket {path} cannot be made: {error.strerror}.") from error
    finally:
        os.umask(before)
    return trio.socket.from_stdlib_socket(listener)


async def serve(
    answering: Responder[C], listener: trio.socket.SocketType, max_line_bytes: int, most: int = MAX_CLIENTS
) -> None:
    """Answer clients until cancelled, at most `most` at the same time; close the connection of one that sends a longer
    line.
    """
    async with trio.open_nursery() as nursery:
        while True:
            try:
                connection, _ = await listener.accept()
            except OSError as error:
                if error.errno not in _MAY_PASS:
                    raise
                await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            if len(nursery.child_tasks) < most:
                nursery.start_soon(_serve_one, answering, trio.SocketStream(connection), max_line_bytes)
            else:
                _turn_away(connection, most)


def _turn_away(connection: trio.socket.SocketType, most: int) -> None:
    sentence = f"It serves {most} commands already, and no more at once: end some of them, then try again."
    with socket.socket(fileno=connection.detach()) as plain, suppress(OSError):
        plain.send(line_of(error(NodeError(sentence))), socket.MSG_DONTWAIT)


async def _serve_one(answering: Responder[C], stream: trio.SocketStream, max_line_bytes: int) -> None:
    """Answer one client, line by line; when it goes away, give up what it waits for."""
    client = answering.connected(stream.send_all)
    lines, waiting = trio.open_memory_channel[bytes](MAX_WAITING_LINES)
    try:
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(_answer_all, answering, client, waiting, stream)
            await _read_lines(stream, lines, max_line_bytes)
            nursery.cancel_scope.cancel()
    finally:
        answering.forget(client)


async def _read_lines(stream: trio.SocketStream, lines: trio.MemorySendChannel[bytes], max_line_bytes: int) -> None:
    pending = bytearray()
    while len(pending) <= max_line_bytes:
        try:
            data = await stream.receive_some(_READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        if not data:
            return
        searched = len(pending)
        pending += data
        while (end := pending.find(b"\n", searched)) >= 0:
            await lines.send(bytes(pending[:end]))
            del pending[: end + 1]
            searched = 0


async def _answer_all(
    answering: Responder[C], client: C, lines: trio.MemoryReceiveChannel[bytes], stream: trio.SocketStream
) -> None:
    try:
        async for line in lines:
            answer = await answering.answer_untrusted(client, line)
            await stream.send_all(line_of(answer))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the client went away
