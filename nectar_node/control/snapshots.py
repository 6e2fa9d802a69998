"""What the control socket needs for snapshots of a running node; each belongs to one connection, and ends with it.

A client sends `snapshot`, and is answered when the node's files and its store stand still. It looks at all files, which
must not take long, and sends `snapshot_scanned`: the files change again, and what they were is kept in `folder`
(`nectar_node.storage.preserving`). The store's file stays as it is until `snapshot_store_read`. The snapshot was whole
if `snapshot_state` says so when everything has been read.
"""

from __future__ import annotations

from typing import Protocol


class LiveSnapshot(Protocol):
    """One snapshot."""

    @property
    def folder(self) -> str:
        """Where files are kept that change."""

    def scanned(self) -> None:
        """Let the files change again."""

    async def store_read(self) -> None:
        """Let the store's file change again."""

    def void(self, progress: int) -> str | None:
        """Return why the snapshot cannot be kept, None if it is whole; `progress` must grow now and then."""

    def end(self) -> None:
        """Keep nothing any more. Does not wait."""


class SnapshotMaker(Protocol):
    """Makes snapshots of a node, one at a time."""

    async def begin(self) -> LiveSnapshot:
        """Return a snapshot of this moment; raises NodeError if there can be none now."""
