"""The control socket: how the command line reaches a running node.

A Unix socket in the node's folder, readable by its user only. One line of JSON asks, one line answers:
{"command": name, …} gets {"ok": {…}} or {"error": {"kind": …, "sentence": …}}. A connection may ask many times.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from kernel import limits
from kernel.address import Address, ProcessId
from kernel.errors import BadAddress
from kernel.guest import Arrival, Failure
from kernel.message import LazyLoadBlob, Request, SendErrorKind
from nectar_node.core import NodeCore
from nectar_node.errors import BadInput, BadPackage, CannotListen, NodeError
from nectar_node.package import read_package
from nectar_node.storage.operations import Location, is_part
from nectar_node.system.vfs import MAX_MOUNTS

MAX_LINE_BYTES = 128 << 20
"""One request: the largest blob in base64, and room for the rest."""
MAX_WAITING_LINES = 16
"""Requests of one connection that wait for the answer to an earlier one."""
MAX_TIMEOUT = 1 << 40
"""Seconds that a message may wait: for ever, as far as people are concerned."""
_READ_BYTES = 1 << 16
_ACCEPT_PAUSE_SECONDS = 0.1


class Waiter:
    """The token of something that a client waits for."""

    __slots__ = ("_done", "_outcome")

    def __init__(self) -> None:
        self._done = trio.Event()
        self._outcome: Any = None

    def set(self, outcome: object) -> None:
        """The outcome is there."""
        self._outcome = outcome
        self._done.set()

    async def wait(self) -> Any:
        """The outcome, once it is there."""
        await self._done.wait()
        return self._outcome


class Client:
    """One connection, and what it has been lent: that is taken back when it goes away, however it does."""

    __slots__ = ("shares",)

    def __init__(self) -> None:
        self.shares: set[str] = set()


class Control:
    """The commands of one node."""

    def __init__(self, core: NodeCore, status: Callable[[], dict[str, object]], turn: Callable[[], None]) -> None:
        """`status`: what the driver adds to the status; `turn`: lets the node run after it was told something."""
        self.stop = trio.Event()
        """Set when a client asks the node to shut down."""
        self._core = core
        self._status = status
        self._turn = turn
        self._shares = 0
        self._commands: dict[str, Callable[[Client, dict[str, Any]], Awaitable[dict[str, object]]]] = {
            "status": self._on_status,
            "ps": self._on_ps,
            "peers": self._on_peers,
            "message": self._on_message,
            "share": self._on_share,
            "unshare": self._on_unshare,
            "install": self._on_install,
            "shutdown": self._on_shutdown,
        }

    async def answer_untrusted(self, client: Client, line: bytes) -> dict[str, object]:
        """The answer to one line, whatever it is."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadInput("A request is a JSON object.")
            command = self._commands.get(str(request.get("command")))
            if command is None:
                raise BadInput(f"There is no command {str(request.get('command'))[:64]!r}.")
            return {"ok": await command(client, request)}
        except (ValueError, RecursionError) as error:
            return _error("BadInput", f"A request is one line of JSON: {error}.")
        except NodeError as error:
            return _error(type(error).__name__, str(error))

    async def _on_status(self, _: Client, __: dict[str, Any]) -> dict[str, object]:
        return {
            "name": self._core.our,
            "pid": os.getpid(),
            "peers": self._peers(),
            "processes": len(self._core.kernel.processes),
            "blob_bytes_loaded": self._core.machine.blob_bytes_loaded(),
            **self._status(),
        }

    async def _on_ps(self, _: Client, __: dict[str, Any]) -> dict[str, object]:
        rows = []
        for id, process in sorted(self._core.kernel.processes.items()):
            used = self._core.machine.statistics(id)
            rows.append(
                {
                    "address": str(process.address),
                    "state": process.waiting.value,
                    "inbox": len(process.mailbox),
                    "messages": process.messages,
                    "memory_bytes": used.memory_bytes if used else 0,
                    "blob_bytes_loaded": used.blob_bytes_loaded if used else 0,
                    "cpu_seconds": used.cpu_seconds if used else 0,
                    "public": process.launch.public,
                    "on_exit": process.on_exit.action.name.lower(),
                }
            )
        return {"processes": rows}

    async def _on_peers(self, _: Client, __: dict[str, Any]) -> dict[str, object]:
        return {"peers": self._peers()}

    def _peers(self) -> list[dict[str, object]]:
        return self._core.peers()

    async def _on_message(self, _: Client, request: dict[str, Any]) -> dict[str, object]:
        target, message, blob = _message_untrusted(request)
        waiter = Waiter()
        self._core.inject(target, message, blob, waiter, trio.current_time())
        self._turn()
        answer: Arrival | Failure = await waiter.wait()
        if isinstance(answer, Failure):
            kind = "offline" if answer.error.kind is SendErrorKind.OFFLINE else "timeout"
            return {"outcome": kind, "reason": answer.error.reason.value}
        blob = answer.blob
        return {
            "outcome": "response",
            "source": str(answer.source),
            "claimed": answer.source.node != self._core.our,
            "body": answer.message.body.decode(errors="replace"),
            "blob": base64.b64encode(blob.bytes).decode() if blob is not None else None,
        }

    async def _on_share(self, client: Client, request: dict[str, Any]) -> dict[str, object]:
        path, real = _shared_file_untrusted(request.get("file"))
        if self._core.vfs.mounts >= MAX_MOUNTS:
            raise BadInput(f"{MAX_MOUNTS} files are shared already.")
        self._shares += 1
        mount = f"/file_transfer:sys/outgoing/{self._shares}/{path.name}"
        self._core.vfs.mount(mount, Location(str(real.parent), (real.name,)))
        client.shares.add(mount)
        return {"path": mount}

    async def _on_unshare(self, client: Client, request: dict[str, Any]) -> dict[str, object]:
        path = str(request.get("path"))
        if path not in client.shares:
            raise BadInput("This connection has shared nothing at that path.")
        self._take_back(client, path)
        return {}

    def forget(self, client: Client) -> None:
        """A client has gone away."""
        for path in list(client.shares):
            self._take_back(client, path)

    def _take_back(self, client: Client, path: str) -> None:
        client.shares.discard(path)
        self._core.vfs.unmount(path)

    async def _on_install(self, _: Client, request: dict[str, Any]) -> dict[str, object]:
        package = read_package(Path(str(request.get("package"))), self._core.our)
        waiter = Waiter()
        self._core.install(package, waiter, trio.current_time())
        self._turn()
        failures: tuple[tuple[ProcessId, str], ...] = await waiter.wait()
        if failures:
            process, why = failures[0]
            raise BadPackage(f"{process} cannot be started: {why}.")
        return {"package": str(package.id), "processes": [str(entry.process) for entry in package.entries]}

    async def _on_shutdown(self, _: Client, __: dict[str, Any]) -> dict[str, object]:
        self.stop.set()
        return {}


def _shared_file_untrusted(given: object) -> tuple[Path, Path]:
    """The path as the user gave it, and where it really lies; raises BadInput."""
    if not isinstance(given, str) or not given.startswith("/") or "\0" in given:
        raise BadInput("share needs the absolute path of a file.")
    path = Path(given)
    try:
        real = path.resolve(strict=True)
        if not real.is_file():  # and no pipe: opening one would wait for a writer
            raise BadInput(f"{given} is no file.")
        with real.open("rb"):
            pass
    except OSError as error:
        raise BadInput(f"{given} cannot be read: {error.strerror}.") from error
    except (RuntimeError, ValueError) as error:  # a link to itself; a name that is no text
        raise BadInput(f"{given!r} cannot be read: {error}.") from error
    if not is_part(path.name):
        raise BadInput(f"{given} has a name that no drive can hold.")
    return path, real


def _message_untrusted(request: dict[str, Any]) -> tuple[Address, Request, LazyLoadBlob | None]:
    timeout, body = request.get("timeout", 30), request.get("body", "")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 <= timeout <= MAX_TIMEOUT:
        raise BadInput("A timeout is a number of seconds, 0 or more.")
    if not isinstance(body, str) or len(body.encode(errors="replace")) > limits.MAX_BODY_BYTES:
        raise BadInput(f"A body is a text of at most {limits.MAX_BODY_BYTES >> 20} MiB.")
    try:
        target = Address.parse(str(request.get("target")))
        data = base64.b64decode(request["blob"], validate=True) if request.get("blob") is not None else None
    except BadAddress as error:
        raise BadInput(f"{error}.") from error
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadInput("The blob is no base64.") from error
    if data is not None and len(data) > limits.MAX_BLOB_BYTES:
        raise BadInput(f"A blob has at most {limits.MAX_BLOB_BYTES >> 20} MiB.")
    mime = request.get("mime")
    if mime is not None and (not isinstance(mime, str) or not mime.isascii() or len(mime) > limits.MAX_NAME_BYTES):
        raise BadInput("A mime is a short text of ASCII characters.")
    blob = LazyLoadBlob(mime, data) if data is not None else None
    return target, Request(False, math.ceil(timeout), body.encode(errors="replace")), blob


def _error(kind: str, sentence: str) -> dict[str, object]:
    return {"error": {"kind": kind, "sentence": sentence}}


# --- the socket -----------------------------------------------------------------------------------------------------


def bind(path: Path) -> trio.socket.SocketType:
    """The listening socket at `path`, in place of one that a crash left; raises CannotListen.

    Bound through a descriptor of its folder: a Unix socket's path is limited to 108 bytes, a folder's is not.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise CannotListen(f"The control socket {path} cannot be made: {error.strerror}.") from error
    finally:
        os.umask(before)
        os.close(folder)
    return trio.socket.from_stdlib_socket(listener)


async def serve(control: Control, listener: trio.socket.SocketType) -> None:
    """Answer clients until cancelled."""
    async with trio.open_nursery() as nursery:
        while True:
            try:
                connection, _ = await listener.accept()
            except OSError:
                await trio.sleep(_ACCEPT_PAUSE_SECONDS)  # no descriptor is free; one may be soon
                continue
            nursery.start_soon(_serve_one, control, trio.SocketStream(connection))


async def _serve_one(control: Control, stream: trio.SocketStream) -> None:
    """Answer one client, line by line; when it goes away, what it waits for is given up."""
    client = Client()
    lines, waiting = trio.open_memory_channel[bytes](MAX_WAITING_LINES)
    try:
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(_answer_all, control, client, waiting, stream)
            await _read_lines(stream, lines)
            nursery.cancel_scope.cancel()
    finally:
        control.forget(client)


async def _read_lines(stream: trio.SocketStream, lines: trio.MemorySendChannel[bytes]) -> None:
    pending = bytearray()
    while len(pending) <= MAX_LINE_BYTES:
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
    control: Control, client: Client, lines: trio.MemoryReceiveChannel[bytes], stream: trio.SocketStream
) -> None:
    try:
        async for line in lines:
            answer = await control.answer_untrusted(client, line)
            await stream.send_all(json.dumps(answer).encode() + b"\n")
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the client went away
