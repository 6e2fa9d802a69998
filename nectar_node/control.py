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
from kernel.address import Address
from kernel.errors import BadAddress
from kernel.events import Answered
from kernel.guest import Arrival, Failure
from kernel.message import LazyLoadBlob, Request, SendErrorKind
from nectar_node.core import NodeCore
from nectar_node.errors import BadInput, CannotListen, NodeError
from nectar_node.package import read_package
from nectar_node.storage.operations import Location, is_part

MAX_LINE_BYTES = 128 << 20
"""One request: the largest blob in base64, and room for the rest."""
MAX_TIMEOUT = 1 << 40
"""Seconds that a message may wait: for ever, as far as people are concerned."""
_READ_BYTES = 1 << 16


class Waiter:
    """The token of a message that a control client waits for."""

    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.answer: Arrival | Failure | None = None

    def set(self, action: Answered) -> None:
        """The outcome is there."""
        self.answer = action.answer
        self.answered.set()


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
        self._commands: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, object]]]] = {
            "status": self._on_status,
            "ps": self._on_ps,
            "peers": self._on_peers,
            "message": self._on_message,
            "share": self._on_share,
            "unshare": self._on_unshare,
            "install": self._on_install,
            "shutdown": self._on_shutdown,
        }

    async def answer_untrusted(self, line: bytes) -> dict[str, object]:
        """The answer to one line, whatever it is."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadInput("A request is a JSON object.")
            command = self._commands.get(str(request.get("command")))
            if command is None:
                raise BadInput(f"There is no command {str(request.get('command'))[:64]!r}.")
            return {"ok": await command(request)}
        except (ValueError, RecursionError) as error:
            return _error("BadInput", f"A request is one line of JSON: {error}.")
        except NodeError as error:
            return _error(type(error).__name__, str(error))

    async def _on_status(self, _: dict[str, Any]) -> dict[str, object]:
        return {
            "name": self._core.our,
            "pid": os.getpid(),
            "peers": self._peers(),
            "processes": len(self._core.kernel.processes),
            "blob_bytes_loaded": self._core.machine.blob_bytes_loaded(),
            **self._status(),
        }

    async def _on_ps(self, _: dict[str, Any]) -> dict[str, object]:
        rows = []
        for id, process in sorted(self._core.kernel.processes.items()):
            guest = self._core.machine.guest(id)
            used = guest.statistics() if guest is not None else None
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

    async def _on_peers(self, _: dict[str, Any]) -> dict[str, object]:
        return {"peers": self._peers()}

    def _peers(self) -> list[dict[str, object]]:
        return self._core.peers()

    async def _on_message(self, request: dict[str, Any]) -> dict[str, object]:
        target, message, blob = _message_untrusted(request)
        waiter = Waiter()
        self._core.inject(target, message, blob, waiter, trio.current_time())
        self._turn()
        await waiter.answered.wait()
        answer = waiter.answer
        if isinstance(answer, Failure):
            kind = "offline" if answer.error.kind is SendErrorKind.OFFLINE else "timeout"
            return {"outcome": kind, "reason": answer.error.reason.value}
        assert answer is not None
        blob = answer.blob
        return {
            "outcome": "response",
            "source": str(answer.source),
            "claimed": answer.source.node != self._core.our,
            "body": answer.message.body.decode(errors="replace"),
            "blob": base64.b64encode(blob.bytes).decode() if blob is not None else None,
        }

    async def _on_share(self, request: dict[str, Any]) -> dict[str, object]:
        path, real = _shared_file_untrusted(request.get("file"))
        self._shares += 1
        mount = f"/file_transfer:sys/outgoing/{self._shares}/{path.name}"
        self._core.vfs.mount(mount, Location(str(real.parent), (real.name,)))
        return {"path": mount}

    async def _on_unshare(self, request: dict[str, Any]) -> dict[str, object]:
        if not self._core.vfs.unmount(str(request.get("path"))):
            raise BadInput("Nothing is shared at that path.")
        return {}

    async def _on_install(self, request: dict[str, Any]) -> dict[str, object]:
        package = read_package(Path(str(request.get("package"))), self._core.our)
        self._core.install(package, trio.current_time())
        self._turn()
        return {"package": str(package.id), "processes": [str(entry.process) for entry in package.entries]}

    async def _on_shutdown(self, _: dict[str, Any]) -> dict[str, object]:
        self.stop.set()
        return {}


def _shared_file_untrusted(given: object) -> tuple[Path, Path]:
    """The path as the user gave it, and where it really lies; raises BadInput."""
    if not isinstance(given, str) or not given.startswith("/") or "\0" in given:
        raise BadInput("share needs the absolute path of a file.")
    path = Path(given)
    try:
        real = path.resolve(strict=True)
        with real.open("rb"):
            pass
    except OSError as error:
        raise BadInput(f"{given} cannot be read: {error.strerror}.") from error
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
    blob = LazyLoadBlob(mime if isinstance(mime, str) else None, data) if data is not None else None
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
            connection, _ = await listener.accept()
            nursery.start_soon(_serve_one, control, trio.SocketStream(connection))


async def _serve_one(control: Control, stream: trio.SocketStream) -> None:
    pending = bytearray()
    try:
        async with stream:
            while True:
                data = await stream.receive_some(_READ_BYTES)
                if not data or len(pending) > MAX_LINE_BYTES:
                    return
                searched = len(pending)
                pending += data
                while (end := pending.find(b"\n", searched)) >= 0:
                    line = bytes(pending[:end])
                    del pending[: end + 1]
                    searched = 0
                    answer = await control.answer_untrusted(line)
                    await stream.send_all(json.dumps(answer).encode() + b"\n")
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the client went away
