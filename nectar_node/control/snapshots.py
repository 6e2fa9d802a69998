"""The commands for snapshots of a running node; each belongs to one connection, and ends with it.

A client sends `snapshot`, and is answered when the node's files and its store stand still. It looks at all files, which
must not take long, and sends `snapshot_scanned`: the files change again, and what they were is kept in `folder`
(`nectar_node.storage.preserving`). The store's file stays as it is until `snapshot_store_read`. The snapshot was whole
if `snapshot_state` says so when everything has been read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from nectar_node.base.errors import BadInput
from nectar_node.control.clients import Client, LiveSnapshot
from nectar_node.control.requests import Fields


class SnapshotMaker(Protocol):
    """Makes snapshots of a node, one at a time."""

    async def begin(self) -> LiveSnapshot:
        """Return a snapshot of this moment; raises NodeError if there can be none now."""


class Snapshots:
    """The commands of a client that copies a running node; each snapshot lasts as long as its connection."""

    def __init__(self, maker: SnapshotMaker | None) -> None:
        """`maker` makes snapshots, if the node can."""
        self._maker = maker
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "snapshot": self._on_snapshot,
            "snapshot_scanned": self._on_scanned,
            "snapshot_store_read": self._on_store_read,
            "snapshot_state": self._on_state,
        }

    async def _on_snapshot(self, client: Client, _: Fields) -> dict[str, object]:
        if self._maker is None or client.snapshot is not None:
            raise BadInput("There is no snapshot for this connection.")
        client.snapshot = await self._maker.begin()
        return {"folder": client.snapshot.folder}

    async def _on_scanned(self, client: Client, _: Fields) -> dict[str, object]:
        _snapshot_of(client).scanned()
        return await self._on_state(client, _)

    async def _on_store_read(self, client: Client, _: Fields) -> dict[str, object]:
        await _snapshot_of(client).store_read()
        return await self._on_state(client, _)

    async def _on_state(self, client: Client, fields: Fields) -> dict[str, object]:
        """Answer whether the snapshot is still whole."""
        return {"void": _snapshot_of(client).void(fields.progress)}


def _snapshot_of(client: Client) -> LiveSnapshot:
    if client.snapshot is None:
        raise BadInput("This connection has no snapshot.")
    return client.snapshot
