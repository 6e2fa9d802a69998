"""The commands that send uploaded files to other nodes, and tell how far these and all other transfers are.

The package file_transfer does the work, as for `nectar send`, and goes on when whoever has begun it leaves.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Request
from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.control.clients import Client, Waiter
from nectar_node.control.requests import Fields, node_untrusted, shared_file_untrusted
from nectar_node.control.uploads import FileUploads, UploadedFile
from nectar_node.core.core import NodeCore
from nectar_node.launcher.transfer_answers import (
    PROCESS,
    QUESTION_TIMEOUT,
    TRANSFER_TIMEOUT,
    TransferFailed,
    decode_outcome_untrusted,
)
from nectar_node.storage.operations import Location
from nectar_node.system.vfs import MAX_MOUNTS

MAX_OUTCOMES = 50
"""Transfers that have ended and are remembered."""
MAX_LISTED = 200
"""Transfers in one answer."""
_FILE_TRANSFER = ProcessId.parse(PROCESS.partition("@")[2])
_ABSENT = f"{_FILE_TRANSFER} does not answer: start the package file_transfer, which sends files."


class NoTransfers(NodeError):
    """The package file_transfer does not run, or has no such transfer."""


@dataclass(slots=True, eq=False)
class SentFile:
    """A file that was sent from here by `send`."""

    id: str
    upload: UploadedFile
    target: str
    mount: str
    outcome: dict[str, object] | None = None
    """How it has ended; None: it has not."""

    def row(self) -> dict[str, object]:
        """Return it as it is listed when it has ended."""
        return {
            "id": self.id,
            "direction": "sending",
            "peer": self.target,
            "name": self.upload.path.name,
            "size": self.upload.size,
            "upload": self.upload.id,
            **(self.outcome or {"state": "starting", "bytes": 0}),
        }


class Transfers:
    """Those commands of one node."""

    def __init__(self, core: NodeCore, uploads: FileUploads, turn: Callable[[], None]) -> None:
        """`turn` lets the node run after it was told something."""
        self._core = core
        self._uploads = uploads
        self._turn = turn
        self._sent: dict[str, SentFile] = {}
        """By id, the oldest first."""
        self._shares = 0
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "share": self._on_share,
            "unshare": self._on_unshare,
            "send": self._on_send,
            "transfers": self._on_transfers,
            "cancel_transfer": self._on_cancel,
        }

    # --- files that a client sends itself, by messages ----------------------------------------------------------------

    async def _on_share(self, client: Client, fields: Fields) -> dict[str, object]:
        """Let file_transfer read a file until the client takes it back or leaves; answer its path for it."""
        path, real = shared_file_untrusted(fields.file)
        if self._core.vfs.mounts >= MAX_MOUNTS:
            raise BadInput(f"{MAX_MOUNTS} files are shared already.")
        self._shares += 1
        mount = f"/file_transfer:sys/outgoing/{self._shares}/{path.name}"
        self._core.vfs.mount(mount, Location(str(real.parent), (real.name,)))
        client.shares.add(mount)
        return {"path": mount}

    async def _on_unshare(self, client: Client, fields: Fields) -> dict[str, object]:
        if fields.path not in client.shares:
            raise BadInput("This connection has shared nothing at that path.")
        self._take_back(client, fields.path)
        return {}

    def forget(self, client: Client) -> None:
        """Take back what a client has shared that has gone away."""
        for path in list(client.shares):
            self._take_back(client, path)

    def _take_back(self, client: Client, path: str) -> None:
        client.shares.discard(path)
        self._core.vfs.unmount(path)

    # --- uploaded files -----------------------------------------------------------------------------------------------

    async def _on_send(self, _: Client, fields: Fields) -> dict[str, object]:
        """Begin to send an uploaded file to a node; answer the transfer's id."""
        target, upload = node_untrusted(fields.name, self._core.our), self._uploads.whole_untrusted(fields.upload)
        if self._core.vfs.mounts >= MAX_MOUNTS:
            raise BadInput(f"{MAX_MOUNTS} files are shared already.")
        id = secrets.token_hex(8)
        sending = SentFile(id, upload, target, f"/file_transfer:sys/outgoing/{id}/{upload.path.name}")
        self._core.vfs.mount(sending.mount, Location(str(upload.path.parent), (upload.path.name,)))
        upload.users += 1
        self._sent[id] = sending
        self._forget()
        waiter = Waiter()
        waiter.left = lambda answer: self._ended(sending, answer)
        order = {"id": id, "path": sending.mount, "name": upload.path.name, "to": target}
        self._inject({"Send": order}, TRANSFER_TIMEOUT, waiter)
        return {"transfer": id}

    def _inject(self, body: object, timeout: int, waiter: Waiter) -> None:
        target = Address(self._core.our, _FILE_TRANSFER)
        request = Request(False, timeout, json.dumps(body, ensure_ascii=False).encode())
        self._core.inject(target, request, None, waiter, trio.current_time())
        self._turn()

    def _ended(self, sending: SentFile, answer: Arrival | Failure) -> None:
        """Keep how a transfer has ended; a file that has arrived is not needed here any more."""
        self._core.vfs.unmount(sending.mount)
        sending.upload.users -= 1
        sending.outcome = _outcome(answer)
        if sending.outcome["state"] == "done":
            self._uploads.discard(sending.upload)

    def _forget(self) -> None:
        ended = [each for each in self._sent.values() if each.outcome is not None]
        for each in ended[: max(0, len(ended) - MAX_OUTCOMES)]:
            del self._sent[each.id]

    async def _on_transfers(self, _: Client, __: Fields) -> dict[str, object]:
        """Answer what is on its way to and from this node, and how what was sent by `send` has ended."""
        body = await self._ask("List")
        listed = body.get("List")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        known = {row.get("id") for row in rows}
        sent = [each.row() for each in self._sent.values() if each.outcome is not None or each.id not in known]
        ended = {each.id for each in self._sent.values() if each.outcome is not None}
        rows = [row for row in rows if row.get("id") not in ended]
        return {"transfers": [*rows[:MAX_LISTED], *reversed(sent)], "more": max(0, len(rows) - MAX_LISTED)}

    async def _on_cancel(self, _: Client, fields: Fields) -> dict[str, object]:
        """End a transfer on both sides; one that has ended already is forgotten, with its file."""
        sending = self._sent.get(fields.transfer)
        if sending is not None and sending.outcome is not None:
            del self._sent[sending.id]
            self._uploads.discard(sending.upload)
            return {}
        told = await self._ask({"Cancel": {"id": fields.transfer}})
        if isinstance(why := told.get("Err"), str):
            raise NoTransfers(why)
        return {}

    async def _ask(self, body: object) -> dict[str, object]:
        waiter = Waiter()
        self._inject(body, QUESTION_TIMEOUT, waiter)
        answer: Arrival | Failure = await waiter.wait()
        if isinstance(answer, Failure):
            raise NoTransfers(_ABSENT)
        try:
            told = decode_untrusted(answer.message.body, dict[str, object])
        except BadShape:
            return {}
        return told


def _outcome(answer: Arrival | Failure) -> dict[str, object]:
    if isinstance(answer, Failure):
        return {"state": "failed", "bytes": 0, "reason": _ABSENT, "kind": "Other"}
    try:
        done = decode_outcome_untrusted({"body": answer.message.body.decode(errors="replace")})
    except TransferFailed as failure:
        return {"state": "failed", "bytes": failure.received, "reason": str(failure), "kind": failure.kind}
    return {"state": "done", "bytes": done.size, "path": done.path, "hash": done.digest}
