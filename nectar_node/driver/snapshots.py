"""Makes a snapshot of the running node: its store and its packages' files as they are at one instant.

The instant is when no job changes files and the store is frozen. All that a snapshot costs is bounded: how long files
stand still, how much is kept beside them, how far the store's log grows, and how long it lasts without progress.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import trio

from nectar_node.base import own_files
from nectar_node.base.errors import NodeError
from nectar_node.driver.disk_threads import Lanes
from nectar_node.storage.database import Database
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.long_operations import disk_space
from nectar_node.storage.preserving import Preserver

PARTS = ("backup", "snapshot")
"""Where what a snapshot keeps lies in the node's folder; backups leave it out."""
HOLD_SECONDS = 5.0
"""Seconds in which what is being written must come to its end: a sync may hang."""
BUSY_SECONDS = 2.0
"""Seconds that a snapshot waits for the end of the one before."""
SCAN_SECONDS = 10.0
"""Seconds in which the client must have looked at all files; meanwhile none may be changed."""
LOOK_SECONDS = 0.25
"""Between two looks at whether the bounds hold."""
IDLE_SECONDS = 600.0
"""Seconds without progress after which a snapshot is given up: a place that answers so slowly is down."""
SILENT_SECONDS = 60.0
"""Seconds without a request after which it is given up: the client asks every few seconds."""
MAX_LOG_BYTES = 256 << 20
"""Bytes by which the store's log may grow before the store has been read."""


class CannotSnapshot(NodeError):
    """There can be no snapshot now."""


class NodeSnapshots:
    """The snapshots of one node, one at a time."""

    def __init__(
        self, path: Path, ledger: Ledger, database: Database, lanes: Lanes, note: Callable[[str, Exception], None]
    ) -> None:
        """`path` is the node's folder; `note` logs a failure of our own code."""
        self.folder = path.joinpath(*PARTS)
        self.log = path / "store-wal"
        self.ledger = ledger
        self.database = database
        self.lanes = lanes
        self.note = note
        self._nursery: trio.Nursery | None = None
        self._last = trio.Event()
        """Set when nothing is left of the last snapshot."""
        self._last.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look after snapshots until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def begin(self) -> NodeSnapshot:
        """Return a snapshot of this moment; raises CannotSnapshot."""
        assert self._nursery is not None
        with trio.move_on_after(BUSY_SECONDS):
            await self._last.wait()  # a client that tries again may come before the end of its last connection
        if not self._last.is_set():
            raise CannotSnapshot("Another backup of this node is being made: wait for its end.")
        self._last = last = trio.Event()
        try:
            snapshot = await self._begin()
        except BaseException:
            last.set()
            raise
        self._nursery.start_soon(snapshot.watch, last)
        return snapshot

    async def _begin(self) -> NodeSnapshot:
        try:
            await trio.to_thread.run_sync(self._prepare)
            preserver = Preserver(str(self.folder))
        except OSError as error:
            raise CannotSnapshot(f"{self.folder} cannot be used: {error.strerror}.") from error
        snapshot = NodeSnapshot(self, preserver)
        try:
            with trio.move_on_after(HOLD_SECONDS) as scope:
                await self.lanes.hold()
            if scope.cancelled_caught:
                raise CannotSnapshot("What is being written to the disk does not come to its end: try again.")
            self.ledger.preserver = preserver
            await trio.to_thread.run_sync(self.database.freeze)
        except OSError as error:
            await snapshot.let_go()
            raise CannotSnapshot(f"The store cannot be copied: {error.strerror}.") from error
        except BaseException:
            with trio.CancelScope(shield=True):
                await snapshot.let_go()
            raise
        return snapshot

    def _prepare(self) -> None:
        forget_snapshot(self.folder.parent.parent)
        own_files.make_folder(self.folder)
        self.database.checkpoint()  # most of the work of freezing it, while all goes on


class NodeSnapshot:
    """One snapshot."""

    def __init__(self, of: NodeSnapshots, preserver: Preserver) -> None:
        self._of = of
        self._preserver = preserver
        self._holds = self._frozen = True
        self._began = self._asked = self._moved = trio.current_time()
        self._progress = -1
        self._ended = trio.Event()

    @property
    def folder(self) -> str:
        """Where files are kept that change."""
        return str(self._of.folder)

    def scanned(self) -> None:
        """Let the files change again."""
        if self._holds:
            self._holds = False
            self._of.lanes.go_on()

    async def store_read(self) -> None:
        """Let the store's file change again."""
        if self._frozen:
            self._frozen = False
            try:
                await trio.to_thread.run_sync(self._of.database.thaw)
            except OSError as error:  # its log grows from now on: the node's log says so
                self._of.note("the end of a snapshot", error)

    def void(self, progress: int) -> str | None:
        """Return why the snapshot cannot be kept; None: it is whole."""
        self._asked = trio.current_time()
        if progress > self._progress:
            self._progress, self._moved = progress, self._asked
        return self._preserver.void

    def end(self) -> None:
        """Keep nothing any more."""
        self._ended.set()

    async def watch(self, gone: trio.Event) -> None:
        """Give the snapshot up when it has ended, or a bound is reached; set `gone` when nothing is left of it."""
        try:
            while not self._ended.is_set():
                if (why := self._beyond()) is not None:
                    self._preserver.fail(why)
                if self._preserver.void is not None:
                    break
                with trio.move_on_after(LOOK_SECONDS):
                    await self._ended.wait()
            await self.let_go()
        except Exception as error:
            self._of.note("a snapshot", error)
        finally:
            gone.set()

    def _beyond(self) -> str | None:
        """Return which bound is reached."""
        now = trio.current_time()
        if self._holds and now - self._began > SCAN_SECONDS:
            return f"looking at all files took longer than {SCAN_SECONDS:.0f} s"
        if now - self._asked > SILENT_SECONDS or now - self._moved > IDLE_SECONDS:
            return "the backup made no progress"
        try:
            free, total = disk_space(self.folder)
            if free < self._of.ledger.quotas.floor_of(total) and self._preserver.bytes:
                return "the node's disk is nearly full"
            if self._frozen and os.stat(self._of.log).st_size > MAX_LOG_BYTES:
                return f"the store changed by more than {MAX_LOG_BYTES >> 20} MiB"
        except OSError as error:
            return f"the node's disk cannot be looked at: {error.strerror}"
        return None

    async def let_go(self) -> None:
        """Let everything change again, and remove what was kept."""
        of = self._of
        if of.ledger.preserver is self._preserver:
            of.ledger.preserver = None
        self._preserver.fail("it has ended")
        self._holds = True  # whether or not `hold` had returned
        self.scanned()
        await self.store_read()
        self._preserver.close()
        await trio.to_thread.run_sync(forget_snapshot, of.folder.parent.parent)


def forget_snapshot(path: Path) -> None:
    """Remove what a snapshot, or a crash in one, has left in a node's folder."""
    shutil.rmtree(path.joinpath(*PARTS), ignore_errors=True)
